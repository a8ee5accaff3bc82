/* The line that stands for a message. Every byte of it shows, or is summed up in a hash. */
#include "decode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES 64u /* longer strings are cut and hashed */

__attribute__((format(printf, 2, 3))) static void put(struct sg_buf *text, const char *fmt, ...) {
    char line[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof line) {
        abort();
    }
    sg_buf_put(text, line, (size_t)len);
}

static uint32_t fnv1a(struct sg_span span) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < span.len; i++) {
        hash = (hash ^ (uint8_t)span.ptr[i]) * 16777619u;
    }
    return hash;
}

static void put_quoted(struct sg_buf *text, struct sg_span span) {
    size_t shown = span.len <= SHOWN_BYTES ? span.len : SHOWN_BYTES;
    put(text, "\"");
    for (size_t i = 0; i < shown; i++) {
        uint8_t c = (uint8_t)span.ptr[i];
        if (c == '"' || c == '\\') {
            put(text, "\\%c", c);
        } else if (c < 0x20 || c > 0x7e) {
            put(text, "\\x%02x", c);
        } else {
            put(text, "%c", c);
        }
    }
    put(text, "\"");
    if (shown < span.len) {
        put(text, "... %zu bytes %08" PRIx32, span.len, fnv1a(span));
    }
}

static void put_named(struct sg_buf *text, const char *name, struct sg_span span) {
    put(text, " %s=", name);
    put_quoted(text, span);
}

static bool tell_frontend(struct sg_buf *text, uint8_t type, const uint8_t *body, size_t len) {
    struct sg_query query;
    struct sg_parse parse;
    struct sg_bind_head head;
    struct sg_target target;
    struct sg_execute execute;
    if (type == 'Q' && sg_query_read(body, len, &query) == SG_READ_OK) {
        put(text, "Query");
        put_named(text, "sql", query.sql);
    } else if (type == 'P' && sg_parse_read(body, len, &parse) == SG_READ_OK) {
        put(text, "Parse");
        put_named(text, "name", parse.name);
        put_named(text, "sql", parse.sql);
        put(text, " nparams=%u", parse.nparams);
        put_named(text, "oids", (struct sg_span){(const char *)parse.param_oids, (size_t)parse.nparams * 4});
    } else if (type == 'B' && sg_bind_head_read(body, len, &head) == SG_READ_OK) {
        put(text, "Bind");
        put_named(text, "portal", head.portal);
        put_named(text, "statement", head.statement);
        put_named(text, "rest", (struct sg_span){(const char *)body + head.head_bytes, len - head.head_bytes});
    } else if ((type == 'D' || type == 'C') && sg_target_read(body, len, &target) == SG_READ_OK) {
        put(text, "%s kind=%c", type == 'D' ? "Describe" : "Close", target.kind);
        put_named(text, "name", target.name);
    } else if (type == 'E' && sg_execute_read(body, len, &execute) == SG_READ_OK) {
        put(text, "Execute");
        put_named(text, "portal", execute.portal);
        put(text, " max_rows=%" PRId32, execute.max_rows);
    } else {
        return false;
    }
    return true;
}

static bool tell_fields(struct sg_buf *text, uint8_t type, const uint8_t *body, size_t len) {
    size_t cursor = 0;
    char code;
    struct sg_span value;
    put(text, type == 'E' ? "ErrorResponse" : "NoticeResponse");
    while (sg_error_field_next(body, len, &cursor, &code, &value)) {
        char name[] = {code, 0};
        put_named(text, name, value);
    }
    bool whole = cursor + 1 == len && body[cursor] == 0;
    if (!whole) {
        put(text, " (malformed)");
    }
    return true;
}

/* An iterator that stopped before the end met something it could not read. Behind the count, 0 stands for 2. */
static void put_unless_walked(struct sg_buf *text, size_t cursor, size_t len) {
    if ((cursor == 0 ? 2 : cursor) != len) {
        put(text, " (malformed)");
    }
}

static bool tell_row_description(struct sg_buf *text, const uint8_t *body, size_t len) {
    uint16_t count;
    if (sg_row_description_count(body, len, &count) != SG_READ_OK) {
        return false;
    }
    put(text, "RowDescription count=%u", count);
    size_t cursor = 0;
    struct sg_row_field field;
    while (sg_row_field_next(body, len, &cursor, &field)) {
        put_named(text, "name", field.name);
        put(text, " table=%" PRIu32 " att=%d type=%" PRIu32 " size=%d mod=%" PRId32 " format=%d", field.table_oid,
            field.attnum, field.type_oid, field.type_size, field.type_mod, field.format);
    }
    put_unless_walked(text, cursor, len);
    return true;
}

