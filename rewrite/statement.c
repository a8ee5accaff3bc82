#include "statement.h"

#include "copy.h"
#include "parse.h"
#include "resolve.h"

/* ---- Does a text that is not a query name a mapped table? ---- */

/* Token i is a name: of this table, unless another schema stands before it. A reserved word is one only after a dot. */
static bool names_table(const struct sg_context *cx, size_t i, const struct sg_table *table) {
    const char *name = sg_token_name(cx->arena, &cx->tokens, i);
    if (!name || strcmp(name, table->relation->name) != 0)
        return false;
    if (i < 2 || !sg_token_is_punct(&cx->tokens, i - 1, '.'))
        return cx->tokens.v[i].kind != SG_TOKEN_WORD || !sg_keyword_is_reserved(name);
    const char *schema = sg_token_name(cx->arena, &cx->tokens, i - 2);
    return !schema || strcmp(schema, table->relation->schema) == 0 || strcmp(schema, "pg_temp") == 0;
}

static bool word_char(char c) {
    return c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

/* A name as a word inside a string: the body of a function. */
static bool body_names(struct sg_span body, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i + len <= body.len; i++)
        if (strncasecmp(body.ptr + i, name, len) == 0 && (i == 0 || !word_char(body.ptr[i - 1])) &&
            (i + len == body.len || !word_char(body.ptr[i + len])))
            return true;
    return false;
}

struct range {
    size_t first, end; /* tokens */
};

static struct range range_of(const struct sg_context *cx, const struct sg_statement *statement) {
    return (struct range){sg_token_at(&cx->tokens, statement->at),
                          sg_token_at(&cx->tokens, statement->at + statement->len)};
}

static const struct sg_table *mentions(const struct sg_context *cx, const struct sg_statement *statement,
                                       bool in_strings) {
    struct range range = range_of(cx, statement);
    for (size_t i = range.first; i < range.end; i++) {
        for (size_t k = 0; k < cx->snapshot->tables_len; k++) {
            const struct sg_table *table = &cx->snapshot->tables[k];
            bool string = cx->tokens.v[i].kind == SG_TOKEN_STRING;
            if (string ? in_strings && body_names(sg_token_text(&cx->tokens, i), table->relation->name)
                       : names_table(cx, i, table))
                return table;
        }
        if (cx->tokens.v[i].kind == SG_TOKEN_QUOTED && sg_token_text(&cx->tokens, i).ptr[0] != '"')
            return &cx->snapshot->tables[0]; /* U&"..." may spell any name */
    }
    return NULL;
}

/* The first name of a mapping of any table that stands in the text. NULL: none does. */
static const char *mentioned_column(const struct sg_context *cx, const struct sg_statement *statement) {
    struct range range = range_of(cx, statement);
    for (size_t i = range.first; i < range.end; i++) {
        const char *name = sg_token_name(cx->arena, &cx->tokens, i);
        for (size_t k = 0; name && k < cx->snapshot->tables_len; k++) {
            const struct sg_table_mapping *m = sg_table_mapping(&cx->snapshot->tables[k], name);
            if (m)
                return name;
        }
    }
    return NULL;
}

/*
 * Can the body of a function touch a mapped column without our seeing how? It names one; or it may mean all columns
 * of a table: by *, by a row type, by an INSERT, which needs no list.
 */
static bool body_needs_column(const struct sg_context *cx, struct sg_span body) {
    static const char *const all[] = {"insert", "merge", "copy", "table", "rowtype", "record", "row", "natural"};
    if (memchr(body.ptr, '*', body.len))
        return true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (body_names(body, all[i]))
            return true;
    for (size_t i = 0; i < cx->snapshot->mappings_len; i++)
        if (body_names(body, cx->snapshot->mappings[i].old_name) ||
            body_names(body, cx->snapshot->mappings[i].new_name))
            return true;
    return false;
}

/* ---- One statement ---- */

static void refuse_mention(struct sg_context *cx, const struct sg_statement *statement, const char *hint) {
    const struct sg_table *table = mentions(cx, statement, false);
    if (table)
        sg_refuse(cx, (int)cx->tokens.v[sg_token_at(&cx->tokens, statement->at)].at, table, hint,
                  "%s that names this table", statement->what);
}

/* CREATE INDEX IF NOT EXISTS, as apps send it when they start: nearly always it does exist, on the old column as long
 * as there is one; its copy on the new one has another name. */
static void rewrite_index(struct sg_context *cx, const struct sg_statement *statement, const struct sg_table *table) {
    struct range range = range_of(cx, statement);
    for (size_t i = range.first; i < range.end; i++) {
        const char *name = sg_token_name(cx->arena, &cx->tokens, i);
        const struct sg_table_mapping *m = name && cx->tokens.v[i].depth ? sg_table_mapping(table, name) : NULL;
        if (!m)
            continue;
        sg_note_use(cx, m, name);
        const char *physical = m->mapping->phase == SG_PHASE_NEW_ONLY ? m->mapping->new_name : m->mapping->old_name;
        if (strcmp(physical, name) != 0)
            sg_edit_replace(&cx->edits, cx->tokens.v[i].at, cx->tokens.v[i].len, sg_span_of(sg_ident(cx, physical)));
    }
}

/* DDL on the table that concerns other columns. */
static void check_definition(struct sg_context *cx, const struct sg_statement *statement) {
    const struct sg_table *table = mentions(cx, statement, false);
    const char *column = table ? mentioned_column(cx, statement) : NULL;
    if (column && statement->if_not_exists && !statement->unique)
        rewrite_index(cx, statement, table);
    else if (column)
        sg_refuse(cx, (int)cx->tokens.v[sg_token_at(&cx->tokens, statement->at)].at, table,
                  "Run it when the migration is finished, or directly on the server.",
                  "%s that names this table and \"%s\"", statement->what, column);
}

