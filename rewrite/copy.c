#include "copy.h"

#include "columns.h"
#include "copy_options.h"
#include "resolve.h"

/* The columns that the data have: those named; or all as when the mapping was made, under the names that `*` gives
 * them, generated ones left out. */
static struct sg_names names_of(struct sg_context *cx, const struct sg_statement *statement,
                                const struct sg_table *table) {
    if (statement->columns.n)
        return statement->columns;
    struct sg_names names = {.v = sg_arena_array(cx->arena, const char *, table->shape_len)};
    sg_note_star(cx, table);
    for (size_t i = 0; i < table->shape_len; i++) {
        const struct sg_table_mapping *m = sg_table_mapping(table, table->shape[i].name);
        bool is_new = m && cx->request->star == SG_STAR_NEW;
        if (!table->shape[i].is_generated)
            names.v[names.n++] = is_new ? m->mapping->new_name : table->shape[i].name;
    }
    return names;
}

/* The last token of the table's name. */
static size_t table_token(const struct sg_context *cx, const struct sg_statement *statement) {
    size_t i = sg_token_at(&cx->tokens, (size_t)statement->target->at);
    while (sg_token_is_punct(&cx->tokens, i + 1, '.'))
        i += 2;
    return i;
}

/* ---- COPY TO ---- */

/* COPY BINARY t TO: a query cannot be copied by a statement of this form. */
static bool has_binary_prefix(const struct sg_statement *statement) {
    for (size_t i = 0; i < statement->options_len; i++)
        if (statement->options[i].at < statement->target->at)
            return true;
    return false;
}

/* The server refuses it, and says what to write instead; a list of names that it does not know must not come first. */
static void copy_partitioned_to(struct sg_context *cx, const struct sg_statement *statement) {
    if (statement->columns.n == 0)
        return;
    size_t table = table_token(cx, statement);
    size_t from = sg_token_end(&cx->tokens, table);
    sg_edit_replace(&cx->edits, from, sg_token_end(&cx->tokens, cx->tokens.v[table + 1].match) - from, SG_SPAN_LIT(""));
}

/* COPY t (a, b) TO -> COPY (SELECT a, x AS b FROM t) TO: labels for HEADER, columns for the count. */
static void copy_to(struct sg_context *cx, const struct sg_statement *statement, const struct sg_table *table) {
    if (table->relation->kind == 'p') {
        copy_partitioned_to(cx, statement);
        return;
    }
    const char *list = "";
    struct sg_names names = names_of(cx, statement, table);
    bool same = true;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.v[i];
        const struct sg_table_mapping *m = sg_table_mapping(table, name);
        const char *physical = m ? sg_mapping_read_name(m->mapping) : name;
        if (m)
            sg_note_use(cx, m, name);
        bool differs = strcmp(physical, name) != 0;
        same &= !differs;
        list = sg_arena_printf(cx->arena, "%s%s%s%s%s", list, i ? ", " : "", sg_ident(cx, physical),
                               differs ? " AS " : "", differs ? sg_ident(cx, name) : "");
    }
    if (same) {
        /* The table may have the new column already, or the old one still. */
        if (statement->columns.n == 0)
            sg_edit_insert(&cx->edits, sg_token_end(&cx->tokens, table_token(cx, statement)), " (%s)", list);
        return;
    }
    if (has_binary_prefix(statement)) {
        sg_refuse(cx, statement->target->at, table, "Write WITH (FORMAT binary) at its end.", "COPY BINARY ... TO");
        return;
    }
    size_t first = sg_token_at(&cx->tokens, (size_t)statement->target->at), last = table_token(cx, statement);
    struct sg_span name = {cx->tokens.text.ptr + cx->tokens.v[first].at,
                           sg_token_end(&cx->tokens, last) - cx->tokens.v[first].at};
    if (statement->columns.n)
        last = cx->tokens.v[last + 1].match;
    size_t at = cx->tokens.v[first].at;
    /* COPY of a table leaves out its inheritance children; a query must say so. */
    sg_edit_replace(
        &cx->edits, at, sg_token_end(&cx->tokens, last) - at,
        sg_span_of(sg_arena_printf(cx->arena, "(SELECT %s FROM ONLY %.*s)", list, (int)name.len, name.ptr)));
}

/* ---- COPY FROM: the statement ---- */

