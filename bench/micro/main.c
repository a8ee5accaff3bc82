/*
 * micro — what the rewriter costs a statement, in nanoseconds of one thread, for each of the three ways through it:
 *
 *   pre-filter miss   names no mapped table or column: the commonest statement of all
 *   plan-cache hit    a text that was seen before
 *   cold              parse, resolve, edit, splice; the cache is too small to keep anything
 *
 * Each figure is the best of several rounds: noise only ever adds.
 */
#include "segue/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS     7
#define ROUND_NS   60000000ULL
#define CACHE_BIG  (16U << 20)
#define CACHE_NONE 1

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static const char ddl[] =
    "CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100), city_id integer, version bigint);"
    "CREATE TABLE orders (order_id bigint PRIMARY KEY, user_id bigint, total numeric, placed_at timestamptz);";

static struct sg_snapshot *make_snapshot(enum sg_phase phase) {
    struct sg_error err;
    struct sg_catalog *catalog = sg_catalog_new();
    if (!sg_catalog_add_ddl(catalog, sg_span_of(ddl), &err)) {
        fprintf(stderr, "micro: %s\n", err.message);
        exit(1);
    }
    static const struct sg_column shape[] = {
        {.name = "user_id", .type = "bigint"},
        {.name = "nickname", .type = "character varying"},
        {.name = "city_id", .type = "integer"},
        {.name = "version", .type = "bigint"},
    };
    struct sg_mapping mapping = {.migration = "rename",
                                 .schema = "public",
                                 .table = "users",
                                 .old_name = "nickname",
                                 .new_name = "username",
                                 .phase = phase,
                                 .shape = shape,
                                 .shape_len = 4};
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, &mapping, 1, &err);
    if (!snapshot) {
        fprintf(stderr, "micro: %s\n", err.message);
        exit(1);
    }
    return snapshot;
}

/* One statement, best of ROUNDS. */
static double measure_ns(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, const struct sg_request *request) {
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = now_ns(), count = 0;
        do {
            for (int i = 0; i < 16; i++)
                sg_rewriter_plan(rewriter, snapshot, request);
            count += 16;
        } while (now_ns() - began < ROUND_NS);
        double each = (double)(now_ns() - began) / (double)count;
        best = each < best ? each : best;
    }
    return best;
}

static const char *action_name(const struct sg_plan *plan) {
    return !plan ? "pre-filter" : plan->action == SG_PASS ? "pass" : plan->action == SG_REWRITE ? "rewrite" : "refuse";
}

static const struct {
    const char *label, *sql;
} cases[] = {
    {"other table, by key", "SELECT total, placed_at FROM orders WHERE order_id = $1"},
    {"other table, 6 rows insert",
     "INSERT INTO orders (order_id, user_id, total) VALUES (1, 2, 3.5), (2, 2, 3.5), (3, 2, 3.5), (4, 2, 3.5), "
     "(5, 2, 3.5), (6, 2, 3.5)"},
    {"read by key", "SELECT user_id, username FROM users WHERE user_id = $1"},
    {"read *", "SELECT * FROM users WHERE user_id = $1"},
    {"insert", "INSERT INTO users (user_id, nickname, city_id) VALUES ($1, $2, $3)"},
    {"insert without a list", "INSERT INTO users VALUES ($1, $2, $3, $4)"},
    {"upsert", "INSERT INTO users (user_id, nickname) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET nickname = "
               "EXCLUDED.nickname RETURNING user_id, nickname"},
    {"update", "UPDATE users SET nickname = $1 WHERE user_id = $2"},
    {"update, volatile", "UPDATE users SET nickname = md5(random()::text) WHERE user_id = $1"},
    {"join, order, limit", "SELECT u.user_id, u.username, o.total FROM users u JOIN orders o ON o.user_id = u.user_id "
                           "WHERE u.nickname = $1 ORDER BY o.placed_at DESC LIMIT 10"},
};

int main(void) {
    struct sg_snapshot *snapshot = make_snapshot(SG_PHASE_DUAL_WRITE);
    struct sg_rewriter *warm = sg_rewriter_new(CACHE_BIG), *cold = sg_rewriter_new(CACHE_NONE);
    printf("%-28s %-11s %12s %12s %12s\n", "statement, dual_write", "action", "filter ns", "cached ns", "cold ns");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_request request = {
            .sql = sg_span_of(cases[i].sql), .search_path = "public", .utf8 = true, .extended = true};
        const char *action = action_name(sg_rewriter_plan(warm, snapshot, &request));
        double warm_ns = measure_ns(warm, snapshot, &request);
        if (!sg_prefilter_may_match(snapshot, request.sql))
            printf("%-28s %-11s %12.0f %12s %12s\n", cases[i].label, action, warm_ns, "-", "-");
        else
            printf("%-28s %-11s %12s %12.0f %12.0f\n", cases[i].label, action, "-", warm_ns,
                   measure_ns(cold, snapshot, &request));
    }
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(cold, &stats);
    if (stats.cache_hit > 0)
        printf("(the cold rewriter answered %llu times from its cache: its figures are not cold)\n",
               (unsigned long long)stats.cache_hit);
    sg_rewriter_free(warm);
    sg_rewriter_free(cold);
    sg_snapshot_unref(snapshot);
    return 0;
}
