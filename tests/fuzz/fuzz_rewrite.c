/*
 * Any text through the rewriter.
 *
 * Input: a byte of phase (bits 0-1), star (2-3), search path (4-5) and database (6-7: see worlds.c), a byte of session
 * settings, then the text up to its first NUL, which the wire cannot carry.
 *
 * Properties:
 *   - the answer is PASS, REWRITE, REFUSE or ASK, and the same when asked again (then from the cache);
 *   - it is ASK only for who can ask, and not for ever: each time it asks for names it has not been told;
 *   - the text with other literals gets from the cache the answer that it gets by itself, if its bytes are valid;
 *   - what the pre-filter rules out is never touched, and with no mapping in force nothing is;
 *   - a rewritten text is the client's with the edits spliced in: every byte outside them is as it was;
 *   - of several statements, those that cannot name a mapped table keep every byte;
 *   - PostgreSQL's own grammar accepts every text that was rewritten;
 *   - a refusal carries a SQLSTATE, a message, and a position that lies in the text;
 *   - an error position of the server maps to one in the client's text.
 */
#include "check.h"
#include "literals.h"
#include "segue/protocol.h"
#include "segue/rewrite.h"
#include "worlds.h"

#include <pg_query.h>
#include <string.h>

#define CACHE_BYTES    (1u << 16) /* small, so that plans are evicted while the fuzzer runs */
#define TEXT_MAX_BYTES 4096u      /* the grammar's own time grows with the text; nothing new is found in longer ones */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept: what the fuzzer is after is the plan. */
static struct sg_rewriter *remembering(void) {
    static struct sg_rewriter *rewriter;
    if (!rewriter) {
        rewriter = sg_rewriter_new(CACHE_BYTES);
    }
    return rewriter;
}

static struct sg_rewriter *forgetful(void) {
    static struct sg_rewriter *rewriter;
    if (!rewriter) {
        rewriter = sg_rewriter_new(0);
    }
    return rewriter;
}

/* Positions must not be beyond the text. */
static int characters(const struct sg_plan *plan, struct sg_span sql) {
    return (int)sg_encoding_count(plan->encoding, sql, sql.len);
}

static void check_splice(const struct sg_plan *plan, struct sg_span sql) {
    size_t from = 0, to = 0; /* in the client's text; in the new one */
    CHECK(plan->edits_len > 0 && plan->sql.ptr[plan->sql.len] == 0 && strlen(plan->sql.ptr) == plan->sql.len);
    for (size_t i = 0; i < plan->edits_len; i++) {
        const struct sg_edit *edit = &plan->edits[i];
        CHECK(edit->at >= from && edit->at <= sql.len && edit->removed <= sql.len - edit->at);
        size_t kept = edit->at - from;
        CHECK(kept <= plan->sql.len - to && memcmp(plan->sql.ptr + to, sql.ptr + from, kept) == 0);
        to += kept;
        CHECK(edit->inserted <= plan->sql.len - to);
        to += edit->inserted;
        from = edit->at + edit->removed;
    }
    CHECK(sql.len - from == plan->sql.len - to && memcmp(plan->sql.ptr + to, sql.ptr + from, sql.len - from) == 0);
}

/* Is any byte between these two changed? */
static bool is_edited(const struct sg_plan *plan, size_t from, size_t to) {
    for (size_t i = 0; i < plan->edits_len; i++) {
        const struct sg_edit *edit = &plan->edits[i];
        if (edit->at < to && edit->at + edit->removed > from) {
            return true;
        }
    }
    return false;
}

static void check_neighbours(const struct sg_plan *plan, struct sg_snapshot *snapshot,
                             const struct sg_request *request) {
    struct sg_span statement;
    for (size_t at = 0; sg_split_next(request->sql, &at, &statement);) {
        size_t from = (size_t)(statement.ptr - request->sql.ptr);
        CHECK(sg_prefilter_may_match(snapshot, statement, request->encoding) ||
              !is_edited(plan, from, from + statement.len));
    }
}

/* Asked of the library itself, which knows nothing of mappings. Its settings are the default ones. */
static void check_grammar(const struct sg_plan *plan, struct sg_span sql, const struct sg_request *request) {
    if (request->backslash_quotes || request->encoding != SG_ENCODING_UTF8) {
        return;
    }
    PgQueryParseResult result = pg_query_parse(plan->sql.ptr);
    if (result.error) {
        fprintf(stderr, "%s\n  was: %.*s\n  now: %s\n", result.error->message, (int)sql.len, sql.ptr, plan->sql.ptr);
    }
    CHECK(!result.error);
    pg_query_free_parse_result(result);
}

static void check_positions(const struct sg_plan *plan, struct sg_span sql) {
    int most = characters(plan, sql) + 1;
    int new_most = characters(plan, plan->sql) + 1;
    for (int position = 1; position <= new_most; position++) {
        int mapped = sg_plan_map_position(plan, sql, position);
        CHECK(mapped >= 1 && mapped <= most);
    }
}

static void check_plan(const struct sg_plan *plan, struct sg_snapshot *snapshot, const struct sg_request *request) {
    switch (plan->action) {
    case SG_PASS:
        return;
    case SG_REWRITE:
        check_splice(plan, request->sql);
        check_grammar(plan, request->sql, request);
        check_positions(plan, request->sql);
        check_neighbours(plan, snapshot, request);
        return;
    case SG_REFUSE:
        CHECK(strlen(plan->error->sqlstate) == 5 && plan->error->message[0] != 0);
        CHECK(plan->error->position >= 0);
        CHECK(plan->error->position <= characters(plan, request->sql) + 1);
        return;
    case SG_ASK:
        CHECK(request->can_ask && plan->asks_len > 0);
        return;
    }
    CHECK(!"an action there is");
}

