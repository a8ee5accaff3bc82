/*
 *   sg_admin_session_main: greet --> [sg_wire_read --> on_message]... --> farewell
 *
 *   on_message:  Q -> on_query                      (resets the unnamed statement and portal, answers Z)
 *                P -> on_parse  B -> on_bind  D -> on_describe  E -> on_execute  C -> on_close
 *                H -> flush     S -> on_sync        (ends skipping, answers Z)
 *                X -> end       anything else -> 08P01, end
 *
 * Invariants:
 *  1. Each Query and each Sync is answered by exactly one ReadyForQuery, always 'I': the console has no transactions.
 *  2. After an error in an extended message nothing but Sync, Query's error, Terminate has an effect until Sync.
 *  3. All statements of a Query are read before the first is carried out: a typing error changes nothing.
 */
#include "proxy/admin/session.h"

#include "proxy/admin/run.h"
#include "proxy/log.h"

#include <stdlib.h>
#include <string.h>

#define PREPARED_MAX   1000
#define FLUSH_AT_BYTES 65536

struct sg_prepared {
    struct sg_prepared *next;
    struct sg_arena arena; /* holds everything below */
    const char *name;
    struct sg_span sql;
    struct sg_command command;
    bool is_empty; /* blank text: EmptyQueryResponse */
    /* Portals: */
    struct sg_result result;
    bool has_run;
    size_t rows_sent;
};

bool sg_admin_session_goes_on(struct sg_admin_session *session) {
    return !atomic_load(&session->end_wanted);
}

/* ---- Answers ---- */

static bool flush(struct sg_admin_session *session) {
    for (;;) {
        enum sg_wire_event event = sg_wire_flush(&session->wire);
        if (event == SG_WIRE_OK)
            return true;
        if (event != SG_WIRE_WOKEN || !sg_admin_session_goes_on(session))
            return false;
    }
}

static void put_warning(struct sg_admin_session *session, const struct sg_result *result) {
    struct sg_error warning;
    if (!result->warning)
        return;
    sg_error_set(&warning, SG_SQLSTATE_SUCCESSFUL_COMPLETION, "%s", result->warning);
    sg_msg_notice(&session->wire.out, "WARNING", &warning);
}

/* False: the client is gone. *ret_complete is false when max_rows came first. */
static bool put_rows(struct sg_admin_session *session, const struct sg_result *result, size_t *next, size_t max_rows,
                     bool *ret_complete) {
    size_t sent = 0;
    for (; *next < result->rows && (!max_rows || sent < max_rows); sent++) {
        sg_result_put_row(result, (*next)++, &session->wire.out);
        if (session->wire.out.len > FLUSH_AT_BYTES && !flush(session))
            return false;
    }
    *ret_complete = *next == result->rows;
    return true;
}

/* ---- Prepared statements and portals ---- */

static struct sg_prepared **find(struct sg_prepared **list, struct sg_span name) {
    struct sg_prepared **at = list;
    while (*at && !sg_span_eq_cstr(name, (*at)->name))
        at = &(*at)->next;
    return at;
}

static void drop(struct sg_admin_session *session, struct sg_prepared **at) {
    struct sg_prepared *prepared = *at;
    if (!prepared)
        return;
    *at = prepared->next;
    sg_arena_free(&prepared->arena);
    free(prepared);
    session->prepared_len--;
}

static void drop_all(struct sg_admin_session *session, struct sg_prepared **list) {
    while (*list)
        drop(session, list);
}

void sg_admin_session_forget(struct sg_admin_session *session) {
    drop_all(session, &session->statements);
}

