#include "statement.h"

#include "copy.h"
#include "mention.h"
#include "parse.h"
#include "prefilter.h"
#include "resolve.h"

/* ---- One statement ---- */

static struct sg_token_range range_of(const struct sg_context *cx, const struct sg_statement *statement) {
    return (struct sg_token_range){&cx->tokens, sg_token_at(&cx->tokens, statement->at),
                                   sg_token_at(&cx->tokens, statement->at + statement->len)};
}

static void refuse_mention(struct sg_context *cx, const struct sg_statement *statement, const char *hint) {
    struct sg_token_range range = range_of(cx, statement);
    const struct sg_table *table = sg_mentioned_table(cx, range);
    if (table)
        sg_refuse(cx, (int)cx->tokens.v[range.first].at, table, hint, "%s that names this table", statement->what);
}

/* CREATE INDEX IF NOT EXISTS, as apps send it when they start: nearly always it does exist, on the old column as long
 * as there is one; its copy on the new one has another name. */
static void rewrite_index(struct sg_context *cx, const struct sg_statement *statement, const struct sg_table *table) {
    struct sg_token_range range = range_of(cx, statement);
    size_t i = range.first; /* of its columns, and of the predicate behind them */
    while (i < range.end && !sg_token_is_punct(&cx->tokens, i, '('))
        i++;
    for (; i < range.end; i++) {
        const char *name = sg_name_at(cx, &cx->tokens, i);
        const struct sg_table_mapping *m = name ? sg_table_mapping(table, name) : NULL;
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
    struct sg_token_range range = range_of(cx, statement);
    const char *column = sg_mentioned_column(cx, range);
    const struct sg_table *table = column ? sg_mentioned_table(cx, range) : NULL;
    /* ALTER TABLE x RENAME TO users, SET SCHEMA: the name may mean another table from now on. */
    struct sg_span own = {cx->tokens.text.ptr + statement->at, statement->len};
    cx->hides_names |=
        sg_find_word(own, SG_SPAN_LIT("rename")) != NULL || sg_find_word(own, SG_SPAN_LIT("schema")) != NULL;
    if (table && statement->if_not_exists && !statement->unique)
        rewrite_index(cx, statement, table);
    else if (table)
        sg_refuse(cx, (int)cx->tokens.v[range.first].at, table,
                  "Run it when the migration is finished, or directly on the server.",
                  "%s that names this table and \"%s\"", statement->what, column);
}

/* DO, CREATE FUNCTION: what their body does goes by the server alone, and the guard stands behind it. */
static void check_body(struct sg_context *cx, const struct sg_statement *statement) {
    const char *hint =
        "Name the columns it needs, other than those of the migration, or run it directly on the server.";
    refuse_mention(cx, statement, hint); /* SETOF users */
    struct sg_token_range range = range_of(cx, statement);
    for (size_t i = range.first; i < range.end && !cx->refused; i++) {
        if (cx->tokens.v[i].kind != SG_TOKEN_STRING)
            continue;
        const struct sg_table *table = sg_body_table(cx, sg_token_text(&cx->tokens, i));
        if (table)
            sg_refuse(cx, (int)cx->tokens.v[i].at, table, hint,
                      "%s whose body may use the column that is being renamed", statement->what);
    }
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
        if (!statement->if_not_exists || cx->request->can_ask)
            sg_check_new_table(cx, statement->target);
        return;
    case SG_STATEMENT_OTHER:
        refuse_mention(cx, statement, "Run it when the migration is finished, or directly on the server.");
        return;
    }
}

/* ---- The whole text ---- */

/* Oddities for which the text may not mean what its bytes seem to say. */
static bool check_text(struct sg_context *cx) {
    const char *encoding = sg_encoding_name(cx->request->encoding), *hint = "SET client_encoding = 'UTF8'.";
    const struct sg_table *table = &cx->snapshot->tables[0];
    if (cx->spelling.is_doubtful)
        sg_refuse(cx, -1, table, hint, "a name with characters that have two codes in client_encoding %s", encoding);
    else if (cx->spelling.has_too_many)
        sg_refuse(cx, -1, table, "Send fewer statements at once.", "a text with so many short names");
    else if (sg_charset_has_ascii_double(cx->tokens.lexis.encoding, cx->tokens.text) &&
             (table = sg_mentioned_anywhere(cx)))
        sg_refuse(cx, -1, table, hint, "the characters 0x815F and 0x81B0 of client_encoding %s", encoding);
    return !cx->refused;
}

