/* listener — the sockets clients connect to, on the loop of the program's main thread. */
#ifndef SEGUE_NET_LISTENER_H
#define SEGUE_NET_LISTENER_H

#include "segue/error.h"

#include <stdbool.h>
#include <uv.h>

#define SG_LISTENER_SOCKETS 8

struct sg_listener {
    uv_loop_t *loop;
    void (*on_client)(void *arg, int fd); /* owns fd; non-blocking, close-on-exec */
    void (*on_exhausted)(void *arg);      /* out of descriptors or memory: if something can be given back, do */
    void *arg;
    struct {
        uv_poll_t poll;
        int fd;
    } sockets[SG_LISTENER_SOCKETS];
    int len;
    uv_timer_t pause; /* out of descriptors: try again later */
    bool is_paused;
    int port;
    char address[80];    /* of the first socket, numeric "HOST:PORT" */
    char unix_path[120]; /* "": none */
};

/* Binds every address host stands for (NULL, "" or "*": all interfaces), one is enough; port 0 takes a free one. */
bool sg_listener_open(struct sg_listener *listener, uv_loop_t *loop, const char *host, int port,
                      const char *unix_socket_dir, struct sg_error *reterr);
/* Accepts all who are in the queue now: closing it would reset them. */
void sg_listener_sweep(struct sg_listener *listener);
/* Accepts nothing more. The handles close on the loop; listener must live until they have. */
void sg_listener_close(struct sg_listener *listener);

#endif
