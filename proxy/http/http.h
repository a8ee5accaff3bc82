/*
 * http — what an operator's tools read: /metrics, /healthz, /readyz, /api/NAME, and a page that says so.
 *
 * Threads of libmicrohttpd, one a connection, with blocking calls, as the console's sessions: the data path sees only
 * what they ask its workers. All of it is for looking (the console's stats role); nothing here changes anything, and
 * nobody is asked who he is: who may connect is decided by the address, the loopback unless it is set otherwise.
 */
#ifndef SEGUE_HTTP_HTTP_H
#define SEGUE_HTTP_HTTP_H

#include "segue/error.h"

#include <stdbool.h>

struct sg_console;
struct sg_http;

struct sg_http_config {
    const char *listen;            /* HOST:PORT, :PORT; port 0: a free one */
    struct sg_console *console;    /* outlives it */
    bool (*is_serving)(void *arg); /* are new clients accepted? Any thread */
    void *arg;
};

/* NULL and *reterr: the address is none, or taken. */
struct sg_http *sg_http_start(const struct sg_http_config *config, struct sg_error *reterr);
/* Numeric "HOST:PORT"; valid until the end. */
const char *sg_http_address(const struct sg_http *http);
/* Only this machine can connect. */
bool sg_http_is_loopback(const struct sg_http *http);
/* Another process has the port as well, and answers from now on. NULL is nothing. */
void sg_http_yield(struct sg_http *http);
/* Waits for the requests under way. NULL is nothing. */
void sg_http_stop(struct sg_http *http);

#endif
