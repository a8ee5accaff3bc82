/*
 *      text   2026-11-21T04:30:00.123Z [77] INFO message
 *             2026-11-21T04:30:00.123Z [77] INFO login user="app" database="shop" client=10.0.0.7:41234
 *      JSON   {"ts":"2026-11-21T04:30:00.123Z","level":"info","pid":77,"event":"login","user":"app",...}
 *
 * Invariant: SPARE bytes stay free until the end: they close a string, the object, and the line.
 */
#include "proxy/log_line.h"

#include "proxy/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SPARE 4

static const char *const text_levels[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
static const char *const json_levels[] = {"debug", "info", "warning", "error"};

/* All or nothing, so that no escape or character is cut in two. */
static bool put(struct sg_log_line *line, const char *bytes, size_t len) {
    if (len > sizeof(line->text) - SPARE - line->len)
        return false;
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
    return true;
}

static bool put_cstr(struct sg_log_line *line, const char *text) {
    return put(line, text, strlen(text));
}

/* Out of what is spare. */
static void put_last(struct sg_log_line *line, char byte) {
    line->text[line->len++] = byte;
}

/* MESSAGE: what could end or restart the line is escaped; QUOTED: what could end the value, too. */
enum escaping { MESSAGE, QUOTED, JSON };

static void put_escaped(struct sg_log_line *line, const char *text, enum escaping escaping) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        char escape[8];
        size_t len = sg_utf8_bytes(p);
        if (escaping != MESSAGE && (*p == '"' || *p == '\\'))
            put(line, (char[]){'\\', (char)*p}, 2);
        else if (*p == '\n')
            put_cstr(line, escaping == MESSAGE ? " | " : "\\n");
        else if (*p < 0x20 || *p == 0x7f || (escaping == JSON && !len))
            put(line, escape, (size_t)snprintf(escape, sizeof(escape), escaping == JSON ? "\\u%04x" : "\\x%02x", *p));
        else
            put(line, (const char *)p, len ? len : 1);
        p += len ? len : 1;
    }
}

static void put_quoted(struct sg_log_line *line, const char *text, enum escaping escaping) {
    if (put(line, "\"", 1)) {
        put_escaped(line, text, escaping);
        put_last(line, '"');
    }
}

static void put_time(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

/* Room for the name, the quotes, and a little of the value. */
static bool has_room(const struct sg_log_line *line, const struct sg_log_field *field) {
    return line->len + strlen(field->name) + 40 < sizeof(line->text) - SPARE;
}

static void make_json(struct sg_log_line *line, const char *when, const struct sg_log_event *event) {
    line->len =
        (size_t)snprintf(line->text, sizeof(line->text), "{\"ts\":\"%s\",\"level\":\"%s\",\"pid\":%d,\"event\":\"%s\"",
                         when, json_levels[event->level], (int)getpid(), event->name);
    for (size_t i = 0; i < event->fields_len && has_room(line, &event->fields[i]); i++) {
        const struct sg_log_field *field = &event->fields[i];
        char number[32];
        put_cstr(line, ",\"");
        put_cstr(line, field->name);
        put_cstr(line, "\":");
        if (field->kind == SG_LOG_FIELD_NUMBER)
            put(line, number, (size_t)snprintf(number, sizeof(number), "%" PRId64, field->number));
        else
            put_quoted(line, field->text, JSON);
    }
    put_last(line, '}');
    put_last(line, '\n');
}

static bool is_word(const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-[]/";
    return *text && text[strspn(text, plain)] == '\0';
}

static void make_text(struct sg_log_line *line, const char *when, const struct sg_log_event *event) {
    line->len =
        (size_t)snprintf(line->text, sizeof(line->text), "%s [%d] %s ", when, (int)getpid(), text_levels[event->level]);
    if (event->message) {
        put_escaped(line, event->message, MESSAGE);
        put_last(line, '\n');
        return;
    }
    put_cstr(line, event->name);
    for (size_t i = 0; i < event->fields_len && has_room(line, &event->fields[i]); i++) {
        const struct sg_log_field *field = &event->fields[i];
        char number[32];
        put(line, " ", 1);
        put_cstr(line, field->name);
        put(line, "=", 1);
        if (field->kind == SG_LOG_FIELD_NUMBER)
            put(line, number, (size_t)snprintf(number, sizeof(number), "%" PRId64, field->number));
        else if (field->kind == SG_LOG_FIELD_WORD && is_word(field->text))
            put_cstr(line, field->text);
        else
            put_quoted(line, field->text, QUOTED);
    }
    put_last(line, '\n');
}

void sg_log_line_make(struct sg_log_line *line, enum sg_log_format format, const struct sg_log_event *event) {
    char when[64];
    put_time(when, sizeof(when));
    if (format == SG_LOG_JSON)
        make_json(line, when, event);
    else
        make_text(line, when, event);
}
