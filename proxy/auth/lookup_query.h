/* lookup_query — what a thread of lookup.c does: one connection, and the questions asked on it. Blocks; ends early when
 * stop_fd becomes readable. */
#ifndef SEGUE_AUTH_LOOKUP_QUERY_H
#define SEGUE_AUTH_LOOKUP_QUERY_H

#include "lookup.h"

struct sg_lookup_task {
    const struct sg_auth *auth;
    enum sg_lookup_kind kind;
    char *user, *database; /* database: the client's */
};

/* The thread's connection. */
struct sg_lookup_link {
    int stop_fd;
    struct pg_conn *conn;       /* NULL: none */
    const struct sg_auth *auth; /* made with; a reference */
    char *database;             /* made to */
};

void sg_lookup_run(struct sg_lookup_link *link, const struct sg_lookup_task *task, struct sg_lookup_result *ret_result);
void sg_lookup_unlink(struct sg_lookup_link *link);

#endif
