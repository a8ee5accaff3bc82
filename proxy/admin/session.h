/*
 * session — one console client: its protocol state, its prepared statements and portals, its control connection.
 *
 * Each belongs to a thread of its own; others may only ask it to end or to cancel.
 */
#ifndef SEGUE_ADMIN_SESSION_H
#define SEGUE_ADMIN_SESSION_H

#include "proxy/admin/command.h"
#include "proxy/admin/result.h"
#include "proxy/admin/wire.h"

#include <stdatomic.h>

#define SG_CONSOLE_KEY_BYTES 4

struct sg_console;

struct sg_prepared; /* a statement or portal by name */

struct sg_admin_session {
    struct sg_console *console;
    struct sg_admin_session *next; /* console's list, under its lock */
    struct sg_wire wire;
    char *user;
    bool is_admin, is_known; /* is_known: in one of the lists */
    uint32_t pid;            /* as BackendKeyData says; above any process id of a server */
    uint8_t key[SG_CONSOLE_KEY_BYTES];
    _Atomic bool end_wanted, cancel_wanted; /* set by other threads, then woken */

    PGconn *control;       /* NULL until it is needed */
    struct sg_arena arena; /* of the message at hand */
    struct sg_prepared *statements, *portals;
    size_t prepared_len; /* of both lists */
    bool skipping;       /* an extended message failed: until Sync nothing is done */
};

/* From AuthenticationOk to the end of the connection. */
void sg_admin_session_main(struct sg_admin_session *session);

/* What the session does when its wire was woken: false when it is to end. */
bool sg_admin_session_goes_on(struct sg_admin_session *session);

/* DISCARD ALL, DEALLOCATE ALL: the prepared statements are gone (portals end by themselves). */
void sg_admin_session_forget(struct sg_admin_session *session);

#endif
