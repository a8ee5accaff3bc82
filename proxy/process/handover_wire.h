/* handover_wire — one message of a hand-over: words, and descriptors beside them. */
#ifndef SEGUE_HANDOVER_WIRE_H
#define SEGUE_HANDOVER_WIRE_H

#include "proxy/net/listener.h"

#include <sys/types.h>

#define SG_HANDOVER_WANT     "segue-handover 1 want"
#define SG_HANDOVER_SOCKETS  "segue-handover 1 sockets"          /* where the configuration says */
#define SG_HANDOVER_COMPLETE "segue-handover 1 sockets complete" /* all there are, whatever it says */
#define SG_HANDOVER_REFUSED  "segue-handover 1 refused "         /* and why */
#define SG_HANDOVER_TAKE     "take"
#define SG_HANDOVER_YOURS    "yours"

#define SG_HANDOVER_BYTES 512

/* sockets NULL: words alone. */
bool sg_handover_send(int fd, const char *words, const struct sg_sockets *sockets);
/* words is NUL-terminated. Bytes read, 0 at the end of the connection, -1 with errno. sockets NULL: none are wanted. */
ssize_t sg_handover_receive(int fd, char words[SG_HANDOVER_BYTES], struct sg_sockets *sockets);
/* Is the other end of the same user, or root? */
bool sg_handover_is_trusted(int fd, pid_t *ret_pid);
/* False: the path is too long. */
bool sg_handover_address(const char *path, struct sockaddr_un *ret_address);

#endif
