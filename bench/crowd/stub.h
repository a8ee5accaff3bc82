/*
 * stub — a server that costs little: lets everybody in, answers every statement at once, and sits.
 *
 *      COPY ... FROM STDIN      takes data until it ends
 *      COPY (n) TO STDOUT       n bytes of data
 *      SELECT repeat('x', n)    a row of one value of n bytes
 *      anything else            one small row; prepared: no row
 */
#ifndef SEGUE_BENCH_CROWD_STUB_H
#define SEGUE_BENCH_CROWD_STUB_H

#include <stdbool.h>

/* Serves on a free port of loopback, which it prints, until it is killed. Files NULL: in the clear. */
int sg_stub_serve(const char *cert_file, const char *key_file);

#endif
