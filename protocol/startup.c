/*
 * The packets that open a connection: they have no type byte, and come before anybody is known
 * (PostgreSQL docs, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest).
 */
#include "cursor.h"
#include "segue/protocol.h"

#define REQUEST_MAJOR    1234u /* the "version" that marks a request instead of a session */
#define CODE_CANCEL      (REQUEST_MAJOR << 16 | 5678u)
#define CODE_SSL         (REQUEST_MAJOR << 16 | 5679u)
#define CODE_GSSENC      (REQUEST_MAJOR << 16 | 5680u)
#define CANCEL_HEAD      12u /* length, code, pid; the key follows */
#define CANCEL_KEY_LEAST 4u

/* The smallest length the bytes so far can still become; whole once 4 are there. */
static uint32_t length_so_far(const uint8_t *buf, size_t len) {
    uint8_t whole[4] = {0};
    if (len > 0) {
        memcpy(whole, buf, len < sizeof whole ? len : sizeof whole);
    }
    return sg_load_u32(whole);
}

static bool code_and_length_agree(uint32_t code, uint32_t bytes) {
    switch (code) {
    case CODE_SSL:
    case CODE_GSSENC:
        return bytes == SG_STARTUP_MIN_BYTES;
    case CODE_CANCEL:
        return bytes >= CANCEL_HEAD + CANCEL_KEY_LEAST && bytes <= CANCEL_HEAD + SG_CANCEL_KEY_MAX_BYTES;
    default:
        return code >> 16 != REQUEST_MAJOR;
    }
}

/* As the server reads them: pairs up to an empty name, which must be the packet's last byte. */
static bool read_params(struct sg_cursor cursor, struct sg_span *ret_params) {
    const uint8_t *begin = cursor.at;
    struct sg_span name, value;
    while (sg_take_cstr(&cursor, &name)) {
        if (name.len == 0) {
            if (!sg_cursor_at_end(&cursor)) {
                return false;
            }
            *ret_params = (struct sg_span){(const char *)begin, (size_t)(cursor.at - begin) - 1};
            return true;
        }
        if (!sg_take_cstr(&cursor, &value)) {
            return false;
        }
    }
    return false;
}

static enum sg_read read_session(uint32_t code, struct sg_cursor cursor, struct sg_startup *ret_startup) {
    ret_startup->kind = SG_STARTUP_SESSION;
    ret_startup->major = (uint16_t)(code >> 16);
    ret_startup->minor = (uint16_t)code;
    /* Other majors lay out their packet otherwise; there is nothing to read but the number. */
    if (ret_startup->major == 3 && !read_params(cursor, &ret_startup->params)) {
        return SG_READ_BAD;
    }
    return SG_READ_OK;
}

enum sg_read sg_startup_read(const uint8_t *buf, size_t len, struct sg_startup *ret_startup) {
    uint32_t bytes = length_so_far(buf, len);
    if (bytes > SG_STARTUP_MAX_BYTES || (len >= 4 && bytes < SG_STARTUP_MIN_BYTES)) {
        return SG_READ_BAD;
    }
    if (len < SG_STARTUP_MIN_BYTES) {
        return SG_READ_MORE;
    }
    uint32_t code = sg_load_u32(buf + 4);
    if (!code_and_length_agree(code, bytes)) {
        return SG_READ_BAD;
    }
    if (len < bytes) {
        return SG_READ_MORE;
    }
    struct sg_startup startup = {.bytes = bytes};
    struct sg_cursor cursor = {buf + SG_STARTUP_MIN_BYTES, buf + bytes};
    switch (code) {
    case CODE_SSL:
        startup.kind = SG_STARTUP_SSL;
        break;
    case CODE_GSSENC:
        startup.kind = SG_STARTUP_GSSENC;
        break;
    case CODE_CANCEL:
        startup.kind = SG_STARTUP_CANCEL;
        (void)sg_take_u32(&cursor, &startup.cancel_pid);
        (void)sg_take_bytes(&cursor, sg_cursor_left(&cursor), &startup.cancel_key);
        break;
    default:
        if (read_session(code, cursor, &startup) != SG_READ_OK) {
            return SG_READ_BAD;
        }
        break;
    }
    *ret_startup = startup;
    return SG_READ_OK;
}

bool sg_startup_param_next(const struct sg_startup *startup, size_t *cursor, struct sg_span *ret_name,
                           struct sg_span *ret_value) {
    if (*cursor >= startup->params.len) {
        return false;
    }
    const uint8_t *begin = (const uint8_t *)startup->params.ptr;
    struct sg_cursor walk = {begin + *cursor, begin + startup->params.len};
    struct sg_span name, value;
    if (!sg_take_cstr(&walk, &name) || !sg_take_cstr(&walk, &value)) {
        return false;
    }
    *ret_name = name;
    *ret_value = value;
    *cursor = (size_t)(walk.at - begin);
    return true;
}

struct sg_span sg_startup_param(const struct sg_startup *startup, const char *name) {
    const struct sg_span wanted = {name, strlen(name)};
    struct sg_span found = {NULL, 0}, each_name, each_value;
    size_t cursor = 0;
    while (sg_startup_param_next(startup, &cursor, &each_name, &each_value)) {
        if (sg_span_eq(each_name, wanted)) {
            found = each_value;
        }
    }
    return found;
}

static struct sg_span cut_to_name(struct sg_span span) {
    return (struct sg_span){span.ptr, span.len < SG_NAME_BYTES ? span.len : SG_NAME_BYTES - 1};
}

struct sg_span sg_startup_user(const struct sg_startup *startup) {
    return cut_to_name(sg_startup_param(startup, "user"));
}

struct sg_span sg_startup_database(const struct sg_startup *startup) {
    struct sg_span database = cut_to_name(sg_startup_param(startup, "database"));
    return database.len > 0 ? database : sg_startup_user(startup);
}
