/*
 * Runs every case of every *.md beside this file through the rewriter, in every phase.
 *
 * For each answer it checks more than the text: the edits describe exactly the change, the output still parses, the
 * plan cache gives the same answer as the cold path, also for the statement with other literals, neighbours in the same
 * message do not disturb, and nothing is read past the end of the input (which lies at the end of a page, with an
 * unreadable one behind it).
 *
 * SEGUE_GOLDEN=part-of-a-file-name runs some files only.
 */
#include "case_file.h"
#include "literals.h"
#include "schema.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EPOCH       7
#define CACHE_BYTES (1u << 20)

/* One question to the rewriter, and where to report. */
struct trial {
    const struct golden_file *file;
    const struct golden_case *golden;
    const struct golden_expect *expect;
    enum sg_phase phase;
    struct sg_snapshot *snapshot;
    struct sg_rewriter *rewriter;
    struct sg_rewriter *forgetful; /* keeps no plans */
    int *failures;
};

static void failed(const struct trial *trial, const char *what, const char *expected, const char *got) {
    int line = trial->expect->line ? trial->expect->line : trial->golden->line;
    fprintf(stderr, "%s:%d: \"%s\" in %s: %s\n", trial->file->path, line, trial->golden->title,
            sg_phase_name(trial->phase), what);
    if (expected) {
        size_t same = 0;
        while (expected[same] && expected[same] == got[same]) {
            same++;
        }
        fprintf(stderr, "  input    |%s\n  expected |%s\n  got      |%s\n            %*s^\n", trial->golden->sql,
                expected, got, (int)same, "");
    }
    (*trial->failures)++;
}

/* ---- Input whose next byte may not be read ---- */

struct guarded {
    char *pages;
    size_t bytes;
    struct sg_span sql;
};

static struct guarded guarded_make(const char *sql) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t len = strlen(sql);
    struct guarded made = {.bytes = (len / page + 2) * page};
    made.pages = mmap(NULL, made.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(made.pages, MAP_FAILED);
    char *unreadable = made.pages + made.bytes - page;
    memcpy(unreadable - len, sql, len);
    cr_assert_eq(mprotect(unreadable, page, PROT_NONE), 0);
    made.sql = (struct sg_span){unreadable - len, len};
    return made;
}

static void guarded_free(struct guarded *guarded) {
    munmap(guarded->pages, guarded->bytes);
}

/* ---- What every answer must satisfy ---- */

static struct sg_request request_for(const struct trial *trial, struct sg_span sql) {
    return (struct sg_request){.sql = sql,
                               .star = trial->golden->options.star,
                               .search_path = trial->golden->options.search_path,
                               .backslash_quotes = trial->golden->options.backslash_quotes,
                               .extended = trial->golden->options.extended};
}

/* The edits, applied to the input, must account for every byte of the output; none may replace text by itself. */
static void check_edits(const struct trial *trial, struct sg_span in, const struct sg_plan *plan) {
    size_t at_in = 0;
    size_t at_out = 0;
    for (size_t i = 0; i < plan->edits_len; i++) {
        const struct sg_edit *edit = &plan->edits[i];
        size_t kept = edit->at - at_in;
        if (edit->at < at_in || edit->at + edit->removed > in.len || at_out + kept + edit->inserted > plan->sql.len) {
            failed(trial, "edits overlap, or point outside the text", NULL, NULL);
            return;
        }
        if (memcmp(in.ptr + at_in, plan->sql.ptr + at_out, kept) != 0) {
            failed(trial, "bytes changed that no edit speaks of", NULL, NULL);
            return;
        }
        struct sg_span removed = {in.ptr + edit->at, edit->removed};
        struct sg_span inserted = {plan->sql.ptr + at_out + kept, edit->inserted};
        if (sg_span_eq(removed, inserted)) {
            failed(trial, "an edit changes nothing", NULL, NULL);
        }
        at_in = edit->at + edit->removed;
        at_out += kept + edit->inserted;
    }
    struct sg_span rest_in = {in.ptr + at_in, in.len - at_in};
    struct sg_span rest_out = {plan->sql.ptr + at_out, plan->sql.len - at_out};
    if (!sg_span_eq(rest_in, rest_out)) {
        failed(trial, "bytes after the last edit changed", NULL, NULL);
    }
}

static void check_parses(const struct trial *trial, const char *sql) {
    PgQueryParseResult parsed = pg_query_parse(sql);
    if (parsed.error) {
        failed(trial, parsed.error->message, trial->golden->sql, sql);
    }
    pg_query_free_parse_result(parsed);
}

static const char *refusal(const struct sg_plan *plan) {
    static char whole[sizeof *plan->error * 2];
    const struct sg_error *error = plan->error;
    snprintf(whole, sizeof whole, "%s: %s | %s | %s", error->sqlstate, error->message, error->detail, error->hint);
    return whole;
}

