/* interfaces — the addresses and networks of this machine, for samehost and samenet in hba files. */
#ifndef SEGUE_AUTH_INTERFACES_H
#define SEGUE_AUTH_INTERFACES_H

#include "hba.h"

/* As they are now. *ret_networks is the caller's to free, and not NULL also when there are none. */
size_t sg_interfaces(struct sg_hba_network **ret_networks);

#endif