/* Reads sql as one command. NULL and *reterr when it is not, or there are too many. */
static struct sg_prepared *prepare(struct sg_admin_session *session, struct sg_span name, struct sg_span sql,
                                   struct sg_error *reterr) {
    struct sg_command second;
    size_t cursor = 0;
    if (session->prepared_len >= PREPARED_MAX) {
        sg_error_set(reterr, SG_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
                     "a console session keeps at most %d prepared statements and portals", PREPARED_MAX);
        return NULL;
    }
    struct sg_prepared *prepared = calloc(1, sizeof(*prepared));
    if (!prepared)
        abort();
    sg_arena_init(&prepared->arena, 1024);
    prepared->name = sg_arena_strndup(&prepared->arena, name.ptr, name.len);
    prepared->sql = (struct sg_span){sg_arena_strndup(&prepared->arena, sql.ptr, sql.len), sql.len};
    enum sg_command_read read = sg_command_next(&prepared->arena, prepared->sql, &cursor, &prepared->command, reterr);
    prepared->is_empty = read == SG_COMMAND_NONE;
    if (read == SG_COMMAND_OK) {
        enum sg_command_read more = sg_command_next(&session->arena, prepared->sql, &cursor, &second, reterr);
        if (more == SG_COMMAND_OK)
            sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement");
        if (more != SG_COMMAND_NONE)
            read = SG_COMMAND_BAD;
    }
    session->prepared_len++;
    if (read != SG_COMMAND_BAD)
        return prepared;
    struct sg_prepared *dropped = prepared;
    drop(session, &dropped);
    return NULL;
}

static bool protocol_error(struct sg_error *reterr, const char *what) {
    sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "%s", what);
    return false;
}

static bool on_parse(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_parse parse;
    if (sg_parse_read(body, len, &parse) != SG_READ_OK)
        return protocol_error(reterr, "invalid Parse message");
    struct sg_prepared **old = find(&session->statements, parse.name);
    if (parse.name.len && *old) {
        sg_error_set(reterr, SG_SQLSTATE_DUPLICATE_PREPARED, "prepared statement \"%s\" already exists", (*old)->name);
        return false;
    }
    struct sg_prepared *prepared = prepare(session, parse.name, parse.sql, reterr);
    if (!prepared)
        return false;
    drop(session, find(&session->statements, parse.name));
    prepared->next = session->statements;
    session->statements = prepared;
    sg_msg_begin(&session->wire.out, '1');
    sg_msg_end(&session->wire.out);
    return true;
}

static struct sg_prepared *find_statement(struct sg_admin_session *session, struct sg_span name,
                                          struct sg_error *reterr) {
    struct sg_prepared *found = *find(&session->statements, name);
    if (!found)
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_PREPARED, "prepared statement \"%.*s\" does not exist",
                     (int)name.len, name.ptr);
    return found;
}

static struct sg_prepared *find_portal(struct sg_admin_session *session, struct sg_span name, struct sg_error *reterr) {
    struct sg_prepared *found = *find(&session->portals, name);
    if (!found)
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_PORTAL, "portal \"%.*s\" does not exist", (int)name.len, name.ptr);
    return found;
}

/* After the two names: int16 n, n formats, int16 values. */
static bool has_no_values(const uint8_t *rest, size_t len) {
    if (len < 2)
        return false;
    size_t at = 2 + 2 * ((size_t)rest[0] << 8 | rest[1]);
    return at + 2 <= len && rest[at] == 0 && rest[at + 1] == 0;
}

static bool on_bind(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_bind_head head;
    if (sg_bind_head_read(body, len, &head) != SG_READ_OK)
        return protocol_error(reterr, "invalid Bind message");
    struct sg_prepared *statement = find_statement(session, head.statement, reterr);
    if (!statement)
        return false;
    if (!has_no_values(body + head.head_bytes, len - head.head_bytes))
        return protocol_error(reterr, "the console's commands take no parameters");
    struct sg_prepared *portal = prepare(session, head.portal, statement->sql, reterr);
    if (!portal)
        return false;
    drop(session, find(&session->portals, head.portal));
    portal->next = session->portals;
    session->portals = portal;
    sg_msg_begin(&session->wire.out, '2');
    sg_msg_end(&session->wire.out);
    return true;
}

static bool run_portal(struct sg_admin_session *session, struct sg_prepared *portal, struct sg_error *reterr) {
    if (portal->has_run || portal->is_empty)
        return true;
    sg_result_init(&portal->result, &portal->arena);
    if (!sg_admin_session_run(session, &portal->command, &portal->result, reterr))
        return false;
    portal->has_run = true;
    return true;
}