struct copy_from {
    const struct sg_statement *statement;
    const struct sg_table *table;
    struct sg_names names; /* as the client means them */
    struct sg_column_plan plan;
    struct sg_copy_options options;
    bool has_foreign_names; /* that the encoding of the data cannot write for certain */
    bool is_guarded;        /* the server reads a file: the guard repeats what has to be */
};

static const char *physical_name(const struct copy_from *in, size_t i) {
    return in->plan.physical[i] ? in->plan.physical[i] : in->names.v[i];
}

/* The other name of column i's mapping, where both columns must be written and this is the only one named. */
static const char *repeated_as(const struct copy_from *in, size_t i) {
    for (size_t k = 0; k < in->plan.copies_len; k++)
        if (in->plan.copies[k].from == i)
            return in->plan.copies[k].name;
    return NULL;
}

static bool is_dropped(const struct copy_from *in, size_t i) {
    for (size_t k = 0; k < in->plan.drops_len; k++)
        if (in->plan.drops[k].dropped == i)
            return true;
    return false;
}

static void replace_token(struct sg_context *cx, size_t token, const char *name) {
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len, sg_span_of(sg_ident(cx, name)));
}

static void write_list(struct sg_context *cx, const struct copy_from *in) {
    const char *list = "";
    for (size_t i = 0; i < in->names.n; i++)
        list = sg_arena_printf(cx->arena, "%s%s%s", list, i ? ", " : "", sg_ident(cx, physical_name(in, i)));
    for (size_t i = 0; i < in->names.n; i++)
        if (repeated_as(in, i))
            list = sg_arena_printf(cx->arena, "%s, %s", list, sg_ident(cx, repeated_as(in, i)));
    sg_edit_insert(&cx->edits, sg_token_end(&cx->tokens, table_token(cx, in->statement)), " (%s)", list);
}

/* Takes name i out of the list, with a comma beside it. */
static void drop_token(struct sg_context *cx, const struct copy_from *in, size_t token, size_t i) {
    bool is_last = i + 1 == in->names.n;
    size_t from = is_last ? sg_token_end(&cx->tokens, token - 2) : cx->tokens.v[token].at;
    size_t to = is_last ? sg_token_end(&cx->tokens, token) : cx->tokens.v[token + 2].at;
    sg_edit_replace(&cx->edits, from, to - from, SG_SPAN_LIT(""));
}

static void edit_list(struct sg_context *cx, const struct copy_from *in) {
    size_t open = table_token(cx, in->statement) + 1;
    for (size_t i = 0; i < in->names.n; i++) {
        if (is_dropped(in, i))
            drop_token(cx, in, open + 1 + 2 * i, i);
        else if (in->plan.physical[i])
            replace_token(cx, open + 1 + 2 * i, in->plan.physical[i]);
    }
    size_t end = sg_end_before(&cx->tokens, cx->tokens.v[open].match);
    for (size_t i = 0; i < in->names.n; i++)
        if (repeated_as(in, i))
            sg_edit_insert(&cx->edits, end, ", %s", sg_ident(cx, repeated_as(in, i)));
}

static bool has_name(const struct sg_names *names, const char *name) {
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return true;
    return false;
}

/* The column that the list has for this name. */
static const char *written_name(const struct copy_from *in, const char *name) {
    for (size_t i = 0; i < in->names.n; i++)
        if (strcmp(in->names.v[i], name) == 0)
            return physical_name(in, i);
    return name;
}

/* FORCE_NULL (a, b), FORCE NOT NULL a, b: what is true of a column is true of its repetition. */
static void edit_force(struct sg_context *cx, const struct copy_from *in, const struct sg_copy_option *option) {
    size_t token = sg_token_at(&cx->tokens, (size_t)option->at) + 1;
    if (sg_token_is_punct(&cx->tokens, token, '('))
        token++;
    else
        token += strcmp(option->name, "force_not_null") == 0 ? 2 : 1;
    for (size_t i = 0; i < option->names.n; i++, token += 2) {
        const struct sg_table_mapping *tm = sg_table_mapping(in->table, option->names.v[i]);
        if (!tm)
            continue;
        const struct sg_mapping *m = tm->mapping;
        const char *other = strcmp(option->names.v[i], m->old_name) == 0 ? m->new_name : m->old_name;
        sg_note_use(cx, tm, option->names.v[i]);
        if (in->is_guarded || !sg_phase_writes_both(m->phase)) {
            const char *physical = written_name(in, option->names.v[i]);
            if (strcmp(physical, option->names.v[i]) != 0)
                replace_token(cx, token, physical);
        } else if (!has_name(&option->names, other)) {
            sg_edit_insert(&cx->edits, sg_token_end(&cx->tokens, token), ", %s", sg_ident(cx, other));
        }
    }
}