static void check_refusal(const struct trial *trial, const struct sg_plan *plan) {
    if (!strstr(refusal(plan), trial->expect->text)) {
        failed(trial, "refused for another reason", trial->expect->text, refusal(plan));
    }
    if (strcmp(plan->error->sqlstate, "0A000") == 0 && (!plan->error->detail[0] || !plan->error->hint[0])) {
        failed(trial, "a refusal says what was met and what to do", "detail and hint", refusal(plan));
    }
}

/* What the server would receive; NULL when nothing. */
static const char *outcome(const struct sg_plan *plan, const char *sql) {
    if (!plan || plan->action == SG_PASS) {
        return sql;
    }
    return plan->action == SG_REWRITE ? plan->sql.ptr : NULL;
}

static void check_text(const struct trial *trial, struct sg_span in, const struct sg_plan *plan) {
    const struct golden_case *golden = trial->golden;
    const char *got = outcome(plan, golden->sql);
    if (!got) {
        failed(trial, "refused", trial->expect->kind == GOLDEN_TEXT ? trial->expect->text : golden->sql, refusal(plan));
        return;
    }
    if (trial->expect->kind == GOLDEN_UNTOUCHED) {
        if (plan && plan->action != SG_PASS) {
            failed(trial, "not passed byte for byte", golden->sql, got);
        }
        return;
    }
    if (strcmp(got, trial->expect->text) != 0) {
        failed(trial, "another text", trial->expect->text, got);
        return;
    }
    if (plan->sql.len != strlen(got)) {
        failed(trial, "the length is not that of the text", NULL, NULL);
    }
    check_edits(trial, in, plan);
    check_parses(trial, got);
}

static void check_answer(const struct trial *trial, struct sg_span in, const struct sg_plan *plan) {
    if (plan && plan->epoch != EPOCH) {
        failed(trial, "a plan of another epoch", NULL, NULL);
    }
    if (trial->expect->kind != GOLDEN_REFUSED) {
        check_text(trial, in, plan);
    } else if (!plan || plan->action != SG_REFUSE) {
        failed(trial, "not refused", trial->expect->text, outcome(plan, trial->golden->sql));
    } else {
        check_refusal(trial, plan);
    }
}

/* ---- Neighbours in the same message ---- */

/* The statement between two that are no concern of ours: the same answer, shifted. */
static void check_between_neighbours(const struct trial *trial) {
    const struct golden_case *golden = trial->golden;
    if (golden->options.extended) {
        return; /* one statement a message */
    }
    bool refuse = trial->expect->kind == GOLDEN_REFUSED;
    const char *middle = trial->expect->kind == GOLDEN_TEXT ? trial->expect->text : golden->sql;
    static const char before[] = "SELECT 'ünï' AS \"a;b\" /* ; */;\n";
    static const char after[] = "\n;; SELECT 2 -- and no more";
    char *sql = NULL;
    char *wanted = NULL;
    cr_assert_gt(asprintf(&sql, "%s%s%s", before, golden->sql, after), 0);
    cr_assert_gt(asprintf(&wanted, "%s%s%s", before, middle, after), 0);
    struct sg_request request = request_for(trial, sg_span_of(sql));
    const struct sg_plan *plan = sg_rewriter_plan(trial->rewriter, trial->snapshot, &request);
    const char *got = outcome(plan, sql);
    if (refuse != !got) {
        failed(trial, "answered otherwise between neighbours", middle, got ? got : refusal(plan));
    } else if (got && strcmp(got, wanted) != 0) {
        failed(trial, "neighbours disturb", wanted, got);
    } else if (plan && plan->action == SG_REWRITE) {
        check_edits(trial, request.sql, plan);
    }
    free(sql);
    free(wanted);
}

/* ---- The same statement with other literals ---- */

enum { OTHER_TEXTS = 6 };

/* Whatever the cache makes of it must be what the text gets by itself. */
static void check_other_literals(const struct trial *trial) {
    uint64_t seed = (uint64_t)trial->golden->line;
    for (int i = 0; i < OTHER_TEXTS; i++) {
        char *sql = other_literals(sg_span_of(trial->golden->sql), &seed);
        struct sg_request request = request_for(trial, sg_span_of(sql));
        const struct sg_plan *got = sg_rewriter_plan(trial->rewriter, trial->snapshot, &request);
        const struct sg_plan *wanted = sg_rewriter_plan(trial->forgetful, trial->snapshot, &request);
        const char *difference = plans_differ(got, wanted);
        if (difference) {
            fprintf(stderr, "with other literals: %s\n", sql);
            failed(trial, difference, wanted && wanted->sql.ptr ? wanted->sql.ptr : "",
                   got && got->sql.ptr ? got->sql.ptr : "");
        }
        free(sql);
    }
}

/* ---- Rewritten again ---- */

/* What comes out names the columns of the phase as they are meant: a client that sends it means just that. */
static void check_rewritten_again(const struct trial *trial) {
    if (trial->expect->kind != GOLDEN_TEXT) {
        return;
    }
    struct sg_request request = request_for(trial, sg_span_of(trial->expect->text));
    const struct sg_plan *plan = sg_rewriter_plan(trial->forgetful, trial->snapshot, &request);
    const char *got = outcome(plan, trial->expect->text);
    if (!got || strcmp(got, trial->expect->text) != 0) {
        failed(trial, "does not stay as it is when it is rewritten again", trial->expect->text,
               got ? got : refusal(plan));
    }
}