/* A command's columns are known when it has run; one that answers with rows only reads, so running it is free. */
static bool on_describe(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_target target;
    if (sg_target_read(body, len, &target) != SG_READ_OK)
        return protocol_error(reterr, "invalid Describe message");
    bool is_statement = target.kind == 'S';
    struct sg_prepared *found =
        is_statement ? find_statement(session, target.name, reterr) : find_portal(session, target.name, reterr);
    struct sg_result result;
    sg_result_init(&result, &session->arena);
    if (!found)
        return false;
    if (!found->is_empty && sg_command_returns_rows(&found->command)) {
        if (is_statement ? !sg_admin_session_run(session, &found->command, &result, reterr)
                         : !run_portal(session, found, reterr))
            return false;
        if (!is_statement)
            result = found->result;
    }
    if (is_statement) {
        sg_msg_begin(&session->wire.out, 't');
        sg_buf_put_u16(&session->wire.out, 0);
        sg_msg_end(&session->wire.out);
    }
    sg_result_describe(&result, &session->wire.out);
    return true;
}

static bool on_execute(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_execute execute;
    if (sg_execute_read(body, len, &execute) != SG_READ_OK)
        return protocol_error(reterr, "invalid Execute message");
    struct sg_prepared *portal = find_portal(session, execute.portal, reterr);
    if (!portal)
        return false;
    if (portal->is_empty) {
        sg_msg_begin(&session->wire.out, 'I');
        sg_msg_end(&session->wire.out);
        return true;
    }
    if (!run_portal(session, portal, reterr))
        return false;
    put_warning(session, &portal->result);
    bool is_complete = true;
    size_t max_rows = execute.max_rows > 0 ? (size_t)execute.max_rows : 0;
    if (!put_rows(session, &portal->result, &portal->rows_sent, max_rows, &is_complete))
        return true; /* the next read finds the client gone */
    if (is_complete)
        sg_msg_command_complete(&session->wire.out, portal->result.tag);
    else {
        sg_msg_begin(&session->wire.out, 's');
        sg_msg_end(&session->wire.out);
    }
    return true;
}

static bool on_close(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_target target;
    if (sg_target_read(body, len, &target) != SG_READ_OK)
        return protocol_error(reterr, "invalid Close message");
    drop(session, find(target.kind == 'S' ? &session->statements : &session->portals, target.name));
    sg_msg_begin(&session->wire.out, '3');
    sg_msg_end(&session->wire.out);
    return true;
}

/* ---- Simple query ---- */

static bool run_and_answer(struct sg_admin_session *session, const struct sg_command *command,
                           struct sg_error *reterr) {
    struct sg_result result;
    bool is_complete;
    size_t next = 0;
    sg_result_init(&result, &session->arena);
    if (!sg_admin_session_run(session, command, &result, reterr))
        return false;
    put_warning(session, &result);
    if (result.names)
        sg_result_describe(&result, &session->wire.out);
    if (put_rows(session, &result, &next, 0, &is_complete))
        sg_msg_command_complete(&session->wire.out, result.tag);
    return true;
}

static bool on_query(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr) {
    struct sg_query query;
    if (sg_query_read(body, len, &query) != SG_READ_OK)
        return protocol_error(reterr, "invalid Query message");
    struct sg_command command;
    enum sg_command_read read;
    drop(session, find(&session->statements, SG_SPAN_LIT("")));
    drop(session, find(&session->portals, SG_SPAN_LIT("")));
    bool is_blank = true;
    for (size_t cursor = 0;
         (read = sg_command_next(&session->arena, query.sql, &cursor, &command, reterr)) == SG_COMMAND_OK;)
        is_blank = false;
    if (read == SG_COMMAND_BAD)
        return false;
    if (is_blank) {
        sg_msg_begin(&session->wire.out, 'I');
        sg_msg_end(&session->wire.out);
    }
    for (size_t cursor = 0; sg_command_next(&session->arena, query.sql, &cursor, &command, reterr) == SG_COMMAND_OK;)
        if (!run_and_answer(session, &command, reterr))
            return false;
    return true;
}

/* ---- Messages ---- */

