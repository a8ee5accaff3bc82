#include "postgres.h"

#include "common/keywords.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include <pg_query.h>

#include "convert.h"
#include "parse.h"
#include "token.h"

/* From libpg_query's pg_query_internal.h, which Debian ships in a form that cannot be included on its own. */
typedef struct {
    List *tree;
    char *stderr_buffer;
    PgQueryError *error;
} PgQueryInternalParsetreeAndError;

extern PgQueryInternalParsetreeAndError pg_query_raw_parse(const char *input);
extern MemoryContext pg_query_enter_memory_context(void);
extern void pg_query_exit_memory_context(MemoryContext ctx);
extern void pg_query_free_error(PgQueryError *error);

/* Runs fn on the raw tree inside a memory context that is gone afterwards. */
struct raw {
    MemoryContext context;
    PgQueryInternalParsetreeAndError result;
};

static enum sg_parse_result raw_begin(struct raw *raw, struct sg_span sql, struct sg_error *reterr) {
    raw->context = pg_query_enter_memory_context();
    raw->result = pg_query_raw_parse(sql.ptr);
    if (!raw->result.error)
        return SG_PARSE_OK;
    sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "%s", raw->result.error->message);
    reterr->position = raw->result.error->cursorpos;
    return SG_PARSE_SYNTAX;
}

static void raw_end(struct raw *raw) {
    if (raw->result.error)
        pg_query_free_error(raw->result.error);
    free(raw->result.stderr_buffer); /* pg_query_raw_parse hands over a malloc'd copy */
    pg_query_exit_memory_context(raw->context);
}

enum sg_parse_result sg_parse(struct sg_arena *arena, const struct sg_spelling *spelling,
                              struct sg_parse_tree *ret_tree, struct sg_error *reterr) {
    struct sg_span sql = spelling->mask;
    struct raw raw;
    enum sg_parse_result result = raw_begin(&raw, sql, reterr);
    if (result == SG_PARSE_OK) {
        struct sg_convert cv = {.arena = arena, .spelling = spelling};
        struct sg_parse_tree tree = {.v = sg_arena_array(arena, struct sg_statement, list_length(raw.result.tree))};
        ListCell *cell;
        foreach (cell, raw.result.tree) {
            const RawStmt *stmt = lfirst_node(RawStmt, cell);
            struct sg_statement *out = &tree.v[tree.n++];
            out->at = (size_t)stmt->stmt_location;
            out->len = stmt->stmt_len ? (size_t)stmt->stmt_len : sql.len - out->at;
            sg_convert_statement(&cv, out, stmt->stmt);
        }
        if (cv.unsupported) {
            sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "segue does not support %s", cv.unsupported);
            result = SG_PARSE_UNSUPPORTED;
        } else {
            tree.constants = cv.constants;
            *ret_tree = tree;
        }
    }
    raw_end(&raw);
    return result;
}

enum sg_parse_result sg_parse_ddl(struct sg_arena *arena, struct sg_span sql, struct sg_ddl *ret_ddl,
                                  struct sg_error *reterr) {
    struct raw raw;
    enum sg_parse_result result = raw_begin(&raw, sql, reterr);
    if (result == SG_PARSE_OK) {
        struct sg_ddl_reader reader = {.arena = arena};
        sg_tokenize(arena, sql, (struct sg_lexis){0}, &reader.tokens);
        ListCell *cell;
        foreach (cell, raw.result.tree)
            sg_convert_ddl(&reader, lfirst_node(RawStmt, cell)->stmt);
        *ret_ddl = reader.ddl;
    }
    raw_end(&raw);
    return result;
}

bool sg_keyword_needs_quotes(const char *word) {
    int keyword = ScanKeywordLookup(word, &ScanKeywords);
    return keyword >= 0 && ScanKeywordCategories[keyword] != UNRESERVED_KEYWORD;
}

bool sg_keyword_is_reserved(const char *word) {
    int keyword = ScanKeywordLookup(word, &ScanKeywords);
    return keyword >= 0 && ScanKeywordCategories[keyword] == RESERVED_KEYWORD;
}
