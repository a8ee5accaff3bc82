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

struct sg_engine;
struct sg_console; /* all console sessions of this process */

struct sg_console_config {
    const char *control_conninfo;
    const char *admin_users; /* comma-separated; NULL: the control role */
    const char *stats_users; /* comma-separated; NULL: nobody */
};

struct sg_console *sg_console_new(const struct sg_console_config *config, struct sg_engine *engine);
/* Ends every session (57P01) and waits for the threads. */
void sg_console_free(struct sg_console *console);

/*
 * Takes the socket (closes it when done). Called from a worker loop when the server has authenticated the client as
 * `user`; nothing of AuthenticationOk or what follows has been sent to the client yet: the console sends it, or a
 * FATAL 42501 when the user is neither admin nor stats. pending: bytes the client sent already, copied.
 */
void sg_console_adopt(struct sg_console *console, int fd, const char *user, struct sg_span pending);

#endif
