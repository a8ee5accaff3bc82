/*
 * strangers — clients that have connected and not yet said who they are: port scans, health checks, the slow, the
 * hostile.
 *
 * They cost a descriptor each, and are in nobody's count. While there is room they may take client_login_timeout; where
 * clients are more than there can ever be sessions, or descriptors have run out, who has been silent for longest goes
 * first: a client that means to log in speaks at once.
 */
#ifndef SEGUE_NET_STRANGERS_H
#define SEGUE_NET_STRANGERS_H

struct sg_session;
struct sg_worker;

struct sg_strangers {
    struct sg_session *oldest, *newest;
};

/* It has just connected. */
void sg_strangers_add(struct sg_session *s);
/* It has said who it is, or gone. Not a stranger: nothing. */
void sg_strangers_remove(struct sg_session *s);
/* Descriptors have run out: the silent ones go. */
void sg_strangers_make_room(struct sg_worker *worker);

#endif
