#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_THREADS 8
#define TEXTS       64
#define RUN_MS      400
#define CACHE_BYTES (16U << 20)

/* What all threads of one measurement share. */
struct field {
    struct sg_snapshot *snapshot;
    struct sg_rewriter *common; /* NULL: each has its own */
    pthread_mutex_t lock;
    atomic_bool go, stop;
};

struct thread {
    pthread_t handle;
    struct field *field;
    uint64_t statements;
};

static void plan_one(struct field *field, struct sg_rewriter *own, const struct sg_request *request) {
    if (!field->common) {
        sg_rewriter_plan(own, field->snapshot, request);
        return;
    }
    pthread_mutex_lock(&field->lock);
    sg_rewriter_plan(field->common, field->snapshot, request);
    pthread_mutex_unlock(&field->lock);
}

static void *run(void *argument) {
    struct thread *thread = argument;
    struct field *field = thread->field;
    char texts[TEXTS][80];
    for (int i = 0; i < TEXTS; i++)
        snprintf(texts[i], sizeof texts[i], "SELECT user_id, username AS n%d FROM users WHERE user_id = $1", i);
    struct sg_rewriter *own = field->common ? NULL : sg_rewriter_new(CACHE_BYTES);
    while (!atomic_load(&field->go))
        ;
    while (!atomic_load_explicit(&field->stop, memory_order_relaxed)) {
        for (int i = 0; i < TEXTS; i++) {
            struct sg_request request = {.sql = sg_span_of(texts[i]), .search_path = "public"};
            plan_one(field, own, &request);
        }
        thread->statements += TEXTS;
    }
    sg_rewriter_free(own);
    return NULL;
}

/* Nanoseconds of a thread's time for a statement. */
static double measure(struct sg_snapshot *snapshot, bool common, size_t n) {
    struct field field = {.snapshot = snapshot, .common = common ? sg_rewriter_new(CACHE_BYTES) : NULL};
    struct thread threads[MAX_THREADS] = {0};
    pthread_mutex_init(&field.lock, NULL);
    for (size_t i = 0; i < n; i++) {
        threads[i].field = &field;
        if (pthread_create(&threads[i].handle, NULL, run, &threads[i]) != 0)
            abort();
    }
    struct timespec pause = {.tv_nsec = RUN_MS * 1000000L}, began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    atomic_store(&field.go, true);
    nanosleep(&pause, NULL);
    atomic_store(&field.stop, true);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    uint64_t statements = 0;
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i].handle, NULL);
        statements += threads[i].statements;
    }
    sg_rewriter_free(field.common);
    pthread_mutex_destroy(&field.lock);
    double ns = (double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec);
    return ns * (double)n / (double)statements;
}

void micro_threads(struct sg_snapshot *snapshot) {
    static const size_t counts[] = {1, 2, 4, MAX_THREADS};
    printf("%-10s %16s %16s\n", "threads", "a cache each, ns", "one for all, ns");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        printf("%-10zu %16.0f %16.0f\n", counts[i], measure(snapshot, false, counts[i]),
               measure(snapshot, true, counts[i]));
}