static bool tell_data_row(struct sg_buf *text, const uint8_t *body, size_t len) {
    size_t cursor = 0;
    struct sg_span value;
    put(text, "DataRow");
    while (sg_data_value_next(body, len, &cursor, &value)) {
        put(text, " ");
        if (value.ptr) {
            put_quoted(text, value);
        } else {
            put(text, "NULL");
        }
    }
    put_unless_walked(text, cursor, len);
    return true;
}

static bool tell_short_backend(struct sg_buf *text, uint8_t type, const uint8_t *body, size_t len) {
    char status;
    int32_t auth;
    struct sg_parameter_status parameter;
    struct sg_backend_key key;
    struct sg_span tag;
    if (type == 'Z' && sg_ready_read(body, len, &status) == SG_READ_OK) {
        put(text, "ReadyForQuery %c", status);
    } else if (type == 'R' && sg_auth_read(body, len, &auth) == SG_READ_OK) {
        put(text, "Authentication %" PRId32, auth);
        put_named(text, "rest", (struct sg_span){(const char *)body + 4, len - 4});
    } else if (type == 'S' && sg_parameter_status_read(body, len, &parameter) == SG_READ_OK) {
        put(text, "ParameterStatus");
        put_named(text, "name", parameter.name);
        put_named(text, "value", parameter.value);
    } else if (type == 'K' && sg_backend_key_read(body, len, &key) == SG_READ_OK) {
        put(text, "BackendKeyData pid=%" PRIu32, key.pid);
        put_named(text, "key", key.key);
    } else if (type == 'C' && sg_command_tag_read(body, len, &tag) == SG_READ_OK) {
        put(text, "CommandComplete");
        put_named(text, "tag", tag);
    } else {
        return false;
    }
    return true;
}

static bool tell_backend(struct sg_buf *text, uint8_t type, const uint8_t *body, size_t len) {
    switch (type) {
    case 'E':
    case 'N':
        return tell_fields(text, type, body, len);
    case 'T':
        return tell_row_description(text, body, len);
    case 'D':
        return tell_data_row(text, body, len);
    default:
        return tell_short_backend(text, type, body, len);
    }
}

/* Messages that have no view, by name; those that have one and could not be read are malformed. */
static const char *opaque_name(enum side side, uint8_t type) {
    static const char *const frontend[128] = {
        ['S'] = "Sync",     ['H'] = "Flush",     ['d'] = "CopyData",           ['c'] = "CopyDone",
        ['f'] = "CopyFail", ['X'] = "Terminate", ['p'] = "AuthenticationData", ['F'] = "FunctionCall",
    };
    static const char *const backend[128] = {
        ['1'] = "ParseComplete",
        ['2'] = "BindComplete",
        ['3'] = "CloseComplete",
        ['n'] = "NoData",
        ['I'] = "EmptyQueryResponse",
        ['s'] = "PortalSuspended",
        ['A'] = "NotificationResponse",
        ['t'] = "ParameterDescription",
        ['G'] = "CopyInResponse",
        ['H'] = "CopyOutResponse",
        ['W'] = "CopyBothResponse",
        ['d'] = "CopyData",
        ['c'] = "CopyDone",
        ['V'] = "FunctionCallResponse",
        ['v'] = "NegotiateProtocolVersion",
    };
    static const char *const viewed[] = {"QPBDCE", "RSKZCTDEN"};
    const char *name = type < 128 ? (side == SIDE_FRONTEND ? frontend : backend)[type] : NULL;
    if (name) {
        return name;
    }
    return type != 0 && strchr(viewed[side], type) ? "Malformed" : "Unknown";
}

void tell_message(struct sg_buf *text, enum side side, uint8_t type, const uint8_t *body, size_t len) {
    bool told = side == SIDE_FRONTEND ? tell_frontend(text, type, body, len) : tell_backend(text, type, body, len);
    if (!told) {
        put(text, "%s", opaque_name(side, type));
        put_named(text, "type", (struct sg_span){(const char *)&type, 1});
        if (len > 0) {
            put_named(text, "body", (struct sg_span){(const char *)body, len});
        }
    }
    put(text, "\n");
}

void tell_startup(struct sg_buf *text, const struct sg_startup *startup) {
    size_t cursor = 0;
    struct sg_span name, value;
    switch (startup->kind) {
    case SG_STARTUP_SSL:
        put(text, "SSLRequest\n");
        return;
    case SG_STARTUP_GSSENC:
        put(text, "GSSENCRequest\n");
        return;
    case SG_STARTUP_CANCEL:
        put(text, "CancelRequest pid=%" PRIu32, startup->cancel_pid);
        put_named(text, "key", startup->cancel_key);
        put(text, "\n");
        return;
    case SG_STARTUP_SESSION:
        break;
    }
    put(text, "StartupMessage %u.%u", startup->major, startup->minor);
    while (sg_startup_param_next(startup, &cursor, &name, &value)) {
        put(text, " ");
        put_quoted(text, name);
        put(text, "=");
        put_quoted(text, value);
    }
    put(text, "\n");
}
