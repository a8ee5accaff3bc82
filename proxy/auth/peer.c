#include "peer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sg_peer {
    uv_work_t work;
    struct sockaddr_storage address; /* family 0: uid is asked for */
    uid_t uid;
    char name[NI_MAXHOST];
    sg_peer_done *on_done; /* NULL: abandoned */
    void *arg;
};

/* ---- On a thread of the pool ---- */

static socklen_t size_of(const struct sockaddr *address) {
    return address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static bool is_same_address(const struct sockaddr *a, const struct sockaddr *b) {
    if (a->sa_family != b->sa_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr, &((const struct sockaddr_in *)b)->sin_addr, 4) == 0;
    }
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

/* Whoever runs the reverse zone can claim any name: it counts only if the name has the address. */
static void find_host(struct sg_peer *peer) {
    const struct sockaddr *address = (const struct sockaddr *)&peer->address;
    const struct addrinfo hints = {.ai_family = address->sa_family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char name[NI_MAXHOST];
    if (getnameinfo(address, size_of(address), name, sizeof(name), NULL, 0, NI_NAMEREQD) != 0 ||
        getaddrinfo(name, NULL, &hints, &found) != 0) {
        return;
    }
    for (const struct addrinfo *a = found; a && !peer->name[0]; a = a->ai_next) {
        if (is_same_address(a->ai_addr, address)) {
            snprintf(peer->name, sizeof(peer->name), "%s", name);
        }
    }
    freeaddrinfo(found);
}

static void find_user(struct sg_peer *peer) {
    char room[16384];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(peer->uid, &entry, room, sizeof(room), &found) == 0 && found) {
        snprintf(peer->name, sizeof(peer->name), "%s", found->pw_name);
    }
}

static void run(uv_work_t *work) {
    struct sg_peer *peer = work->data;
    if (peer->address.ss_family != 0) {
        find_host(peer);
    } else {
        find_user(peer);
    }
}

/* ---- On the loop ---- */

static void on_ended(uv_work_t *work, int status) {
    struct sg_peer *peer = work->data;
    (void)status; /* cancelled only by sg_peer_abandon */
    if (peer->on_done) {
        peer->on_done(peer->arg, peer->name);
    }
    free(peer);
}

static struct sg_peer *start(uv_loop_t *loop, const struct sg_peer *asked) {
    struct sg_peer *peer = malloc(sizeof(*peer));
    if (!peer) {
        abort();
    }
    *peer = *asked;
    peer->work.data = peer;
    if (uv_queue_work(loop, &peer->work, run, on_ended) != 0) {
        abort(); /* for want of a callback only */
    }
    return peer;
}

struct sg_peer *sg_peer_host(uv_loop_t *loop, const struct sockaddr *address, sg_peer_done *on_done, void *arg) {
    struct sg_peer asked = {.on_done = on_done, .arg = arg};
    memcpy(&asked.address, address, size_of(address));
    return start(loop, &asked);
}

struct sg_peer *sg_peer_user(uv_loop_t *loop, uid_t uid, sg_peer_done *on_done, void *arg) {
    const struct sg_peer asked = {.uid = uid, .on_done = on_done, .arg = arg};
    return start(loop, &asked);
}

void sg_peer_abandon(struct sg_peer *peer) {
    peer->on_done = NULL;
    uv_cancel((uv_req_t *)&peer->work); /* on_ended comes in any case */
}

bool sg_peer_uid(int fd, uid_t *ret_uid) {
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        return false;
    }
    *ret_uid = who.uid;
    return true;
}
