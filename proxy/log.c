#include "proxy/log.h"

#include "proxy/log_line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 3072

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

static void line_write(int fd, const struct sg_log_line *line) {
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

static void emit(const struct sg_log_event *event) {
    struct sg_log_line line;
    int before = errno; /* so that a caller may log first and look at errno afterwards */
    pthread_mutex_lock(&logger.lock);
    sg_log_line_make(&line, logger.format, event);
    line_write(STDERR_FILENO, &line);
    if (logger.fd >= 0)
        line_write(logger.fd, &line);
    pthread_mutex_unlock(&logger.lock);
    errno = before;
}

static bool is_wanted(enum sg_log_level level) {
    return (int)level >= atomic_load_explicit(&logger.min_level, memory_order_relaxed);
}

static void emit_message(enum sg_log_level level, const char *message) {
    const struct sg_log_field field = SG_LOG_TEXTUAL("message", message);
    emit(&(struct sg_log_event){level, "message", message, &field, 1});
}

void sg_log(enum sg_log_level level, const char *fmt, ...) {
    if (!is_wanted(level))
        return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    emit_message(level, message);
}

void sg_log_error(enum sg_log_level level, const struct sg_error *err, const char *fmt, ...) {
    if (!is_wanted(level))
        return;
    char what[1024], message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(message, sizeof(message), "%s: %s (SQLSTATE %s)%s%s%s%s", what, err->message, err->sqlstate,
             err->detail[0] ? "; detail: " : "", err->detail, err->hint[0] ? "; hint: " : "", err->hint);
    struct sg_log_field fields[5] = {SG_LOG_TEXTUAL("message", what), SG_LOG_TEXTUAL("error", err->message),
                                     SG_LOG_WORD("sqlstate", err->sqlstate)};
    size_t n = 3;
    if (err->detail[0])
        fields[n++] = SG_LOG_TEXTUAL("detail", err->detail);
    if (err->hint[0])
        fields[n++] = SG_LOG_TEXTUAL("hint", err->hint);
    emit(&(struct sg_log_event){level, "error", message, fields, n});
}

void sg_log_fields(enum sg_log_level level, const char *event, const struct sg_log_field *fields, size_t len) {
    if (is_wanted(level))
        emit(&(struct sg_log_event){level, event, NULL, fields, len});
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
    if (!is_wanted(level) || !limit_take(limit))
        return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    uint32_t dropped = atomic_exchange(&limit->dropped, 0);
    if (dropped && n >= 0 && (size_t)n < sizeof(message))
        snprintf(message + n, sizeof(message) - (size_t)n, " (%u more like it left out)", dropped);
    emit_message(level, message);
}

void sg_log_fields_limited(struct sg_log_limit *limit, enum sg_log_level level, const char *event,
                           const struct sg_log_field *fields, size_t len) {
    struct sg_log_field all[SG_LOG_FIELDS_MAX + 1];
    if (!is_wanted(level) || !limit_take(limit))
        return;
    uint32_t dropped = atomic_exchange(&limit->dropped, 0);
    len = len < SG_LOG_FIELDS_MAX ? len : SG_LOG_FIELDS_MAX;
    memcpy(all, fields, len * sizeof(*fields));
    if (dropped)
        all[len++] = SG_LOG_NUMBER("left_out", dropped);
    emit(&(struct sg_log_event){level, event, NULL, all, len});
}
