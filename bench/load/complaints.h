/*
 * complaints — what went wrong, counted by the caller, printed here: the first few in full, then silence, so that a
 * broken run stays readable. Any thread.
 */
#ifndef SEGUE_BENCH_COMPLAINTS_H
#define SEGUE_BENCH_COMPLAINTS_H

#include <stddef.h>

/* How many are printed before the rest is only counted. */
#define SG_COMPLAINTS_SHOWN 8

/* What stops the whole run is always printed. */
void sg_complain_aloud(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sg_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
size_t sg_complaints(void);
/* The texts of those that were shown, for the reports; NULL past the last. Valid until the process ends. */
const char *sg_complaint(size_t i);

#endif
