/*
 * protocol — bytes <-> PostgreSQL frontend/backend messages (PostgreSQL docs, chapter "Frontend/Backend Protocol").
 *
 * Pure: no socket, clock, global or log. Every reader answers one of three: OK, MORE (the bytes so far are a legal
 * prefix), BAD. Views point into the caller's buffer and live as long as it does. All integers on the wire are
 * big-endian; here they are host order. Any function may be called from any thread.
 */
#ifndef SEGUE_PROTOCOL_H
#define SEGUE_PROTOCOL_H

#include "segue/limits.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_read { SG_READ_OK, SG_READ_MORE, SG_READ_BAD };

/* ---- Frames: type byte, int32 length that counts itself, body ("Message Formats") ---- */

struct sg_frame {
    uint8_t type;
    uint32_t body_bytes; /* after type and length */
};

/* Reads one header. OK once 5 bytes are there; BAD when the length is under 4, negative, or the body over
 * max_body_bytes: as soon as the bytes so far can become nothing else. */
enum sg_read sg_frame_header(const uint8_t *buf, size_t len, uint32_t max_body_bytes, struct sg_frame *ret_frame);

/*
 * Walks a stream that arrives in any pieces, without copying it. Zero-initialise, set max_body_bytes.
 *
 *      chunk:   [..rest of body..][type len body][type len body][type le
 *      events:   BODY              HEAD BODY END  HEAD BODY END   (MORE: header bytes are kept in the scanner)
 *
 * Each call consumes a prefix of the chunk and reports one event:
 *   SG_SCAN_HEAD  a header became complete; frame holds it. bytes = header bytes taken from *this* chunk (1..5);
 *                 header[] holds all five, wherever they came from.
 *   SG_SCAN_BODY  bytes more body bytes at the front of the chunk; left says how many are still to come.
 *                 A body of 0 bytes has no BODY event; when left == 0 the message is complete.
 *   SG_SCAN_MORE  the whole chunk was consumed into a partial header, or was empty; feed the next one.
 *   SG_SCAN_BAD   illegal length; nothing more can be read from this stream, and every later call says so again.
 *                 *ret_bytes is untouched.
 */
enum sg_scan_event { SG_SCAN_HEAD, SG_SCAN_BODY, SG_SCAN_MORE, SG_SCAN_BAD };

struct sg_scanner {
    uint32_t max_body_bytes;
    struct sg_frame frame; /* of the message being read */
    uint32_t left;         /* body bytes still to come */
    uint8_t header[SG_FRAME_HEADER_BYTES];
    uint8_t header_have;
};

enum sg_scan_event sg_scan(struct sg_scanner *scanner, const uint8_t *chunk, size_t len, size_t *ret_bytes);
/* After HEAD: takes the whole body, which lies behind the header in the same chunk. */
static inline void sg_scan_skip_body(struct sg_scanner *scanner) {
    scanner->left = 0;
}
/* True between messages: the next byte would be a type byte. */
bool sg_scanner_at_boundary(const struct sg_scanner *scanner);

/* ---- Start-up packets: int32 length, int32 code ("Start-up", "SSL Session Encryption", "Canceling Requests") ---- */

enum sg_startup_kind { SG_STARTUP_SESSION, SG_STARTUP_SSL, SG_STARTUP_GSSENC, SG_STARTUP_CANCEL };

struct sg_startup {
    enum sg_startup_kind kind;
    uint32_t bytes;        /* whole packet */
    uint16_t major, minor; /* SESSION: protocol version asked for */
    struct sg_span params; /* SESSION: name\0value\0...; well-formed, without the final NUL */
    uint32_t cancel_pid;   /* CANCEL */
    struct sg_span cancel_key;
};

/* OK once the packet is whole; len may go on behind it (startup.bytes says where it ends).
 * BAD: length outside 8..10000 or not that of the request, unknown request code, parameters that are not pairs of
 * NUL-terminated strings closed by a NUL in the last byte. Majors other than 3 are OK here, with params empty, and
 * refused by the caller, who can say why. */
enum sg_read sg_startup_read(const uint8_t *buf, size_t len, struct sg_startup *ret_startup);
/* Iterates parameters: *cursor starts at 0. Both spans are NUL-terminated in the packet. */
bool sg_startup_param_next(const struct sg_startup *startup, size_t *cursor, struct sg_span *ret_name,
                           struct sg_span *ret_value);
/* The last value given for name (as the server does); ptr NULL if absent. */
struct sg_span sg_startup_param(const struct sg_startup *startup, const char *name);
/* Who logs in, and to which database, as the server takes them: cut to the length of a name, and without a database the
 * user's name is its. Not NUL-terminated. */
struct sg_span sg_startup_user(const struct sg_startup *startup);
struct sg_span sg_startup_database(const struct sg_startup *startup);

/* ---- Typed views of message bodies. OK or BAD: the body is complete. ----
 *
 * Bytes left over behind the last field are BAD, as they are to the server. The iterators below answer false at the end
 * and where the body is malformed, and leave the cursor and their outputs as they were. */

