/*
 * The syntaxes of the table are interpreted as they stand: each is walked along the words of the statement. Where none
 * fits, the error is at the word that the best ones reached, and names what they wanted there.
 */
#include "proxy/admin/command.h"

#include "proxy/admin/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct row {
    enum sg_command_id id;
    enum sg_command_role role;
    const char *syntax, *doc;
} rows[] = {
#define X(id, role, syntax, doc) {SG_COMMAND_##id, SG_ROLE_##role, syntax, doc},
    SG_COMMANDS(X)
#undef X
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

size_t sg_command_rows(void) {
    return ROWS;
}

const char *sg_command_syntax(size_t row) {
    return rows[row].syntax;
}

const char *sg_command_doc(size_t row) {
    return rows[row].doc;
}

enum sg_command_role sg_command_role(size_t row) {
    return rows[row].role;
}

const char *sg_command_tag(const struct sg_command *command) {
    switch (command->id) {
    case SG_COMMAND_CREATE_RENAME:
        return "CREATE MIGRATION";
    case SG_COMMAND_PREFLIGHT:
        return "PREFLIGHT";
    case SG_COMMAND_START:
        return "START";
    case SG_COMMAND_SWITCH:
        return "SWITCH";
    case SG_COMMAND_CONTRACT:
        return "CONTRACT";
    case SG_COMMAND_RETIRE:
        return "RETIRE";
    case SG_COMMAND_ROLLBACK:
    case SG_COMMAND_ABORT:
        return "ROLLBACK";
    case SG_COMMAND_DROP:
        return "DROP MIGRATION";
    case SG_COMMAND_PAUSE_BACKFILL:
        return "PAUSE BACKFILL";
    case SG_COMMAND_RESUME_BACKFILL:
        return "RESUME BACKFILL";
    case SG_COMMAND_SET_BACKFILL:
        return "SET BACKFILL";
    case SG_COMMAND_VERIFY:
        return "VERIFY";
    case SG_COMMAND_WAIT:
        return "WAIT";
    case SG_COMMAND_EXPLAIN_REWRITE:
        return "EXPLAIN";
    case SG_COMMAND_RELOAD:
        return "RELOAD";
    case SG_COMMAND_PAUSE:
        return "PAUSE";
    case SG_COMMAND_RESUME:
        return "RESUME";
    case SG_COMMAND_KILL:
        return "KILL";
    case SG_COMMAND_KILL_CLIENT:
        return "KILL_CLIENT";
    case SG_COMMAND_SHUTDOWN:
    case SG_COMMAND_SHUTDOWN_SERVERS:
    case SG_COMMAND_SHUTDOWN_CLIENTS:
        return "SHUTDOWN";
    case SG_COMMAND_BEGIN:
        return "BEGIN";
    case SG_COMMAND_COMMIT:
        return "COMMIT";
    case SG_COMMAND_DISCARD:
        return "DISCARD ALL";
    case SG_COMMAND_DEALLOCATE:
        return "DEALLOCATE ALL";
    case SG_COMMAND_RESET:
        return "RESET";
    case SG_COMMAND_SET:
        return "SET";
    default:
        return "SHOW";
    }
}

/* ---- One syntax along one statement ---- */

struct walk {
    const struct sg_lexeme *lexemes; /* of one statement; the last is END */
    size_t at;
    const char *syntax; /* what is left of it */
    struct sg_command *command;
    struct sg_arena *arena;
    struct sg_span wanted; /* when it fails: a piece of the syntax */
    const char *complaint; /* when it fails: a sentence instead */
};

/* The pieces of a syntax are separated by blanks. */
static struct sg_span piece_at(const char *syntax) {
    while (*syntax == ' ')
        syntax++;
    return (struct sg_span){syntax, strcspn(syntax, " ")};
}

static bool is_keyword_piece(struct sg_span piece) {
    return piece.len && !islower((unsigned char)piece.ptr[0]) && piece.ptr[0] != '[' && piece.ptr[0] != ']' &&
           piece.ptr[0] != '.';
}

/* "COMMIT|END", "(", "TO|=" */
static bool keyword_fits(struct sg_span piece, const struct sg_lexeme *lexeme) {
    if (lexeme->kind != SG_LEXEME_WORD && lexeme->kind != SG_LEXEME_SYMBOL)
        return false;
    size_t len = strlen(lexeme->text);
    for (size_t i = 0; i < piece.len;) {
        const char *bar = memchr(piece.ptr + i, '|', piece.len - i);
        size_t end = bar ? (size_t)(bar - piece.ptr) : piece.len;
        if (end - i == len && strncasecmp(piece.ptr + i, lexeme->text, len) == 0)
            return true;
        i = end + 1;
    }
    return false;
}

static bool is_name(const struct sg_lexeme *lexeme) {
    return lexeme->kind == SG_LEXEME_WORD || lexeme->kind == SG_LEXEME_QUOTED;
}

static bool symbol_is(const struct sg_lexeme *lexeme, const char *symbol) {
    return lexeme->kind == SG_LEXEME_SYMBOL && strcmp(lexeme->text, symbol) == 0;
}

static bool take_name(struct walk *walk, const char **slot) {
    if (!is_name(&walk->lexemes[walk->at]))
        return false;
    *slot = walk->lexemes[walk->at++].text;
    return true;
}

static bool take_table(struct walk *walk) {
    const char *first;
    if (!take_name(walk, &first))
        return false;
    walk->command->table = first;
    if (!symbol_is(&walk->lexemes[walk->at], "."))
        return true;
    walk->at++;
    walk->command->schema = first;
    return take_name(walk, &walk->command->table);
}

static bool take_seconds(struct walk *walk) {
    const struct sg_lexeme *lexeme = &walk->lexemes[walk->at];
    char *end;
    if (lexeme->kind != SG_LEXEME_NUMBER)
        return false;
    double seconds = strtod(lexeme->text, &end);
    if (*end || seconds < 0 || seconds > 1e9) {
        walk->complaint = "TIMEOUT is a number of seconds";
        return false;
    }
    walk->command->timeout_seconds = seconds;
    walk->at++;
    return true;
}

static bool take_id(struct walk *walk) {
    const struct sg_lexeme *lexeme = &walk->lexemes[walk->at];
    char *end;
    if (lexeme->kind != SG_LEXEME_NUMBER)
        return false;
    errno = 0;
    walk->command->client_id = strtoull(lexeme->text, &end, 10);
    if (*end || errno || walk->command->client_id == 0) {
        walk->complaint = "A client's id is a whole number.";
        return false;
    }
    walk->at++;
    return true;
}

static bool take_state(struct walk *walk) {
    static const char *const states[] = {"backfilled", "verified", "dual_write", "read_new", "new_only", "retired"};
    const struct sg_lexeme *lexeme = &walk->lexemes[walk->at];
    for (size_t i = 0; is_name(lexeme) && i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(states[i], lexeme->text) == 0)
            return take_name(walk, &walk->command->state);
    walk->complaint = "Expected one of backfilled, verified, dual_write, read_new, new_only, retired.";
    return false;
}

/* name = value [, name = value]... */
static bool take_options(struct walk *walk) {
    struct sg_command *command = walk->command;
    for (;;) {
        struct sg_migration_option option;
        if (command->options_len == SG_COMMAND_OPTIONS_MAX) {
            walk->complaint = "too many options";
            return false;
        }
        if (!take_name(walk, &option.name))
            return false;
        if (!symbol_is(&walk->lexemes[walk->at], "=")) {
            walk->wanted = SG_SPAN_LIT("=");
            return false;
        }
        const struct sg_lexeme *value = &walk->lexemes[walk->at + 1];
        walk->at++;
        if (value->kind == SG_LEXEME_END || value->kind == SG_LEXEME_SYMBOL) {
            walk->wanted = SG_SPAN_LIT("value");
            return false;
        }
        option.value = value->text;
        command->options[command->options_len++] = option;
        walk->at++;
        if (!symbol_is(&walk->lexemes[walk->at], ","))
            return true;
        walk->at++;
    }
}

static bool take_sql(struct walk *walk) {
    if (walk->lexemes[walk->at].kind != SG_LEXEME_STRING)
        return false;
    walk->command->sql = walk->lexemes[walk->at++].text;
    return true;
}

static bool take_slot(struct walk *walk, struct sg_span piece) {
    struct sg_command *command = walk->command;
    const struct {
        const char *piece;
        const char **slot;
    } names[] = {{"migration", &command->migration}, {"database", &command->database},
                 {"old", &command->old_name},        {"new", &command->new_name},
                 {"user", &command->user},           {"application", &command->application},
                 {"parameter", &command->parameter}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (sg_span_eq_cstr(piece, names[i].piece))
            return take_name(walk, names[i].slot);
    if (sg_span_eq_cstr(piece, "table"))
        return take_table(walk);
    if (sg_span_eq_cstr(piece, "seconds"))
        return take_seconds(walk);
    if (sg_span_eq_cstr(piece, "id"))
        return take_id(walk);
    if (sg_span_eq_cstr(piece, "state"))
        return take_state(walk);
    if (sg_span_eq_cstr(piece, "options"))
        return take_options(walk);
    if (sg_span_eq_cstr(piece, "sql"))
        return take_sql(walk);
    abort(); /* the table has a slot that nobody reads: every test of that row ends here */
}

static const char *skip_group(const char *syntax) {
    const char *close = strchr(syntax, ']');
    return close ? close + 1 : syntax + strlen(syntax);
}

/* A group is there if the keyword is that it begins with; one that begins with a slot, if anything is. */
static bool enters(struct sg_span first, const struct sg_lexeme *lexeme) {
    return is_keyword_piece(first) ? keyword_fits(first, lexeme) : lexeme->kind != SG_LEXEME_END;
}

/* Groups do not nest. */
static bool fits(struct walk *walk) {
    bool group_is_keyword = false;
    for (;;) {
        struct sg_span piece = piece_at(walk->syntax);
        const struct sg_lexeme *lexeme = &walk->lexemes[walk->at];
        walk->syntax = piece.ptr + piece.len;
        if (!piece.len) {
            walk->wanted = SG_SPAN_LIT("end of statement");
            return lexeme->kind == SG_LEXEME_END;
        }
        if (sg_span_eq_cstr(piece, "..."))
            return true;
        if (sg_span_eq_cstr(piece, "[")) {
            if (!enters(piece_at(walk->syntax), lexeme))
                walk->syntax = skip_group(walk->syntax);
            group_is_keyword = true;
            continue;
        }
        if (sg_span_eq_cstr(piece, "]")) {
            walk->command->flag |= group_is_keyword;
            continue;
        }
        walk->wanted = piece;
        if (is_keyword_piece(piece) ? !keyword_fits(piece, lexeme) : !take_slot(walk, piece))
            return false;
        if (is_keyword_piece(piece))
            walk->at++;
        else
            group_is_keyword = false;
    }
}

/* ---- Errors ---- */

struct wanted {
    char list[256];
    size_t len;
    const char *complaint;
    size_t at; /* lexeme */
};

static bool lists(const struct wanted *wanted, struct sg_span piece) {
    for (const char *at = wanted->list; *at;) {
        struct sg_span word = {at, strcspn(at, ",")};
        if (sg_span_eq(word, piece))
            return true;
        at += word.len;
        at += strspn(at, ", ");
    }
    return false;
}

/* How a slot is called where it was missed. */
static struct sg_span in_words(struct sg_span piece) {
    static const char *const slots[][2] = {{"migration", "a migration's name"},
                                           {"database", "a database name"},
                                           {"table", "a table name"},
                                           {"old", "the old column name"},
                                           {"new", "the new column name"},
                                           {"options", "name = value"},
                                           {"sql", "SQL as a 'string'"},
                                           {"seconds", "a number of seconds"},
                                           {"id", "a client's id"},
                                           {"state", "a state"},
                                           {"user", "a user's name"},
                                           {"application", "an application_name"},
                                           {"parameter", "a parameter name"},
                                           {"value", "a value"}};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
        if (sg_span_eq_cstr(piece, slots[i][0]))
            return sg_span_of(slots[i][1]);
    return piece;
}

static void note_failure(struct wanted *wanted, const struct walk *walk, bool is_later) {
    if (walk->at > wanted->at || !wanted->list[0])
        *wanted = (struct wanted){.at = walk->at};
    else if (walk->at < wanted->at)
        return;
    if (walk->complaint)
        wanted->complaint = walk->complaint;
    char piece[64];
    struct sg_span words = in_words(walk->wanted);
    snprintf(piece, sizeof(piece), "%s%.*s", wanted->len ? ", " : "", (int)words.len, words.ptr);
    /* What does not work yet is not offered, unless there is nothing else to say. */
    if ((is_later && wanted->len) || lists(wanted, words) || wanted->len + strlen(piece) >= sizeof(wanted->list))
        return;
    memcpy(wanted->list + wanted->len, piece, strlen(piece) + 1);
    wanted->len += strlen(piece);
}

static void set_syntax_error(struct sg_span text, const struct sg_lexeme *lexeme, const struct wanted *wanted,
                             struct sg_error *reterr) {
    if (lexeme->kind == SG_LEXEME_END)
        sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "syntax error at end of statement");
    else
        sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "syntax error at or near \"%.*s\"", (int)lexeme->len,
                     text.ptr + lexeme->at);
    if (wanted->complaint)
        sg_error_detail(reterr, "%s", wanted->complaint);
    else
        sg_error_detail(reterr, "Expected: %s.", wanted->list);
    sg_error_hint(reterr, "This is segue's admin console, not a database; SHOW HELP lists its commands.");
    reterr->position = sg_lexer_position(text, lexeme->at);
}

