/* hba — the hba and ident files that a configuration names, judged together with it. */
#ifndef SEGUE_CONFIG_HBA_H
#define SEGUE_CONFIG_HBA_H

#include "proxy/auth/hba.h"
#include "proxy/config/config.h"

/* NULL: auth_type is another, or there are faults. A reference is the caller's. */
struct sg_hba *sg_config_hba(const struct sg_config *config, struct sg_config_faults *faults);

#endif
