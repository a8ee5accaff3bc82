#include "limits.h"

#include "segue/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* There while it is not zero, so that names a stranger makes up leave nothing behind. */
struct sg_limit_count {
    char name[SG_NAME_BYTES];
    uint64_t now;
    UT_hash_handle hh;
};

struct sg_limits {
    pthread_mutex_t lock;
    struct sg_limit_count *tables[2]; /* by enum sg_limit */
};

/* ---- Rules ---- */

struct sg_user_limit *sg_user_limits_copy(const struct sg_user_limit *users, size_t len) {
    struct sg_user_limit *own = calloc(len ? len : 1, sizeof(*own));
    if (!own) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        own[i] = (struct sg_user_limit){strdup(users[i].user), users[i].most};
        if (!own[i].user) {
            abort();
        }
    }
    return own;
}

void sg_user_limits_free(struct sg_user_limit *users, size_t len) {
    for (size_t i = 0; users && i < len; i++) {
        free((char *)users[i].user);
    }
    free(users);
}

int64_t sg_limit_of_user(const struct sg_limit_rules *rules, const char *user) {
    for (size_t i = 0; i < rules->users_len; i++) {
        if (strcmp(rules->users[i].user, user) == 0) {
            return rules->users[i].most;
        }
    }
    return rules->most_of_user;
}

/* ---- Counts ---- */

struct sg_limits *sg_limits_new(void) {
    struct sg_limits *limits = calloc(1, sizeof(*limits));
    if (!limits) {
        abort();
    }
    pthread_mutex_init(&limits->lock, NULL);
    return limits;
}

void sg_limits_free(struct sg_limits *limits) {
    if (!limits) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct sg_limit_count *count, *next;
        HASH_ITER(hh, limits->tables[i], count, next) {
            HASH_DEL(limits->tables[i], count);
            free(count);
        }
    }
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static struct sg_limit_count *find(const struct sg_limits *limits, enum sg_limit limit, struct sg_span name) {
    struct sg_limit_count *count = NULL;
    size_t len = name.len < SG_NAME_BYTES ? name.len : SG_NAME_BYTES - 1;
    HASH_FIND(hh, limits->tables[limit], name.ptr, len, count);
    return count;
}

static struct sg_limit_count *find_or_add(struct sg_limits *limits, enum sg_limit limit, struct sg_span name) {
    struct sg_limit_count *count = find(limits, limit, name);
    if (count) {
        return count;
    }
    count = calloc(1, sizeof(*count));
    if (!count) {
        abort();
    }
    size_t len = name.len < SG_NAME_BYTES ? name.len : SG_NAME_BYTES - 1;
    memcpy(count->name, name.ptr, len);
    HASH_ADD_KEYPTR(hh, limits->tables[limit], count->name, len, count);
    return count;
}

static uint64_t now(const struct sg_limits *limits, enum sg_limit limit, struct sg_span name) {
    const struct sg_limit_count *count = find(limits, limit, name);
    return count ? count->now : 0;
}

bool sg_limits_enter(struct sg_limits *limits, const struct sg_span names[2], const int64_t most[2],
                     struct sg_limit_place *ret_place, enum sg_limit *ret_limit) {
    pthread_mutex_lock(&limits->lock);
    for (int i = 0; i < 2; i++) {
        if (most[i] > 0 && now(limits, (enum sg_limit)i, names[i]) >= (uint64_t)most[i]) {
            pthread_mutex_unlock(&limits->lock);
            *ret_limit = (enum sg_limit)i;
            return false;
        }
    }
    for (int i = 0; i < 2; i++) {
        ret_place->counts[i] = find_or_add(limits, (enum sg_limit)i, names[i]);
        ret_place->counts[i]->now++;
    }
    pthread_mutex_unlock(&limits->lock);
    return true;
}

void sg_limits_leave(struct sg_limits *limits, struct sg_limit_place *place) {
    if (!place->counts[0]) {
        return;
    }
    pthread_mutex_lock(&limits->lock);
    for (int i = 0; i < 2; i++) {
        struct sg_limit_count *count = place->counts[i];
        if (--count->now == 0) {
            HASH_DEL(limits->tables[i], count);
            free(count);
        }
        place->counts[i] = NULL;
    }
    pthread_mutex_unlock(&limits->lock);
}

uint64_t sg_limits_now(struct sg_limits *limits, enum sg_limit limit, struct sg_span name) {
    pthread_mutex_lock(&limits->lock);
    uint64_t count = now(limits, limit, name);
    pthread_mutex_unlock(&limits->lock);
    return count;
}
