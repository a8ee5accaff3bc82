#include "bench/load/complaints.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *shown[SG_COMPLAINTS_SHOWN];
static size_t count;

static void complain(bool aloud, const char *fmt, va_list args) {
    pthread_mutex_lock(&lock);
    if (count < SG_COMPLAINTS_SHOWN || aloud) {
        char *text = NULL;
        if (vasprintf(&text, fmt, args) < 0)
            text = NULL;
        fprintf(stderr, "%s\n", text ? text : "(out of memory)");
        if (count < SG_COMPLAINTS_SHOWN)
            shown[count] = text;
        else
            free(text);
    } else if (count == SG_COMPLAINTS_SHOWN) {
        fprintf(stderr, "(further errors are only counted)\n");
    }
    count++;
    pthread_mutex_unlock(&lock);
}

void sg_complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    complain(false, fmt, args);
    va_end(args);
}

void sg_complain_aloud(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    complain(true, fmt, args);
    va_end(args);
}

size_t sg_complaints(void) {
    pthread_mutex_lock(&lock);
    size_t seen = count;
    pthread_mutex_unlock(&lock);
    return seen;
}

const char *sg_complaint(size_t i) {
    return i < SG_COMPLAINTS_SHOWN && i < sg_complaints() ? shown[i] : NULL;
}
