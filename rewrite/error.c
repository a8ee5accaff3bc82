#include "segue/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf, but a cut never leaves half a UTF-8 character behind. */
static void format(char *buf, size_t size, const char *fmt, va_list args) {
    int want = vsnprintf(buf, size, fmt, args);
    if (want < 0 || (size_t)want < size)
        return;
    size_t end = size - 1;
    while (end > 0 && ((unsigned char)buf[end - 1] & 0xc0) == 0x80)
        end--;
    if (end > 0 && ((unsigned char)buf[end - 1] & 0x80))
        end--;
    buf[end] = '\0';
}

void sg_error_set(struct sg_error *err, enum sg_sqlstate state, const char *fmt, ...) {
    memcpy(err->sqlstate, sg_sqlstate_code(state), sizeof err->sqlstate);
    err->position = 0;
    err->detail[0] = err->hint[0] = '\0';
    va_list args;
    va_start(args, fmt);
    format(err->message, sizeof err->message, fmt, args);
    va_end(args);
}

void sg_error_detail(struct sg_error *err, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    format(err->detail, sizeof err->detail, fmt, args);
    va_end(args);
}

void sg_error_hint(struct sg_error *err, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    format(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
}
