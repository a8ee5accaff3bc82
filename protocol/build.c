/* Whole messages, appended to a buffer ("Message Formats"). */
#include "segue/error.h"
#include "segue/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_OID_TEXT 25u
#define LENGTH_BYTES  4u

void sg_msg_begin(struct sg_buf *buf, uint8_t type) {
    if (type != 0) {
        sg_buf_put_u8(buf, type);
    }
    buf->message_at = buf->len;
    sg_buf_put_u32(buf, 0);
}

/* Nobody builds from more than SG_STATEMENT_HOLD_BYTES; a length that does not fit the wire is a broken caller. */
void sg_msg_end(struct sg_buf *buf) {
    size_t length = buf->len - buf->message_at;
    if (length > INT32_MAX) {
        abort();
    }
    uint8_t *at = buf->data + buf->message_at;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        at[i] = (uint8_t)(length >> (8 * (LENGTH_BYTES - 1 - i)));
    }
}

static void put_field(struct sg_buf *buf, uint8_t code, const char *value) {
    sg_buf_put_u8(buf, code);
    sg_buf_put_cstr(buf, value);
}

static void put_field_unless_empty(struct sg_buf *buf, uint8_t code, const char *value) {
    if (value[0] != 0) {
        put_field(buf, code, value);
    }
}

static void put_report(struct sg_buf *buf, uint8_t type, const char *severity, const struct sg_error *err) {
    sg_msg_begin(buf, type);
    put_field(buf, 'S', severity);
    put_field(buf, 'V', severity);
    put_field(buf, 'C', err->sqlstate[0] ? err->sqlstate : sg_sqlstate_code(SG_SQLSTATE_INTERNAL_ERROR));
    put_field(buf, 'M', err->message);
    put_field_unless_empty(buf, 'D', err->detail);
    put_field_unless_empty(buf, 'H', err->hint);
    if (err->position > 0) {
        char digits[16];
        (void)snprintf(digits, sizeof digits, "%d", err->position);
        put_field(buf, 'P', digits);
    }
    sg_buf_put_u8(buf, 0);
    sg_msg_end(buf);
}

void sg_msg_error(struct sg_buf *buf, const char *severity, const struct sg_error *err) {
    put_report(buf, 'E', severity, err);
}

void sg_msg_notice(struct sg_buf *buf, const char *severity, const struct sg_error *err) {
    put_report(buf, 'N', severity, err);
}

void sg_msg_ready(struct sg_buf *buf, char status) {
    sg_msg_begin(buf, 'Z');
    sg_buf_put_u8(buf, (uint8_t)status);
    sg_msg_end(buf);
}

void sg_msg_auth_ok(struct sg_buf *buf) {
    sg_msg_begin(buf, 'R');
    sg_buf_put_u32(buf, 0);
    sg_msg_end(buf);
}

void sg_msg_parameter_status(struct sg_buf *buf, const char *name, const char *value) {
    sg_msg_begin(buf, 'S');
    sg_buf_put_cstr(buf, name);
    sg_buf_put_cstr(buf, value);
    sg_msg_end(buf);
}

void sg_msg_backend_key(struct sg_buf *buf, uint32_t pid, struct sg_span key) {
    sg_msg_begin(buf, 'K');
    sg_buf_put_u32(buf, pid);
    sg_buf_put(buf, key.ptr, key.len);
    sg_msg_end(buf);
}

void sg_msg_command_complete(struct sg_buf *buf, const char *tag) {
    sg_msg_begin(buf, 'C');
    sg_buf_put_cstr(buf, tag);
    sg_msg_end(buf);
}

void sg_msg_parse(struct sg_buf *buf, struct sg_span name, struct sg_span sql, uint16_t nparams,
                  const uint8_t *param_oids) {
    sg_buf_reserve(buf, name.len + sql.len + (size_t)nparams * 4 + 16);
    sg_msg_begin(buf, 'P');
    sg_buf_put_span_cstr(buf, name);
    sg_buf_put_span_cstr(buf, sql);
    sg_buf_put_u16(buf, nparams);
    sg_buf_put(buf, param_oids, (size_t)nparams * 4);
    sg_msg_end(buf);
}

void sg_msg_close(struct sg_buf *buf, uint8_t kind, struct sg_span name) {
    sg_msg_begin(buf, 'C');
    sg_buf_put_u8(buf, kind);
    sg_buf_put_span_cstr(buf, name);
    sg_msg_end(buf);
}

void sg_msg_query(struct sg_buf *buf, struct sg_span sql) {
    sg_msg_begin(buf, 'Q');
    sg_buf_put_span_cstr(buf, sql);
    sg_msg_end(buf);
}

void sg_msg_negotiate_version(struct sg_buf *buf, uint32_t newest, const struct sg_span *options, uint32_t n) {
    sg_msg_begin(buf, 'v');
    sg_buf_put_u32(buf, newest);
    sg_buf_put_u32(buf, n);
    for (uint32_t i = 0; i < n; i++) {
        sg_buf_put_span_cstr(buf, options[i]);
    }
    sg_msg_end(buf);
}

void sg_msg_text_row_description(struct sg_buf *buf, const char *const *names, uint16_t n) {
    sg_msg_begin(buf, 'T');
    sg_buf_put_u16(buf, n);
    for (uint16_t i = 0; i < n; i++) {
        sg_buf_put_cstr(buf, names[i]);
        sg_buf_put_u32(buf, 0); /* no table */
        sg_buf_put_u16(buf, 0); /* no attribute */
        sg_buf_put_u32(buf, TYPE_OID_TEXT);
        sg_buf_put_u16(buf, UINT16_MAX); /* type size -1: variable */
        sg_buf_put_u32(buf, UINT32_MAX); /* type modifier -1: none */
        sg_buf_put_u16(buf, 0);          /* text format */
    }
    sg_msg_end(buf);
}

void sg_msg_text_row(struct sg_buf *buf, const char *const *values, uint16_t n) {
    sg_msg_begin(buf, 'D');
    sg_buf_put_u16(buf, n);
    for (uint16_t i = 0; i < n; i++) {
        if (!values[i]) {
            sg_buf_put_u32(buf, UINT32_MAX); /* length -1: SQL NULL */
            continue;
        }
        size_t len = strlen(values[i]);
        if (len > INT32_MAX) {
            abort();
        }
        sg_buf_put_u32(buf, (uint32_t)len);
        sg_buf_put(buf, values[i], len);
    }
    sg_msg_end(buf);
}
