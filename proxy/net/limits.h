/*
 * limits — how many clients are logged in as each user and to each database, over all workers.
 *
 * A client is counted when it has proved who it is, not before: strangers must not be able to use up what is a user's.
 * A mutex guards the counts; it is taken when a client logs in and when it goes, never while it is served.
 */
#ifndef SEGUE_NET_LIMITS_H
#define SEGUE_NET_LIMITS_H

#include "segue/span.h"

#include <stdbool.h>
#include <stdint.h>

struct sg_limits;
struct sg_limit_count;

enum sg_limit { SG_LIMIT_DATABASE, SG_LIMIT_USER };

struct sg_limits *sg_limits_new(void);
void sg_limits_free(struct sg_limits *limits);

/* How many there may be. 0: no limit. */
struct sg_user_limit {
    const char *user;
    int64_t most;
};
struct sg_limit_rules {
    int64_t most_on_database, most_of_user; /* where nothing else is said */
    const struct sg_user_limit *users;
    size_t users_len;
};
/* Copies of the list and its strings, and their end. */
struct sg_user_limit *sg_user_limits_copy(const struct sg_user_limit *users, size_t len);
void sg_user_limits_free(struct sg_user_limit *users, size_t len);
int64_t sg_limit_of_user(const struct sg_limit_rules *rules, const char *user);

/* One client's place among the others. Both NULL: it is not counted. */
struct sg_limit_place {
    struct sg_limit_count *counts[2]; /* by enum sg_limit */
};

/* Names as the client gives them; they count as far as the server looks at them. Most of 0: no limit. False: ret_limit
 * is the one that stands in the way, and nothing was counted. Any thread. */
bool sg_limits_enter(struct sg_limits *limits, const struct sg_span names[2], const int64_t most[2],
                     struct sg_limit_place *ret_place, enum sg_limit *ret_limit);
/* Any thread. A place that is not counted stays so. */
void sg_limits_leave(struct sg_limits *limits, struct sg_limit_place *place);

/* Now. Any thread. */
uint64_t sg_limits_now(struct sg_limits *limits, enum sg_limit limit, struct sg_span name);

#endif
