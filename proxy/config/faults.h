/*
 * faults — what is wrong with the files an operator has written: all of it, each with its place, before any of it is
 * acted on.
 */
#ifndef SEGUE_FAULTS_H
#define SEGUE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One thing that is wrong. line 0: the command line, or the file as a whole. */
struct sg_config_fault {
    char *file; /* NULL: the command line */
    int line;
    char message[400];
};
struct sg_config_faults {
    struct sg_config_fault *list;
    size_t len, cap;
};

/* Who hears what is wrong with a piece of a file from a reader that does not know where the piece stands. */
struct sg_fault_listener {
    void (*tell)(void *arg, const char *message);
    void *arg;
    bool has_heard;
};
void sg_fault_tell(struct sg_fault_listener *listener, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* file is copied; NULL: the command line. */
void sg_config_faults_add(struct sg_config_faults *faults, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void sg_config_faults_free(struct sg_config_faults *faults);
/* FILE:LINE: message, one a line. */
void sg_config_faults_print(const struct sg_config_faults *faults, FILE *out);
/* Those from the one at `from` on, by line, so that the list reads along with the file; what has no line comes last. A
 * file's own come together, in the order in which the files were first met. */
void sg_config_faults_sort(struct sg_config_faults *faults, size_t from);

#endif