static void edit_options(struct sg_context *cx, const struct copy_from *in) {
    for (size_t i = 0; i < in->statement->options_len; i++) {
        const struct sg_copy_option *option = &in->statement->options[i];
        if (option->names.n > 0 &&
            (strcmp(option->name, "force_null") == 0 || strcmp(option->name, "force_not_null") == 0))
            edit_force(cx, in, option);
    }
}

static void resolve_where(struct sg_context *cx, const struct sg_statement *statement) {
    struct sg_scope scope = {.reads_old = true};
    if (!statement->where)
        return;
    sg_scope_add(cx, &scope, sg_target_entry(cx, statement->target));
    sg_resolve_expr(cx, statement->where, &scope);
}

/* ---- COPY FROM: the data ---- */

static bool has_high(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return true;
    return false;
}

/* A column's name in the encoding of the data, for HEADER MATCH. Where it has none that is certain, and plain to read,
 * the statement will be refused. */
static const char *name_in_data(struct sg_context *cx, struct copy_from *in, const char *name) {
    const struct sg_charset *charset = &cx->snapshot->catalog->charset;
    enum sg_encoding encoding = sg_charset_encoding(charset, in->options.encoding);
    const char *text = sg_charset_write(charset, cx->arena, encoding, name, false);
    bool is_ascii = text && strcmp(text, name) == 0 && !has_high(name);
    bool is_certain =
        text && !sg_encoding_is_wide(encoding) && !sg_charset_is_doubtful(charset, encoding, sg_span_of(text));
    in->has_foreign_names |= !is_ascii && !is_certain;
    return is_certain ? text : name;
}

/* Column i of the client's: false when it is passed as it is. */
static bool mark_column(struct sg_context *cx, struct copy_from *in, size_t i, struct sg_copy_mark *ret_mark) {
    const struct sg_table_mapping *tm = sg_table_mapping(in->table, in->names.v[i]);
    if (!tm)
        return false;
    const char *other = repeated_as(in, i);
    bool is_twice = has_name(&in->names, tm->mapping->old_name) && has_name(&in->names, tm->mapping->new_name);
    bool is_matched = in->options.header == SG_COPY_HEADER_MATCH;
    *ret_mark = (struct sg_copy_mark){
        .column = (uint32_t)i,
        .change = other               ? SG_COPY_REPEAT
                  : is_dropped(in, i) ? SG_COPY_DROP
                                      : SG_COPY_RENAME,
        .old_name = name_in_data(cx, in, tm->mapping->old_name),
        .new_name = name_in_data(cx, in, tm->mapping->new_name),
        .here = sg_copy_header_name(cx->arena, &in->options, name_in_data(cx, in, physical_name(in, i))),
        .repeated = sg_copy_header_name(cx->arena, &in->options, other ? name_in_data(cx, in, other) : ""),
    };
    return ret_mark->change != SG_COPY_RENAME ||
           (is_matched && !(is_twice && sg_phase_writes_both(tm->mapping->phase)));
}

/* Data that could be misread here are refused: the options that make them so are rare, and another choice is at hand.
 */
