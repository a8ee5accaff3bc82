/*
 * peer — who is at the other end of a connection, by names that only slow services know: DNS, the system's users. They
 * are asked on libuv's threads, so that a slow one holds up nobody but who wants to log in.
 */
#ifndef SEGUE_AUTH_PEER_H
#define SEGUE_AUTH_PEER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

struct sg_peer;

/* name "": there is none. On the loop's thread, never from within the start. */
typedef void sg_peer_done(void *arg, const char *name);

/* The host name that an address has and that has the address, as hba files need it. */
struct sg_peer *sg_peer_host(uv_loop_t *loop, const struct sockaddr *address, sg_peer_done *on_done, void *arg);
/* The name of a user of this machine. */
struct sg_peer *sg_peer_user(uv_loop_t *loop, uid_t uid, sg_peer_done *on_done, void *arg);
/* on_done never comes. */
void sg_peer_abandon(struct sg_peer *peer);

/* Who holds the other end of a unix socket. */
bool sg_peer_uid(int fd, uid_t *ret_uid);

#endif