/* ---- The walk ---- */

static void run_trial(const struct trial *trial) {
    struct guarded guarded = guarded_make(trial->golden->sql);
    struct sg_request request = request_for(trial, guarded.sql);
    const struct sg_plan *cold = sg_rewriter_plan(trial->rewriter, trial->snapshot, &request);
    check_answer(trial, guarded.sql, cold);
    bool planned = cold != NULL;
    guarded_free(&guarded);

    struct sg_rewriter_stats before;
    struct sg_rewriter_stats after;
    sg_rewriter_stats(trial->rewriter, &before);
    request.sql = sg_span_of(trial->golden->sql);
    const struct sg_plan *warm = sg_rewriter_plan(trial->rewriter, trial->snapshot, &request);
    check_answer(trial, request.sql, warm);
    sg_rewriter_stats(trial->rewriter, &after);
    if (planned != (warm != NULL) || after.cold != before.cold) {
        failed(trial, "the second time was not answered from the cache", NULL, NULL);
    }
    check_between_neighbours(trial);
    check_other_literals(trial);
    check_rewritten_again(trial);
}

static int run_phase(struct golden_file *file, enum sg_phase phase, bool keep_old, int *failures) {
    struct sg_snapshot *snapshot = golden_snapshot(file, phase, keep_old, EPOCH);
    struct sg_rewriter *rewriter = sg_rewriter_new(CACHE_BYTES);
    struct sg_rewriter *forgetful = sg_rewriter_new(0);
    int trials = 0;
    for (const struct golden_case *golden = file->cases; golden; golden = golden->next, trials++) {
        struct trial trial = {file, golden, &golden->expect[phase], phase, snapshot, rewriter, forgetful, failures};
        run_trial(&trial);
    }
    sg_rewriter_free(forgetful);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
    return trials;
}

/* ---- Text that ends too early ---- */

/* Every prefix of a statement is an input too. Whatever the answer, nothing behind it is read, and what is rewritten is
 * accounted for and parses. */
static void run_prefixes(struct golden_file *file, enum sg_phase phase, int *failures) {
    struct sg_snapshot *snapshot = golden_snapshot(file, phase, false, EPOCH);
    struct sg_rewriter *rewriter = sg_rewriter_new(0);
    for (const struct golden_case *golden = file->cases; golden; golden = golden->next) {
        struct trial trial = {file, golden, &golden->expect[phase], phase, snapshot, rewriter, NULL, failures};
        struct guarded guarded = guarded_make(golden->sql);
        char *end = guarded.pages + guarded.bytes - sysconf(_SC_PAGESIZE);
        for (size_t len = 0; len < guarded.sql.len; len++) {
            struct sg_span prefix = {memcpy(end - len, golden->sql, len), len};
            struct sg_request request = request_for(&trial, prefix);
            const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
            if (plan && plan->action == SG_REWRITE) {
                check_edits(&trial, prefix, plan);
                check_parses(&trial, plan->sql.ptr);
            }
        }
        guarded_free(&guarded);
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* ---- All files ---- */

typedef int on_file_fn(struct golden_file *file, int *failures);

static int run_cases(struct golden_file *file, int *failures) {
    int cases = 0;
    for (int phase = SG_PHASE_PLANNED; phase < GOLDEN_PHASES; phase++) {
        cases = run_phase(file, (enum sg_phase)phase, false, failures);
    }
    /* Until every proxy is in new_only the old column is still there: the answers must not depend on it. */
    run_phase(file, SG_PHASE_NEW_ONLY, true, failures);
    return cases;
}

static int run_all_prefixes(struct golden_file *file, int *failures) {
    run_prefixes(file, SG_PHASE_DUAL_WRITE, failures);
    run_prefixes(file, SG_PHASE_NEW_ONLY, failures);
    return 1;
}

static void each_file(on_file_fn *on_file) {
    const char *source = getenv("SEGUE_SOURCE_DIR");
    const char *only = getenv("SEGUE_GOLDEN");
    cr_assert_not_null(source, "SEGUE_SOURCE_DIR is not set");
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/tests/golden/*.md", source);
    glob_t files = {0};
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    int done = 0;
    int failures = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *path = files.gl_pathv[i];
        if (!strstr(path, "README.md") && (!only || strstr(path, only))) {
            struct golden_file *file = golden_file_read(path);
            done += on_file(file, &failures);
            golden_file_free(file);
        }
    }
    globfree(&files);
    cr_assert_gt(done, 0);
    cr_assert_eq(failures, 0, "%d answers are not the golden ones", failures);
}

Test(golden, cases) {
    each_file(run_cases);
}

Test(golden, every_prefix_of_every_case) {
    each_file(run_all_prefixes);
}