struct sg_query {
    struct sg_span sql;
};
struct sg_parse {
    struct sg_span name, sql; /* NUL-terminated in the body */
    uint16_t nparams;
    const uint8_t *param_oids; /* nparams big-endian int32, unaligned */
};
/* The front of a Bind: portal and statement; rest = formats, values, result formats, untouched. */
struct sg_bind_head {
    struct sg_span portal, statement;
    size_t head_bytes;
};
/* Describe and Close. kind is 'S' or 'P'. */
struct sg_target {
    uint8_t kind;
    struct sg_span name;
};
struct sg_execute {
    struct sg_span portal;
    int32_t max_rows; /* 0: no limit */
};
struct sg_parameter_status {
    struct sg_span name, value;
};
struct sg_backend_key {
    uint32_t pid;
    struct sg_span key; /* 4..256 bytes */
};

enum sg_read sg_query_read(const uint8_t *body, size_t len, struct sg_query *ret);
enum sg_read sg_parse_read(const uint8_t *body, size_t len, struct sg_parse *ret);
/* MORE when the two names are not complete in the first len bytes: a Bind may be huge and is not held whole. */
enum sg_read sg_bind_head_read(const uint8_t *body, size_t len, struct sg_bind_head *ret);
enum sg_read sg_target_read(const uint8_t *body, size_t len, struct sg_target *ret);
enum sg_read sg_execute_read(const uint8_t *body, size_t len, struct sg_execute *ret);
/* 'I', 'T' or 'E'. */
enum sg_read sg_ready_read(const uint8_t *body, size_t len, char *ret_status);
enum sg_read sg_parameter_status_read(const uint8_t *body, size_t len, struct sg_parameter_status *ret);
enum sg_read sg_backend_key_read(const uint8_t *body, size_t len, struct sg_backend_key *ret);
/* The int32 that says which authentication message this is ("AuthenticationOk" is 0). */
enum sg_read sg_auth_read(const uint8_t *body, size_t len, int32_t *ret_code);
enum sg_read sg_command_tag_read(const uint8_t *body, size_t len, struct sg_span *ret_tag);

/* ErrorResponse and NoticeResponse ("Error and Notice Message Fields"): any subset of fields, unknown ones too. */
bool sg_error_field_next(const uint8_t *body, size_t len, size_t *cursor, char *ret_code, struct sg_span *ret_value);
struct sg_span sg_error_field(const uint8_t *body, size_t len, char code);

/* RowDescription. *cursor starts at 0. A count that the body cannot hold is BAD. */
struct sg_row_field {
    struct sg_span name;
    uint32_t table_oid, type_oid;
    int16_t attnum, type_size, format;
    int32_t type_mod;
};
enum sg_read sg_row_description_count(const uint8_t *body, size_t len, uint16_t *ret_count);
bool sg_row_field_next(const uint8_t *body, size_t len, size_t *cursor, struct sg_row_field *ret);

/* DataRow: value.ptr NULL for SQL NULL. *cursor starts at 0. */
bool sg_data_value_next(const uint8_t *body, size_t len, size_t *cursor, struct sg_span *ret_value);

/* ---- Building messages ---- */

/* A growable buffer owned by its holder. Out of memory ends the process. */
struct sg_buf {
    uint8_t *data;
    size_t len, cap;
    size_t message_at; /* where the length of the message under construction stands */
};

void sg_buf_free(struct sg_buf *buf);
void sg_buf_reserve(struct sg_buf *buf, size_t more);
void sg_buf_put(struct sg_buf *buf, const void *bytes, size_t len);
void sg_buf_put_u8(struct sg_buf *buf, uint8_t v);
void sg_buf_put_u16(struct sg_buf *buf, uint16_t v);
void sg_buf_put_u32(struct sg_buf *buf, uint32_t v);
void sg_buf_put_cstr(struct sg_buf *buf, const char *cstr);         /* with its NUL */
void sg_buf_put_span_cstr(struct sg_buf *buf, struct sg_span span); /* and a NUL */

/* begin ... put ... end: end fills in the length. type 0 begins a start-up packet (no type byte). */
void sg_msg_begin(struct sg_buf *buf, uint8_t type);
void sg_msg_end(struct sg_buf *buf);

struct sg_error;
/* Severity is "ERROR", "FATAL", ... and goes out in S and V. Empty detail and hint, and position 0, are left out. */
void sg_msg_error(struct sg_buf *buf, const char *severity, const struct sg_error *err);
void sg_msg_notice(struct sg_buf *buf, const char *severity, const struct sg_error *err);
void sg_msg_ready(struct sg_buf *buf, char status);
void sg_msg_auth_ok(struct sg_buf *buf);
void sg_msg_parameter_status(struct sg_buf *buf, const char *name, const char *value);
void sg_msg_backend_key(struct sg_buf *buf, uint32_t pid, struct sg_span key);
void sg_msg_command_complete(struct sg_buf *buf, const char *tag);
void sg_msg_parse(struct sg_buf *buf, struct sg_span name, struct sg_span sql, uint16_t nparams,
                  const uint8_t *param_oids);
void sg_msg_close(struct sg_buf *buf, uint8_t kind, struct sg_span name);
void sg_msg_query(struct sg_buf *buf, struct sg_span sql);
/* "NegotiateProtocolVersion": the newest version supported, as servers send it (3 << 16 | minor), and the names of the
 * options not recognised. */
void sg_msg_negotiate_version(struct sg_buf *buf, uint32_t newest, const struct sg_span *options, uint32_t n);
/* RowDescription with text columns, and one DataRow (NULL pointer: SQL NULL). */
void sg_msg_text_row_description(struct sg_buf *buf, const char *const *names, uint16_t n);
void sg_msg_text_row(struct sg_buf *buf, const char *const *values, uint16_t n);

#endif
