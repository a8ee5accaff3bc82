/*
 * upstream — the servers that one entry of [databases] may lead to, as libpq reads such lists, and what is known of
 * each.
 *
 * An upstream never changes once it is made. What is remembered of a host does: it outlives reloads, every thread
 * reads and writes it, and it only ever decides what is tried first.
 */
#ifndef SEGUE_NET_UPSTREAM_H
#define SEGUE_NET_UPSTREAM_H

#include "segue/arena.h"
#include "segue/limits.h"
#include "segue/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libpq's target_session_attrs. */
enum sg_wanted {
    SG_WANTED_ANY,
    SG_WANTED_READ_WRITE,
    SG_WANTED_READ_ONLY,
    SG_WANTED_PRIMARY,
    SG_WANTED_STANDBY,
    SG_WANTED_PREFER_STANDBY,
};
bool sg_wanted_from_name(const char *name, enum sg_wanted *ret_wanted);

enum sg_balance { SG_BALANCE_DISABLE, SG_BALANCE_RANDOM, SG_BALANCE_ROUND_ROBIN };
bool sg_balance_from_name(const char *name, enum sg_balance *ret_balance);

/* READ_ONLY: no standby, but its sessions begin read-only. */
enum sg_role { SG_ROLE_UNKNOWN, SG_ROLE_PRIMARY, SG_ROLE_READ_ONLY, SG_ROLE_STANDBY };

/* Counted; shared by every upstream that names the host. */
struct sg_host_memory {
    _Atomic unsigned refs;
    _Atomic uint8_t role; /* enum sg_role, as last seen */
};

struct sg_host {
    const char *name;    /* as it was given: what the server's certificate must be for */
    const char *address; /* what is connected to: hostaddr, or the name; of a unix socket, the directory */
    const char *port;
    const char *label; /* "host:port" or the socket's path, for messages */
    bool is_unix;
    struct sg_host_memory *memory;
};

struct sg_upstream {
    struct sg_host hosts[SG_HOSTS_MAX];
    size_t len; /* never 0 */
    enum sg_wanted target;
    enum sg_balance balance;
    unsigned connect_timeout_ms; /* of one address; 0: a share of what is left */
    _Atomic unsigned turn;       /* round-robin */
};

/* Lists as they stand in a connection string; empty or NULL: libpq's environment and built-in defaults fill in. Strings
 * go to the arena. known: hosts whose memory is taken over where the label is the same; NULL: none. The lists have been
 * checked: their lengths fit. */
void sg_upstream_init(struct sg_upstream *up, struct sg_arena *arena, const char *host, const char *hostaddr,
                      const char *port);
void sg_upstream_inherit(struct sg_upstream *up, const struct sg_upstream *known);
void sg_upstream_free(struct sg_upstream *up);

void sg_host_learn(const struct sg_host *host, enum sg_role role);
enum sg_role sg_host_role(const struct sg_host *host);
/* UNKNOWN fits nothing but ANY. */
bool sg_role_fits(enum sg_role role, enum sg_wanted target);

#endif
