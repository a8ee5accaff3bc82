#include "bench/load/complaints.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *shown[SG_COMPLAINTS_SHOWN];
static size_t count;

void sg_complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&lock);
    if (count < SG_COMPLAINTS_SHOWN) {
        char *text = NULL;
        if (vasprintf(&text, fmt, args) < 0)
            text = NULL;
        shown[count] = text;
        fprintf(stderr, "%s\n", text ? text : "(out of memory)");
    } else if (count == SG_COMPLAINTS_SHOWN) {
        fprintf(stderr, "(further errors are only counted)\n");
    }
    count++;
    pthread_mutex_unlock(&lock);
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
