/*
 * lookup — auth_query: what the server has of a user's secret, asked for on connections of segue's own by threads of
 * segue's own, so that a slow server holds up nobody but who wants to log in.
 *
 *      worker: sg_lookup_start --queue--> a thread: connect (or use the last connection), query --uv_async--> on_done
 *              sg_lookup_abandon: on_done never comes
 *
 * Nothing is remembered between two logins: a password that was changed, a role that was dropped or has expired counts
 * at once, and beside the server session that each login opens anyway the query weighs little. What is kept, for a few
 * seconds, is the connection.
 *
 * The connection is not the client's: nothing of its start-up packet reaches it but the user's name, as a parameter,
 * and the database's. search_path is pg_catalog alone. VALID UNTIL is looked up besides, whatever the query says.
 */
#ifndef SEGUE_AUTH_LOOKUP_H
#define SEGUE_AUTH_LOOKUP_H

#include "auth.h"
#include "segue/error.h"

#include <uv.h>

struct sg_lookups; /* threads, started when there is something to do */
struct sg_lookup;

struct sg_lookups *sg_lookups_new(void);
/* Ends what runs and joins the threads. No lookup may be outstanding but abandoned ones. */
void sg_lookups_free(struct sg_lookups *lookups);

enum sg_lookup_status {
    SG_LOOKUP_FOUND,   /* secret is */
    SG_LOOKUP_NOBODY,  /* no such user, none with a secret, or one whose time is over: why, for the log */
    SG_LOOKUP_TROUBLE, /* the server could not be asked: error, for the log */
};
/* What is asked of a user. */
enum sg_lookup_kind {
    SG_LOOKUP_SECRET,
    SG_LOOKUP_ROLES, /* those that it is a member of, directly or not, and itself */
};
struct sg_lookup_result {
    enum sg_lookup_status status;
    struct sg_secret secret; /* the receiver's to copy; wiped after on_done */
    char **roles; /* FOUND, of ROLES: ends with NULL. The receiver's to take; freed after on_done otherwise */
    const char *why;
    struct sg_error error;
};
void sg_lookup_roles_free(char **roles);

/* On the loop's thread, as on_done. Takes a reference to auth; the texts are copied. */
struct sg_lookup *sg_lookup_start(struct sg_lookups *lookups, uv_loop_t *loop, const struct sg_auth *auth,
                                  enum sg_lookup_kind kind, const char *user, const char *database,
                                  void (*on_done)(void *arg, struct sg_lookup_result *result), void *arg);
void sg_lookup_abandon(struct sg_lookup *lookup);

#endif
