/* socket_options — what is set on TCP sockets of both sides (tcp_* keys): who is dead is found out, and how much is
 * buffered. 0 stands for the system's own. On a Unix socket there is nothing to set. */
#ifndef SEGUE_NET_SOCKET_OPTIONS_H
#define SEGUE_NET_SOCKET_OPTIONS_H

#include <stdbool.h>
#include <uv.h>

struct sg_socket_options {
    bool keepalive;
    int keepidle_s, keepintvl_s, keepcnt; /* used with keepalive only */
    int user_timeout_ms;                  /* of data that is not acknowledged */
    int buffer_bytes; /* each way; the kernel doubles it for its own needs, and has an upper bound */
};

/* On an open or connected handle. What the system refuses is logged, and left as it is: the connection works. */
void sg_socket_options_set(const struct sg_socket_options *options, const uv_handle_t *handle);

#endif