/* PostgreSQL's message quotes what stands at the place, and that is not what the parser was given. */
static void say_original(struct sg_context *cx, struct sg_error *error) {
    static const char near[] = " at or near \"";
    struct sg_span text = cx->tokens.text;
    size_t at = error->position > 0 ? (size_t)error->position - 1 : 0;
    const char *quoted = strstr(error->message, near);
    size_t len = quoted ? strlen(quoted + sizeof near - 1) - 1 : 0; /* without the closing quote */
    size_t i = sg_token_at(&cx->tokens, at);
    if (i < cx->tokens.n && cx->tokens.v[i].at == at && cx->tokens.v[i].len > len &&
        sg_token_is_unicode(&cx->tokens, i))
        len = cx->tokens.v[i].len; /* its UESCAPE was left out */
    if (len > 0 && at + len <= text.len) {
        const char *message = sg_arena_printf(cx->arena, "%.*s%s%.*s\"", (int)(quoted - error->message), error->message,
                                              near, (int)len, text.ptr + at);
        sg_error_set(error, SG_SQLSTATE_SYNTAX_ERROR, "%s", message);
    }
    error->position = sg_position(cx, at);
}

/* Text that does not parse here: a statement of a newer server, or an error the server would raise too. */
static void refuse_unparsed(struct sg_context *cx, enum sg_parse_result result, const struct sg_error *error) {
    if (!sg_mentioned_anywhere(cx))
        return;
    cx->refused = true;
    *cx->error = *error;
    if (result == SG_PARSE_UNSUPPORTED)
        sg_error_hint(cx->error, "The statement names a table under migration; write it in another form.");
}

static enum sg_parse_result parse(struct sg_context *cx, struct sg_parse_tree *ret_tree, struct sg_error *reterr) {
    enum sg_parse_result result = sg_parse(cx->arena, &cx->spelling, ret_tree, reterr);
    if (result == SG_PARSE_SYNTAX && cx->spelling.is_masked)
        say_original(cx, reterr);
    return result;
}

static bool has_high(struct sg_span text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return true;
    return false;
}

bool sg_text_is_invalid(const struct sg_snapshot *snapshot, enum sg_encoding client, struct sg_span text) {
    enum sg_encoding server = snapshot->catalog->charset.server;
    if (server == SG_ENCODING_SQL_ASCII && sg_encoding_is_wide(client))
        return has_high(text); /* it cannot convert, and dares not leave it */
    return !sg_encoding_is_valid(client == SG_ENCODING_SQL_ASCII ? server : client, text);
}

void sg_rewrite_text(struct sg_context *cx, struct sg_span text) {
    const struct sg_charset *charset = &cx->snapshot->catalog->charset;
    const struct sg_lexis lexis = {.encoding = sg_charset_encoding(charset, cx->request->encoding),
                                   .charset = charset,
                                   .backslash_quotes = cx->request->backslash_quotes};
    sg_edits_init(&cx->edits, cx->arena);
    cx->may_run_apart = cx->request->can_ask && sg_find_word(text, SG_SPAN_LIT("concurrently"));
    if (sg_text_is_invalid(cx->snapshot, cx->request->encoding, text))
        return;
    sg_tokenize(cx->arena, text, lexis, &cx->tokens);
    sg_spell(cx->arena, &cx->tokens, &cx->spelling);
    cx->tokens.literal_read = &cx->literal_read;
    if (!check_text(cx))
        return;
    struct sg_parse_tree tree;
    struct sg_error error = {0};
    enum sg_parse_result result = parse(cx, &tree, &error);
    if (result != SG_PARSE_OK) {
        refuse_unparsed(cx, result, &error);
        return;
    }
    cx->constants = tree.constants;
    for (size_t i = 0; i < tree.n && !cx->refused; i++) {
        if (i > 0 && cx->request->can_ask) {
            struct sg_span before = {text.ptr + tree.v[i - 1].at, tree.v[i - 1].len};
            cx->is_shifting |= sg_text_effect(before) != SG_EFFECT_NONE;
            cx->effect_read = true;
        }
        rewrite_statement(cx, &tree.v[i]);
    }
}
