/*
 * console — the virtual database `segue`: psql, drivers and scrapers speak to it in simple and extended protocol.
 *
 * The network side authenticates the client against the control database, then hands the socket over. Each console
 * session is one thread with blocking I/O and a control connection of its own: consoles are few, WAIT may block for
 * hours, and the data path never sees any of it.
 */
#ifndef SEGUE_ADMIN_CONSOLE_H
#define SEGUE_ADMIN_CONSOLE_H

#include "segue/span.h"

#include <stdbool.h>
#include <stdint.h>

struct sg_config;
struct sg_engine;
struct sg_error;
struct sg_hub;
struct sg_server;
struct sg_console;
struct sg_tls; /* all console sessions of this process */

/* What a console asks of the process it lives in. */
enum sg_console_request {
    SG_CONSOLE_RELOAD,
    SG_CONSOLE_LEAVE, /* when the clients have left */
    SG_CONSOLE_DRAIN,
    SG_CONSOLE_SHUTDOWN
};

struct sg_console_config {
    const char *control_conninfo;
    const char *database;     /* the control connection's */
    const char *control_user; /* the admin where the configuration names none */
    /* Called from session threads; returns at once. */
    void (*on_request)(void *arg, enum sg_console_request request);
    void *on_request_arg;
    const struct sg_config *config; /* who may come in; SHOW CONFIG */
    struct sg_hub *hub;             /* for EXPLAIN REWRITE; outlives the console */
};

/* The config's strings are copied, the sg_config is not. */
struct sg_console *sg_console_new(const struct sg_console_config *config);
/* Ends every session and waits for the threads. */
void sg_console_free(struct sg_console *console);

/* Ends every session there is (57P01), for a drain; returns at once. Any thread. */
void sg_console_end_sessions(struct sg_console *console);

/* What comes later or changes: the engine (none until it has started), the server, the config. What was set before is
 * no longer used when the call returns. Any thread. */
void sg_console_set_engine(struct sg_console *console, struct sg_engine *engine);
/* Why there is no engine yet, for whoever asks for a migration. */
void sg_console_set_trouble(struct sg_console *console, const struct sg_error *why);
void sg_console_set_server(struct sg_console *console, struct sg_server *server);
void sg_console_set_config(struct sg_console *console, const struct sg_config *config);

/*
 * Takes the socket (closes it when done). Called from a worker loop when the server has authenticated the client as
 * `user`; nothing of AuthenticationOk or what follows has been sent to the client yet: the console sends it, or a
 * FATAL 42501 when the user is neither admin nor stats. tls: what encrypts the socket, taken over; NULL: nothing does.
 * pending: bytes the client sent already, copied.
 */
void sg_console_adopt(struct sg_console *console, int fd, struct sg_tls *tls, const char *user, struct sg_span pending);

/* A CancelRequest: true when the key is that of a console session, whose WAIT then ends with 57014. Any thread. */
bool sg_console_cancel(struct sg_console *console, uint32_t pid, struct sg_span key);

#endif