/* DO, CREATE FUNCTION: their text is not SQL, and the guard stands behind it. */
static void check_body(struct sg_context *cx, const struct sg_statement *statement) {
    const char *hint =
        "Name the columns it needs, other than those of the migration, or run it directly on the server.";
    if (mentions(cx, statement, false)) {
        refuse_mention(cx, statement, hint); /* SETOF users */
        return;
    }
    const struct sg_table *table = mentions(cx, statement, true);
    struct range range = range_of(cx, statement);
    for (size_t i = range.first; table && i < range.end; i++)
        if (cx->tokens.v[i].kind == SG_TOKEN_STRING && body_needs_column(cx, sg_token_text(&cx->tokens, i)))
            sg_refuse(cx, (int)cx->tokens.v[i].at, table, hint,
                      "%s whose body may use the column that is being renamed", statement->what);
}

/* A view, a function with an SQL body: kept by the server as it is understood now. */
static void rewrite_stored(struct sg_context *cx, const struct sg_statement *statement) {
    cx->stored = statement->what;
    if (statement->target)
        sg_check_new_table(cx, statement->target);
    for (size_t i = 0; i < statement->queries.n; i++)
        sg_resolve_query(cx, statement->queries.v[i], NULL, NULL, SG_LABELS | SG_COUNTED);
    cx->stored = NULL;
}

static void rewrite_statement(struct sg_context *cx, struct sg_statement *statement) {
    switch (statement->kind) {
    case SG_STATEMENT_QUERY:
    case SG_STATEMENT_EXPLAIN:
    case SG_STATEMENT_CURSOR:
        sg_resolve_query(cx, statement->query, NULL, NULL, SG_LABELS);
        return;
    case SG_STATEMENT_COPY_QUERY:
    case SG_STATEMENT_CREATE_AS:
        sg_resolve_query(cx, statement->query, NULL, NULL, SG_LABELS | SG_COUNTED);
        return;
    case SG_STATEMENT_STORED:
        rewrite_stored(cx, statement);
        return;
    case SG_STATEMENT_COPY_TABLE:
        sg_rewrite_copy(cx, statement);
        return;
    case SG_STATEMENT_NAMES_TABLES:
    case SG_STATEMENT_HARMLESS:
        return;
    case SG_STATEMENT_BODY:
        check_body(cx, statement);
        return;
    case SG_STATEMENT_DEFINITION:
        check_definition(cx, statement);
        return;
    case SG_STATEMENT_NEW_TABLE:
        if (!statement->if_not_exists)
            sg_check_new_table(cx, statement->target);
        return;
    case SG_STATEMENT_OTHER:
        refuse_mention(cx, statement,
                       strcmp(statement->what, "PREPARE") == 0
                           ? "Prepare the statement through the driver (protocol-level), or send it unprepared."
                           : "Run it when the migration is finished, or directly on the server.");
        return;
    }
}

/* ---- The whole text ---- */

static bool has_high_bytes(struct sg_span text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return true;
    return false;
}

/* The parser's time grows with the square of this. */
enum { COMMENT_DEPTH_MAX = 64 };

/* Settings and oddities under which the text may not mean what its bytes seem to say. */
static bool check_settings(struct sg_context *cx, const struct sg_statement *whole) {
    const struct sg_table *table;
    if (cx->request->backslash_quotes && cx->tokens.has_backslash_string && (table = mentions(cx, whole, true)))
        sg_refuse(cx, -1, table, "Write E'...' strings, or SET standard_conforming_strings = on.",
                  "a string with a backslash while standard_conforming_strings is off");
    else if (cx->request->unsafe_encoding && has_high_bytes(cx->tokens.text) && (table = mentions(cx, whole, true)))
        sg_refuse(cx, -1, table, "SET client_encoding = 'UTF8', or send the text as a parameter.",
                  "non-ASCII text in this client_encoding");
    else if (cx->tokens.comment_depth > COMMENT_DEPTH_MAX && (table = mentions(cx, whole, true)))
        sg_refuse(cx, -1, table, "Nest comments less deeply.", "comments nested this deep");
    return !cx->refused;
}

/* Text that does not parse here: a statement of a newer server, or an error the server would raise too. */
static void refuse_unparsed(struct sg_context *cx, const struct sg_statement *whole, enum sg_parse_result result,
                            const struct sg_error *error) {
    if (!mentions(cx, whole, true))
        return;
    cx->refused = true;
    *cx->error = *error;
    if (result == SG_PARSE_UNSUPPORTED)
        sg_error_hint(cx->error, "The statement names a table under migration; write it in another form.");
}

void sg_rewrite_text(struct sg_context *cx, struct sg_span text) {
    sg_tokenize(cx->arena, text, &cx->tokens);
    cx->tokens.literal_read = &cx->literal_read;
    sg_edits_init(&cx->edits, cx->arena);
    const struct sg_statement whole = {.len = text.len};
    if (!check_settings(cx, &whole) || cx->tokens.comment_depth > COMMENT_DEPTH_MAX)
        return;
    struct sg_parse_tree tree;
    struct sg_error error = {0};
    enum sg_parse_result result = sg_parse(cx->arena, text, &tree, &error);
    if (result != SG_PARSE_OK) {
        refuse_unparsed(cx, &whole, result, &error);
        return;
    }
    cx->constants = tree.constants;
    for (size_t i = 0; i < tree.n && !cx->refused; i++)
        rewrite_statement(cx, &tree.v[i]);
}
