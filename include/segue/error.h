/*
 * An error as a value: what a client would see in an ErrorResponse. Plain memory, owned by whoever declares it;
 * functions that fail fill it and leave their other outputs untouched.
 */
#ifndef SEGUE_ERROR_H
#define SEGUE_ERROR_H

#include "segue/sqlstate.h"

struct sg_error {
    char sqlstate[6]; /* "" while there is no error */
    int position;     /* 1-based character in the client's text; 0 for none */
    char message[512];
    char detail[512];
    char hint[512];
};

/* Sets state and message; clears the rest. Text that does not fit is cut at a character boundary. */
void sg_error_set(struct sg_error *err, enum sg_sqlstate state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sg_error_detail(struct sg_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sg_error_hint(struct sg_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
