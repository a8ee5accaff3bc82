#include "kill.h"

#include "session.h"
#include "session_notes.h"

#include <string.h>

/* On the stack of the one who asks, who waits until every worker has let go of it. */
struct kill {
    pthread_mutex_t lock; /* missing, killed */
    pthread_cond_t done;
    int missing;
    uint64_t killed;
    const char *database;
    uint64_t id;
};

/* Clients that have logged in, or are about to; not who cancels a query, nor who has said goodbye. */
static bool is_meant(const struct sg_session *s, const struct kill *kill) {
    bool is_session = s->who && (s->state == SG_SESSION_START || s->state == SG_SESSION_AUTH ||
                                 s->state == SG_SESSION_DIAL || s->state == SG_SESSION_RELAY);
    if (kill->id != 0) {
        return is_session && s->id == kill->id;
    }
    return is_session && (!kill->database || strncmp(s->who->database, kill->database, SG_NAME_BYTES - 1) == 0);
}

static void carry_out(struct sg_worker *w, void *arg) {
    struct kill *kill = arg;
    uint64_t killed = 0;
    for (struct sg_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        if (is_meant(s, kill)) {
            sg_session_kill(s);
            killed++;
        }
    }
    pthread_mutex_lock(&kill->lock);
    kill->killed += killed;
    kill->missing--;
    pthread_cond_signal(&kill->done);
    pthread_mutex_unlock(&kill->lock);
}

uint64_t sg_kill_run(struct sg_worker *const *workers, int len, const char *database, uint64_t id) {
    struct kill kill = {.missing = len, .database = database, .id = id};
    pthread_mutex_init(&kill.lock, NULL);
    pthread_cond_init(&kill.done, NULL);
    for (int i = 0; i < len; i++) {
        sg_worker_post(workers[i], carry_out, &kill);
    }
    pthread_mutex_lock(&kill.lock);
    while (kill.missing > 0) {
        pthread_cond_wait(&kill.done, &kill.lock);
    }
    pthread_mutex_unlock(&kill.lock);
    pthread_cond_destroy(&kill.done);
    pthread_mutex_destroy(&kill.lock);
    return kill.killed;
}