/* ---- Statements ---- */

#define LEXEMES_MAX 256

/* Up to the semicolon or the end; lexemes[*ret_len - 1] is END. False: *reterr. */
static bool lex_statement(struct sg_lexer *lexer, struct sg_lexeme *lexemes, size_t *ret_len, struct sg_error *reterr) {
    for (size_t len = 0; len < LEXEMES_MAX; len++) {
        if (!sg_lexer_next(lexer, &lexemes[len], reterr))
            return false;
        if (symbol_is(&lexemes[len], ";"))
            lexemes[len].kind = SG_LEXEME_END;
        if (lexemes[len].kind == SG_LEXEME_END) {
            *ret_len = len + 1;
            return true;
        }
    }
    sg_error_set(reterr, SG_SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "a console command has at most %d words", LEXEMES_MAX - 1);
    return false;
}

static bool parse_statement(struct sg_arena *arena, struct sg_span text, const struct sg_lexeme *lexemes,
                            struct sg_command *ret_command, struct sg_error *reterr) {
    struct wanted wanted = {.at = 0};
    for (size_t i = 0; i < ROWS; i++) {
        struct sg_command command = {.id = rows[i].id, .role = rows[i].role, .doc = rows[i].doc, .timeout_seconds = -1};
        struct walk walk = {.lexemes = lexemes, .syntax = rows[i].syntax, .command = &command, .arena = arena};
        if (fits(&walk)) {
            *ret_command = command;
            return true;
        }
        if (rows[i].role != SG_ROLE_HIDDEN)
            note_failure(&wanted, &walk, rows[i].role == SG_ROLE_LATER);
    }
    set_syntax_error(text, &lexemes[wanted.at], &wanted, reterr);
    return false;
}

enum sg_command_read sg_command_next(struct sg_arena *arena, struct sg_span text, size_t *cursor,
                                     struct sg_command *ret_command, struct sg_error *reterr) {
    struct sg_lexer lexer = {.source = text, .at = *cursor, .arena = arena};
    struct sg_lexeme *lexemes = sg_arena_array(arena, struct sg_lexeme, LEXEMES_MAX);
    size_t len;
    do {
        if (lexer.at >= text.len)
            return SG_COMMAND_NONE;
        if (!lex_statement(&lexer, lexemes, &len, reterr))
            return SG_COMMAND_BAD;
    } while (len == 1);
    if (!parse_statement(arena, text, lexemes, ret_command, reterr))
        return SG_COMMAND_BAD;
    *cursor = lexer.at;
    return SG_COMMAND_OK;
}
