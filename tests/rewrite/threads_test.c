/* Threads with a rewriter each share one snapshot: for the thread sanitizer, and to see that answers do not mix. */
#include "world.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 1500 };

struct job {
    struct sg_snapshot *snapshot;
    int number;
    atomic_int *wrong;
};

static void one_round(const struct job *job, struct sg_rewriter *rewriter, int round) {
    char sql[128];
    char wanted[160];
    /* One in three does not parse: the parser leaves by longjmp, in each thread on its own. */
    if (round % 3 == 0) {
        snprintf(sql, sizeof sql, "SELECT username FROM users WHERE ((%d", round);
    } else {
        snprintf(sql, sizeof sql, "SELECT username, %d FROM users WHERE nickname = 't%d'", round % 50, job->number);
        snprintf(wanted, sizeof wanted, "SELECT nickname AS username, %d FROM users WHERE nickname = 't%d'", round % 50,
                 job->number);
    }
    struct sg_snapshot *held = sg_snapshot_ref(job->snapshot);
    const char *got = world_rewrite(rewriter, held, sql);
    if (round % 3 == 0 ? got != NULL : !got || strcmp(got, wanted) != 0) {
        atomic_fetch_add(job->wrong, 1);
    }
    sg_snapshot_unref(held);
}

static void *work(void *context) {
    struct job *job = context;
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 14);
    for (int round = 0; round < ROUNDS; round++) {
        one_round(job, rewriter, round);
    }
    sg_rewriter_free(rewriter);
    /* Whoever is last frees it. */
    sg_snapshot_unref(job->snapshot);
    return NULL;
}

Test(threads, share_a_snapshot) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    atomic_int wrong = 0;
    struct job jobs[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){sg_snapshot_ref(snapshot), i, &wrong};
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    sg_snapshot_unref(snapshot);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(atomic_load(&wrong), 0);
}