typedef bool handler(struct sg_admin_session *session, const uint8_t *body, size_t len, struct sg_error *reterr);

static handler *handler_of(uint8_t type) {
    switch (type) {
    case 'Q':
        return on_query;
    case 'P':
        return on_parse;
    case 'B':
        return on_bind;
    case 'D':
        return on_describe;
    case 'E':
        return on_execute;
    case 'C':
        return on_close;
    default:
        return NULL;
    }
}

/* False: the session ends. */
static bool on_message(struct sg_admin_session *session, const struct sg_frame *frame, const uint8_t *body) {
    struct sg_error err = {0};
    if (frame->type == 'X')
        return false;
    if (frame->type == 'S' || frame->type == 'H') {
        if (frame->type == 'S') {
            session->skipping = false;
            /* A named portal goes on: pgjdbc fetches from it in what it takes for its transaction. */
            drop(session, find(&session->portals, SG_SPAN_LIT("")));
            sg_msg_ready(&session->wire.out, 'I');
        }
        return flush(session);
    }
    handler *handle = handler_of(frame->type);
    if (!handle) {
        protocol_error(&err, "the console does not know this message type");
        sg_msg_error(&session->wire.out, "FATAL", &err);
        return false;
    }
    if (session->skipping)
        return true;
    bool good = handle(session, body, frame->body_bytes, &err);
    if (!good)
        sg_msg_error(&session->wire.out, "ERROR", &err);
    if (!sg_admin_session_goes_on(session))
        return false;
    if (frame->type == 'Q')
        sg_msg_ready(&session->wire.out, 'I');
    else
        session->skipping = !good;
    sg_arena_reset(&session->arena);
    return frame->type == 'Q' ? flush(session) : true;
}

static void greet(struct sg_admin_session *session) {
    static const char *const parameters[][2] = {
        {"server_version", "15.0 (segue " SEGUE_VERSION ")"}, /* psql and drivers compare majors */
        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},
        {"IntervalStyle", "postgres"},
        {"TimeZone", "UTC"},
        {"integer_datetimes", "on"},
        {"standard_conforming_strings", "on"},
        {"is_superuser", "off"},
        {"application_name", ""},
    };
    struct sg_buf *out = &session->wire.out;
    sg_msg_auth_ok(out);
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        sg_msg_parameter_status(out, parameters[i][0], parameters[i][1]);
    sg_msg_backend_key(out, session->pid, (struct sg_span){(const char *)session->key, sizeof(session->key)});
    sg_msg_ready(out, 'I');
}

static void farewell(struct sg_admin_session *session, enum sg_wire_event event) {
    struct sg_error err;
    if (!sg_admin_session_goes_on(session)) {
        sg_error_set(&err, SG_SQLSTATE_ADMIN_SHUTDOWN, "segue is shutting down");
        sg_msg_error(&session->wire.out, "FATAL", &err);
    } else if (event == SG_WIRE_BAD) {
        sg_error_set(&err, SG_SQLSTATE_PROTOCOL_VIOLATION, "invalid message length, or a message over %u bytes",
                     SG_WIRE_MESSAGE_MAX_BYTES);
        sg_msg_error(&session->wire.out, "FATAL", &err);
    }
    sg_wire_part(&session->wire);
}

void sg_admin_session_main(struct sg_admin_session *session) {
    enum sg_wire_event event = SG_WIRE_OK;
    struct sg_frame frame;
    const uint8_t *body;
    sg_arena_init(&session->arena, 4096);
    greet(session);
    bool goes_on = flush(session);
    while (goes_on && sg_admin_session_goes_on(session)) {
        event = sg_wire_read(&session->wire, &frame, &body);
        if (event == SG_WIRE_OK)
            goes_on = on_message(session, &frame, body);
        else if (event == SG_WIRE_WOKEN)
            atomic_store(&session->cancel_wanted, false); /* nothing was running */
        else
            goes_on = false;
    }
    farewell(session, event);
    drop_all(session, &session->statements);
    drop_all(session, &session->portals);
    sg_arena_free(&session->arena);
    PQfinish(session->control);
    session->control = NULL;
}
