#include "proxy/log.h"

#include "proxy/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES    4096
#define MESSAGE_BYTES 3072

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

/* The one log of the process. The lock guards the file and the settings while a reload changes them; the level is read
 * without it, so that a DEBUG line that is not wanted costs one load. */
static struct {
    pthread_mutex_t lock;
    int fd; /* of the log file; -1: none */
    enum sg_log_format format;
    _Atomic int min_level;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .min_level = SG_LOG_INFO};

bool sg_log_open(const struct sg_log_config *config, struct sg_error *reterr) {
    int fd = -1;
    if (config->file && config->file[0]) {
        fd = open(config->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0) {
            sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "cannot open log file \"%s\": %s", config->file,
                         strerror(errno));
            return false;
        }
    }
    pthread_mutex_lock(&logger.lock);
    int before = logger.fd;
    logger.fd = fd;
    logger.format = config->format;
    atomic_store(&logger.min_level, config->min_level);
    pthread_mutex_unlock(&logger.lock);
    if (before >= 0)
        close(before);
    return true;
}

void sg_log_close(void) {
    pthread_mutex_lock(&logger.lock);
    if (logger.fd >= 0)
        close(logger.fd);
    logger.fd = -1;
    pthread_mutex_unlock(&logger.lock);
}

struct line {
    char text[LINE_BYTES];
    size_t len;
};

/* All or nothing, so that no escape or character is cut in two. Room for the closing quote, brace and newline is left.
 */
static void line_put(struct line *line, const char *bytes, size_t len) {
    if (len > sizeof(line->text) - 4 - line->len)
        return;
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

/* As the inside of a JSON string; in text form only what could end or restart a line is escaped. */
static void line_put_escaped(struct line *line, const char *text, bool json) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        char escape[8];
        size_t len = sg_utf8_bytes(p);
        if (json && (*p == '"' || *p == '\\'))
            line_put(line, (char[]){'\\', (char)*p}, 2);
        else if (*p == '\n')
            line_put(line, json ? "\\n" : " | ", json ? 2 : 3);
        else if (*p < 0x20 || *p == 0x7f || (json && !len))
            line_put(line, escape, (size_t)snprintf(escape, sizeof(escape), json ? "\\u%04x" : "\\x%02x", *p));
        else
            line_put(line, (const char *)p, len ? len : 1);
        p += len ? len : 1;
    }
}

static void line_time(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static void line_write(int fd, const struct line *line) {
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(fd, line->text + done, line->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a log that cannot be written must not stop the service */
        done += (size_t)n;
    }
}

static void emit(enum sg_log_level level, const char *message) {
    char when[64];
    struct line line = {.len = 0};
    int before = errno; /* so that a caller may log first and look at errno afterwards */
    line_time(when, sizeof(when));
    pthread_mutex_lock(&logger.lock);
    bool json = logger.format == SG_LOG_JSON;
    if (json) {
        line.len = (size_t)snprintf(line.text, sizeof(line.text),
                                    "{\"time\":\"%s\",\"level\":\"%s\",\"pid\":%d,\"message\":\"", when,
                                    level_names[level], (int)getpid());
        line_put_escaped(&line, message, true);
        memcpy(line.text + line.len, "\"}\n", 3);
        line.len += 3;
    } else {
        line.len =
            (size_t)snprintf(line.text, sizeof(line.text), "%s [%d] %s ", when, (int)getpid(), level_names[level]);
        line_put_escaped(&line, message, false);
        line.text[line.len++] = '\n';
    }
    line_write(STDERR_FILENO, &line);
    if (logger.fd >= 0)
        line_write(logger.fd, &line);
    pthread_mutex_unlock(&logger.lock);
    errno = before;
}

void sg_log(enum sg_log_level level, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&logger.min_level, memory_order_relaxed))
        return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    emit(level, message);
}

void sg_log_error(enum sg_log_level level, const struct sg_error *err, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&logger.min_level, memory_order_relaxed))
        return;
    char what[1024], message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(message, sizeof(message), "%s: %s (SQLSTATE %s)%s%s%s%s", what, err->message, err->sqlstate,
             err->detail[0] ? "; detail: " : "", err->detail, err->hint[0] ? "; hint: " : "", err->hint);
    emit(level, message);
}

/* Two threads may both see a new second and both reset the count: a few lines more than asked, never a lost reset. */
static bool limit_take(struct sg_log_limit *limit) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t second = (uint64_t)now.tv_sec;
    if (atomic_exchange(&limit->second, second) != second)
        atomic_store(&limit->used, 0);
    if (atomic_fetch_add(&limit->used, 1) < limit->per_second)
        return true;
    atomic_fetch_add(&limit->dropped, 1);
    return false;
}

void sg_log_limited(struct sg_log_limit *limit, enum sg_log_level level, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&logger.min_level, memory_order_relaxed) || !limit_take(limit))
        return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    uint32_t dropped = atomic_exchange(&limit->dropped, 0);
    if (dropped && n >= 0 && (size_t)n < sizeof(message))
        snprintf(message + n, sizeof(message) - (size_t)n, " (%u more like it left out)", dropped);
    emit(level, message);
}
