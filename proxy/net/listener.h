/* listener — the sockets clients connect to, on the loop of the program's main thread. */
#ifndef SEGUE_NET_LISTENER_H
#define SEGUE_NET_LISTENER_H

#include "segue/error.h"

#include <stdbool.h>
#include <uv.h>

#define SG_LISTENER_SOCKETS 8

/* Listening sockets that somebody else has made: the process before this one, or the service manager. */
struct sg_sockets {
    int fds[SG_LISTENER_SOCKETS];
    int len;
    bool is_complete; /* they are where clients connect, whatever the configuration says */
};
void sg_sockets_close(struct sg_sockets *sockets);

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
    char address[128];      /* of the first socket: numeric "HOST:PORT", or a path */
    char unix_path[120];    /* "": none that is ours to remove */
    bool is_given_complete; /* struct sg_sockets, is_complete */
};

/* Binds every address host stands for (NULL, "" or "*": all interfaces), one is enough; port 0 takes a free one. Where
 * a given socket is bound to such an address already, it is used instead; the given sockets are taken over, used or
 * not. given NULL: none. Nobody is accepted yet. */
bool sg_listener_open(struct sg_listener *listener, uv_loop_t *loop, const char *host, int port,
                      const char *unix_socket_dir, struct sg_sockets *given, struct sg_error *reterr);
/* From now on clients are accepted. */
void sg_listener_accept(struct sg_listener *listener);
/* The sockets, for another process; they stay this one's. */
void sg_listener_sockets(const struct sg_listener *listener, struct sg_sockets *ret_sockets);
/* Accepts all who are in the queue now: closing it would reset them. */
void sg_listener_sweep(struct sg_listener *listener);
/* Before sg_listener_close: the sockets live on in another process, which removes their files, too, when it is time. */
void sg_listener_yield(struct sg_listener *listener);
/* Accepts nothing more. The handles close on the loop; listener must live until they have. */
void sg_listener_close(struct sg_listener *listener);

#endif