static bool check_data(struct sg_context *cx, const struct copy_from *in, const struct sg_copy *copy) {
    const char *what = NULL, *hint = NULL;
    bool is_text = copy->format == SG_COPY_TEXT, is_csv = copy->format == SG_COPY_CSV;
    if (in->statement->copy_server_file) {
        what = "COPY FROM a file or program whose columns, or names in HEADER MATCH, would have to be changed";
        hint = "Use COPY FROM STDIN, or psql's \\copy, so that the rows come through segue.";
    } else if ((is_text || is_csv) && in->options.encoding == SG_ENCODING_OTHER) {
        what = "COPY FROM STDIN in an encoding that it does not know";
        hint = "Use another one: WITH (ENCODING '...').";
    } else if (is_text && copy->delimiter >= 'A' && copy->delimiter <= 'F') {
        what = "COPY FROM STDIN with a DELIMITER that is a hexadecimal digit";
        hint = "Use another DELIMITER.";
    } else if (is_csv && strchr("\\.\r\n", copy->quote)) {
        what = "COPY FROM STDIN with this QUOTE";
        hint = "Use another QUOTE.";
    } else if (is_csv && copy->columns - copy->drops == 1 && copy->drops > 0) {
        what = "COPY FROM STDIN of two columns that are one";
        hint = "Name one of them.";
    } else if (copy->header == SG_COPY_HEADER_MATCH && in->has_foreign_names) {
        what = "HEADER MATCH with these column names in this encoding";
        hint = "Use HEADER without MATCH, or SET client_encoding = 'UTF8'.";
    }
    if (what)
        sg_refuse(cx, in->statement->target->at, in->table, hint, "%s", what);
    return !what;
}

static void plan_data(struct sg_context *cx, struct copy_from *in) {
    struct sg_copy_mark *marks = sg_arena_array(cx->arena, struct sg_copy_mark, in->names.n);
    struct sg_copy copy = {
        .format = in->options.format,
        .header = in->options.header,
        .encoding = sg_copy_encoding_of(in->options.encoding),
        .delimiter = in->options.delimiter,
        .quote = in->options.quote,
        .escape = in->options.escape,
        .columns = (uint16_t)in->names.n,
        .drops = (uint16_t)in->plan.drops_len,
        .repeats = (uint16_t)in->plan.copies_len,
        .marks = marks,
    };
    for (size_t i = 0; i < in->names.n; i++)
        copy.marks_len += mark_column(cx, in, i, &marks[copy.marks_len]);
    if (copy.marks_len == 0 || !check_data(cx, in, &copy))
        return;
    copy.index = cx->copies_in - 1;
    struct sg_copy *added = sg_arena_copy(cx->arena, &copy, sizeof copy);
    if (cx->last_copy)
        cx->last_copy->next = added;
    else
        cx->copy = added;
    cx->last_copy = added;
}

/* ---- COPY FROM: a file that the server reads ---- */

/* The data cannot be changed, so they go into the old column, and the guard carries them over to the new one: WHERE
 * reads the old one, too, and only there a value tells from a default that was drawn. */
static void leave_to_guard(struct sg_context *cx, struct copy_from *in) {
    in->is_guarded = true;
    for (size_t k = 0; k < in->plan.copies_len; k++) {
        size_t i = in->plan.copies[k].from;
        const struct sg_mapping *m = sg_table_mapping(in->table, in->names.v[i])->mapping;
        if (m->is_unguarded)
            sg_refuse(cx, in->statement->target->at, in->table,
                      "Use COPY FROM STDIN, or psql's \\copy, so that the rows come through segue.",
                      "COPY FROM a file or program that the server reads, while the guard is off");
        in->plan.physical[i] = strcmp(m->old_name, in->names.v[i]) == 0 ? NULL : m->old_name;
    }
    in->plan.copies_len = 0;
}

static void copy_from(struct sg_context *cx, const struct sg_statement *statement, const struct sg_table *table) {
    struct copy_from in = {.statement = statement,
                           .table = table,
                           .names = names_of(cx, statement, table),
                           .options = sg_copy_options_read(statement, cx->request->encoding)};
    in.plan = sg_plan_columns(cx, table, in.names.v, in.names.n);
    if (statement->copy_server_file)
        leave_to_guard(cx, &in);
    if (statement->columns.n)
        edit_list(cx, &in);
    else
        write_list(cx, &in);
    edit_options(cx, &in);
    resolve_where(cx, statement);
    if (!cx->refused)
        plan_data(cx, &in);
}

/* ---- Either ---- */

void sg_rewrite_copy(struct sg_context *cx, const struct sg_statement *statement) {
    struct sg_question *question;
    const struct sg_relation *relation = sg_lookup_relation(cx, statement->target, &question);
    if (statement->copy_from && !statement->copy_server_file)
        cx->copies_in++;
    if (!cx->refused && relation && relation->mapped) {
        if (statement->copy_from)
            copy_from(cx, statement, relation->mapped);
        else
            copy_to(cx, statement, relation->mapped);
    }
}
