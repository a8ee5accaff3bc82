/*
 * micro — what the rewriter costs a statement, in nanoseconds of one thread, for each of the ways through it:
 *
 *   filtered   names no mapped table: the commonest statement of all; also for each kB of text
 *   text       this very text was seen before
 *   shape      a text was seen before that differs from it in its literals
 *   cold       parse, resolve, edit, splice; the cache is too small to keep anything
 *
 * Each figure is the best of several rounds: noise only ever adds.
 *
 *     segue-micro [--parts N] [PART-OF-A-LABEL]    users has so many partitions; some statements only
 *     segue-micro --threads                        had workers better share one cache?
 */
#include "cases.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS     7
#define ROUND_NS   40000000ULL
#define CACHE_BIG  (16U << 20)
#define CACHE_NONE 1

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Makes the text one that was never sent: counts its first COUNTER up, in place. */
static void count_up(char *counter) {
    char *digit = counter + sizeof COUNTER - 2;
    while (*digit == '9' && digit > counter)
        *digit-- = '0';
    ++*digit;
}

/* One statement, best of ROUNDS. counter: counted up before each; NULL: always the same text. */
static double measure_ns(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, const struct sg_request *request,
                         char *counter) {
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = now_ns(), count = 0;
        do {
            for (int i = 0; i < 16; i++) {
                if (counter)
                    count_up(counter);
                sg_rewriter_plan(rewriter, snapshot, request);
            }
            count += 16;
        } while (now_ns() - began < ROUND_NS);
        double each = (double)(now_ns() - began) / (double)count;
        best = each < best ? each : best;
    }
    return best;
}

static struct sg_rewriter_stats stats_of(const struct sg_rewriter *rewriter) {
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(rewriter, &stats);
    return stats;
}

static void print_ns(bool measured, double ns) {
    if (measured)
        printf(" %9.0f", ns);
    else
        printf(" %9s", "-");
}

static void measure(const struct micro_case *c, struct sg_snapshot *snapshot) {
    static const char *const actions[] = {[SG_PASS] = "pass", [SG_REWRITE] = "rewrite", [SG_REFUSE] = "refuse"};
    struct sg_rewriter *warm = sg_rewriter_new(CACHE_BIG), *cold = sg_rewriter_new(CACHE_NONE);
    struct sg_request request = {.sql = sg_span_of(c->sql), .search_path = "public"};
    const struct sg_plan *plan = sg_rewriter_plan(warm, snapshot, &request);
    char *counter = strstr(c->sql, COUNTER);
    printf("%-27s %7zu %-9s", c->label, request.sql.len, plan ? actions[plan->action] : "filtered");
    double text_ns = measure_ns(warm, snapshot, &request, NULL);
    print_ns(!plan, text_ns);
    print_ns(!plan && request.sql.len > 500, text_ns * 1000 / (double)request.sql.len);
    print_ns(plan, text_ns);
    double shape_ns = plan && counter ? measure_ns(warm, snapshot, &request, counter) : 0;
    print_ns(stats_of(warm).shape_hit > 2, shape_ns);
    print_ns(plan, plan ? measure_ns(cold, snapshot, &request, counter) : 0);
    printf("\n");
    if (stats_of(cold).cache_hit + stats_of(cold).shape_hit > 0)
        printf("(answered from the cache: the figure is not cold)\n");
    sg_rewriter_free(warm);
    sg_rewriter_free(cold);
}

static void measure_all(struct sg_snapshot *snapshot, const char *only) {
    struct micro_case *cases;
    size_t n = micro_cases(&cases);
    printf("%-27s %7s %-9s %9s %9s %9s %9s %9s\n", "dual_write, ns a statement", "bytes", "", "filtered", "per kB",
           "text", "shape", "cold");
    for (size_t i = 0; i < n; i++)
        if (!only || strstr(cases[i].label, only))
            measure(&cases[i], snapshot);
    micro_cases_free(cases, n);
}

int main(int argc, char **argv) {
    bool is_parts = argc > 2 && strcmp(argv[1], "--parts") == 0;
    const char *only = argc > (is_parts ? 3 : 1) ? argv[argc - 1] : NULL;
    struct sg_snapshot *snapshot =
        micro_snapshot(SG_PHASE_DUAL_WRITE, is_parts ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
    if (only && strcmp(only, "--threads") == 0)
        micro_threads(snapshot);
    else
        measure_all(snapshot, only);
    sg_snapshot_unref(snapshot);
    return 0;
}