static void check_again(const struct sg_plan *first, struct sg_snapshot *snapshot, const struct sg_request *request) {
    const struct sg_plan *again = sg_rewriter_plan(remembering(), snapshot, request);
    CHECK(again && again->action == first->action);
    CHECK(again->action != SG_REWRITE || sg_span_eq(again->sql, first->sql));
    CHECK(again->action != SG_REFUSE || strcmp(again->error->message, first->error->message) == 0);
}

static void check_other_literals(struct sg_snapshot *snapshot, struct sg_request request) {
    uint64_t seed = request.sql.len;
    char *sql = other_literals(request.sql, &seed);
    request.sql = sg_span_of(sql);
    /* The server looks at the bytes first, and answers with the same error whatever became of the text. */
    if (!sg_encoding_is_valid(request.encoding, request.sql) || !sg_encoding_is_valid(SG_ENCODING_UTF8, request.sql)) {
        free(sql);
        return;
    }
    const struct sg_plan *got = sg_rewriter_plan(remembering(), snapshot, &request);
    const char *difference = plans_differ(got, sg_rewriter_plan(forgetful(), snapshot, &request));
    if (difference) {
        fprintf(stderr, "%s differs for: %s\n", difference, sql);
    }
    CHECK(!difference);
    free(sql);
}

/* Some server's answer, the same for the same name. */
static void add_fact(struct sg_buf *facts, struct sg_span ask) {
    static const char *const answers[] = {"", "\"public\" \"id\" \"nickname\"", "\"shop\"?", "\"pg_temp_3\"",
                                          "\"other\" \"a\"\"b\" \"username\""};
    unsigned sum = 0;
    for (size_t i = 0; i < ask.len; i++) {
        sum = sum * 31u + (uint8_t)ask.ptr[i];
    }
    sg_buf_put(facts, ask.ptr, ask.len);
    sg_buf_put_u8(facts, '=');
    sg_buf_put(facts, answers[sum % 5], strlen(answers[sum % 5]));
    sg_buf_put_u8(facts, ';');
}

/* Between NULs, which no name holds. */
static void note_new(struct sg_buf *asked, struct sg_span ask) {
    struct sg_buf entry = {0};
    sg_buf_put_u8(&entry, 0);
    sg_buf_put(&entry, ask.ptr, ask.len);
    sg_buf_put_u8(&entry, 0);
    CHECK(!asked->len || !memmem(asked->data, asked->len, entry.data, entry.len));
    sg_buf_put(asked, entry.data, entry.len);
    sg_buf_free(&entry);
}

static void check_asking(struct sg_snapshot *snapshot, struct sg_request request) {
    struct sg_buf facts = {0}, asked = {0};
    const struct sg_plan *plan;
    while ((plan = sg_rewriter_plan(remembering(), snapshot, &request)) && plan->action == SG_ASK) {
        for (size_t i = 0; i < plan->asks_len; i++) {
            note_new(&asked, plan->asks[i]);
            add_fact(&facts, plan->asks[i]);
        }
        request.facts = (struct sg_span){(const char *)facts.data, facts.len};
    }
    if (plan) {
        check_plan(plan, snapshot, &request);
    }
    sg_buf_free(&facts);
    sg_buf_free(&asked);
}

static void run(struct sg_snapshot *snapshot, const struct sg_request *request) {
    const struct sg_plan *plan = sg_rewriter_plan(remembering(), snapshot, request);
    CHECK(!plan || plan->action == SG_PASS || sg_prefilter_may_match(snapshot, request->sql, request->encoding));
    if (plan) {
        plan = sg_plan_ref(plan);
        check_plan(plan, snapshot, request);
        check_again(plan, snapshot, request);
        check_other_literals(snapshot, *request);
        sg_plan_unref(plan);
    }
    check_asking(snapshot, *request);
    (void)sg_text_effect(request->sql);
    plan = sg_rewriter_plan(remembering(), world_unmapped(), request);
    CHECK(!plan || plan->action == SG_PASS);
    plan = sg_rewriter_plan(remembering(), NULL, request);
    CHECK(!plan || plan->action == SG_PASS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const paths[] = {"\"$user\", public", "other, public", "shop", NULL};
    static const enum sg_encoding encodings[6][4] = {
        [1] = {SG_ENCODING_LATIN1, SG_ENCODING_EUC_JP, SG_ENCODING_EUC_TW, SG_ENCODING_SQL_ASCII},
        [4] = {SG_ENCODING_SJIS, SG_ENCODING_GB18030, SG_ENCODING_BIG5, SG_ENCODING_SHIFT_JIS_2004},
        [5] = {SG_ENCODING_GBK, SG_ENCODING_JOHAB, SG_ENCODING_MULE_INTERNAL, SG_ENCODING_OTHER},
    };
    if (size < 2 || size > TEXT_MAX_BYTES) {
        return 0;
    }
    size_t len = strnlen((const char *)data + 2, size - 2);
    char *sql = malloc(len ? len : 1); /* of its exact size: the rewriter must not need a NUL */
    CHECK(sql);
    memcpy(sql, data + 2, len);
    struct sg_request request = {
        .sql = {sql, len},
        .star = (enum sg_star)((data[0] >> 2 & 3) % 3),
        .search_path = paths[data[0] >> 4 & 3],
        .encoding = encodings[data[1] & 5][data[1] >> 6],
        .backslash_quotes = data[1] & 2,
        .extended = data[1] & 8,
        .can_ask = data[1] & 16,
        .is_doubtful = data[1] & 32,
    };
    request.search_path = request.can_ask ? NULL : request.search_path;
    run(world_snapshot(data[0] >> 6, (enum sg_phase)(data[0] & 3)), &request);
    free(sql);
    return 0;
}
