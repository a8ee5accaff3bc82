/*
 * The queue and its threads; what one of them does with a lookup is in lookup_query.c.
 *
 *      QUEUED --take--> RUNNING --hand_over--> DONE --on_async--> on_done, freed
 *         \-- abandon: off the queue, freed     \-- abandon: freed by whoever is last to let go
 *
 * Invariants (under lookups->lock):
 *   1. A lookup belongs to the loop's side; while RUNNING the thread holds it too. holders counts the two.
 *   2. The async handle is the loop's. A thread sends to it only under the lock and only while is_wanted, so never
 * after it has begun to close.
 */
#include "lookup.h"

#include "lookup_query.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 4
#define IDLE_S      10 /* a connection that nobody needs is in the way of DROP DATABASE */

struct sg_lookup {
    uv_async_t async;
    struct sg_lookup *next;
    struct sg_lookups *lookups;
    struct sg_lookup_task task;
    struct sg_lookup_result result;
    void (*on_done)(void *arg, struct sg_lookup_result *result);
    void *arg;
    bool is_wanted;
    unsigned holders;
};

struct sg_lookups {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct sg_lookup *first, **last;
    pthread_t threads[THREADS_MAX];
    unsigned threads_len, idle;
    bool is_stopping;
    int stop_fd; /* readable once is_stopping */
};

struct sg_lookups *sg_lookups_new(void) {
    struct sg_lookups *lookups = calloc(1, sizeof(*lookups));
    if (!lookups || (lookups->stop_fd = eventfd(0, EFD_CLOEXEC)) < 0) {
        abort();
    }
    lookups->last = &lookups->first;
    pthread_mutex_init(&lookups->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lookups->wake, &attr);
    pthread_condattr_destroy(&attr);
    return lookups;
}

/* ---- Threads ---- */

/* The lock is held. NULL: there has been nothing for a while, or never will be. */
static struct sg_lookup *take(struct sg_lookups *lookups) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    int rc = 0;
    lookups->idle++;
    while (!lookups->first && !lookups->is_stopping && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&lookups->wake, &lookups->lock, &until);
    }
    lookups->idle--;
    struct sg_lookup *lookup = lookups->is_stopping ? NULL : lookups->first;
    if (lookup) {
        lookups->first = lookup->next;
        lookups->last = lookups->first ? lookups->last : &lookups->first;
        lookup->next = NULL;
        lookup->holders++;
    }
    return lookup;
}

static void free_lookup(struct sg_lookup *lookup) {
    sg_secret_wipe(&lookup->result.secret);
    sg_lookup_roles_free(lookup->result.roles);
    sg_auth_unref(lookup->task.auth);
    free(lookup->task.user);
    free(lookup->task.database);
    free(lookup);
}

/* The lock is held. */
static void let_go(struct sg_lookup *lookup) {
    if (--lookup->holders == 0) {
        free_lookup(lookup);
    }
}

static void *thread_main(void *arg) {
    struct sg_lookups *lookups = arg;
    struct sg_lookup_link link = {.stop_fd = lookups->stop_fd};
    pthread_mutex_lock(&lookups->lock);
    while (!lookups->is_stopping) {
        struct sg_lookup *lookup = take(lookups);
        pthread_mutex_unlock(&lookups->lock);
        if (lookup) {
            sg_lookup_run(&link, &lookup->task, &lookup->result);
        } else {
            sg_lookup_unlink(&link);
        }
        pthread_mutex_lock(&lookups->lock);
        if (lookup && lookup->is_wanted) {
            uv_async_send(&lookup->async);
        }
        if (lookup) {
            let_go(lookup);
        }
    }
    pthread_mutex_unlock(&lookups->lock);
    sg_lookup_unlink(&link);
    return NULL;
}

void sg_lookups_free(struct sg_lookups *lookups) {
    if (!lookups) {
        return;
    }
    pthread_mutex_lock(&lookups->lock);
    lookups->is_stopping = true;
    eventfd_write(lookups->stop_fd, 1);
    pthread_cond_broadcast(&lookups->wake);
    pthread_mutex_unlock(&lookups->lock);
    for (unsigned i = 0; i < lookups->threads_len; i++) {
        pthread_join(lookups->threads[i], NULL);
    }
    pthread_cond_destroy(&lookups->wake);
    pthread_mutex_destroy(&lookups->lock);
    close(lookups->stop_fd);
    free(lookups);
}

/* ---- The loop's side ---- */

static void on_closed(uv_handle_t *handle) {
    struct sg_lookup *lookup = handle->data;
    struct sg_lookups *lookups = lookup->lookups;
    pthread_mutex_lock(&lookups->lock);
    let_go(lookup);
    pthread_mutex_unlock(&lookups->lock);
}

static void on_async(uv_async_t *async) {
    struct sg_lookup *lookup = async->data;
    pthread_mutex_lock(&lookup->lookups->lock); /* behind it lies what the thread has written */
    lookup->is_wanted = false;
    pthread_mutex_unlock(&lookup->lookups->lock);
    lookup->on_done(lookup->arg, &lookup->result);
    uv_close((uv_handle_t *)async, on_closed);
}

static char *copy(const char *text) {
    char *dup = strdup(text);
    if (!dup) {
        abort();
    }
    return dup;
}

struct sg_lookup *sg_lookup_start(struct sg_lookups *lookups, uv_loop_t *loop, const struct sg_auth *auth,
                                  enum sg_lookup_kind kind, const char *user, const char *database,
                                  void (*on_done)(void *arg, struct sg_lookup_result *result), void *arg) {
    struct sg_lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup || uv_async_init(loop, &lookup->async, on_async) < 0) {
        abort();
    }
    lookup->async.data = lookup;
    lookup->lookups = lookups;
    lookup->task = (struct sg_lookup_task){sg_auth_ref(auth), kind, copy(user), copy(database)};
    lookup->on_done = on_done;
    lookup->arg = arg;
    lookup->is_wanted = true;
    lookup->holders = 1;
    pthread_mutex_lock(&lookups->lock);
    *lookups->last = lookup;
    lookups->last = &lookup->next;
    if (lookups->idle == 0 && lookups->threads_len < THREADS_MAX &&
        pthread_create(&lookups->threads[lookups->threads_len], NULL, thread_main, lookups) == 0) {
        lookups->threads_len++;
    }
    pthread_cond_signal(&lookups->wake);
    pthread_mutex_unlock(&lookups->lock);
    return lookup;
}

void sg_lookup_abandon(struct sg_lookup *lookup) {
    struct sg_lookups *lookups = lookup->lookups;
    pthread_mutex_lock(&lookups->lock);
    lookup->is_wanted = false;
    for (struct sg_lookup **at = &lookups->first; *at; at = &(*at)->next) {
        if (*at == lookup) {
            *at = lookup->next;
            lookups->last = *at ? lookups->last : at;
            break;
        }
    }
    pthread_mutex_unlock(&lookups->lock);
    uv_close((uv_handle_t *)&lookup->async, on_closed);
}
