/*
 * log — what the program tells its operator. Only proxy/ logs; protocol/ and rewrite/ return errors instead.
 *
 * One line an event: to stderr, and to a log file as well where one is set. Lines are written whole with one write(2),
 * so lines of several threads never mix. Any function may be called from any thread, except that sg_log_open and
 * sg_log_close belong to the main thread.
 */
#ifndef SEGUE_LOG_H
#define SEGUE_LOG_H

#include "segue/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_log_level { SG_LOG_DEBUG, SG_LOG_INFO, SG_LOG_WARN, SG_LOG_ERROR };
enum sg_log_format { SG_LOG_TEXT, SG_LOG_JSON };

struct sg_log_config {
    enum sg_log_format format;
    enum sg_log_level min_level;
    const char *file; /* NULL or "": stderr only. Copied */
};

/* Before the first call: text, INFO, stderr. May be called again: opens the file anew, which is what rotation by HUP
 * needs. On failure the log stays as it was. */
bool sg_log_open(const struct sg_log_config *config, struct sg_error *reterr);
void sg_log_close(void);

/* One event; fmt without a newline. Control characters are escaped: no client can forge a line. */
void sg_log(enum sg_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* sg_log of an error: message, SQLSTATE, detail, hint after the text. */
void sg_log_error(enum sg_log_level level, const struct sg_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An event with fields, for whoever reads the log by program: `event name="value" number=1`, or members of the JSON
 * object. Values may hold anything. A word is shown without quotes if it can be. */
struct sg_log_field {
    const char *name, *text;
    int64_t number;
    enum { SG_LOG_FIELD_TEXT, SG_LOG_FIELD_WORD, SG_LOG_FIELD_NUMBER } kind;
};
#define SG_LOG_TEXTUAL(key, value) ((struct sg_log_field){.name = (key), .text = (value)})
#define SG_LOG_WORD(key, value)    ((struct sg_log_field){.name = (key), .text = (value), .kind = SG_LOG_FIELD_WORD})
#define SG_LOG_NUMBER(key, value) \
    ((struct sg_log_field){.name = (key), .number = (int64_t)(value), .kind = SG_LOG_FIELD_NUMBER})
#define SG_LOG_FIELDS_MAX 16

void sg_log_fields(enum sg_log_level level, const char *event, const struct sg_log_field *fields, size_t len);
#define sg_log_event(level, event, ...)                                         \
    sg_log_fields((level), (event), (const struct sg_log_field[]){__VA_ARGS__}, \
                  sizeof((const struct sg_log_field[]){__VA_ARGS__}) / sizeof(struct sg_log_field))

/*
 * For events that a client can bring about as fast as it likes (port scans, bad packets): at most per_second lines a
 * second for this place in the code; the next line that gets through says how many were left out.
 *
 *     static struct sg_log_limit limit = SG_LOG_LIMIT(10);
 *     sg_log_limited(&limit, SG_LOG_WARN, "bad start-up packet from %s", peer);
 */
struct sg_log_limit {
    uint32_t per_second;
    _Atomic uint64_t second;  /* the one being counted */
    _Atomic uint32_t used;    /* lines in it */
    _Atomic uint32_t dropped; /* since the last line that got through */
};
#define SG_LOG_LIMIT(n) \
    { .per_second = (n) }

void sg_log_limited(struct sg_log_limit *limit, enum sg_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sg_log_fields_limited(struct sg_log_limit *limit, enum sg_log_level level, const char *event,
                           const struct sg_log_field *fields, size_t len);
#define sg_log_event_limited(limit, level, event, ...)                                           \
    sg_log_fields_limited((limit), (level), (event), (const struct sg_log_field[]){__VA_ARGS__}, \
                          sizeof((const struct sg_log_field[]){__VA_ARGS__}) / sizeof(struct sg_log_field))

#endif
