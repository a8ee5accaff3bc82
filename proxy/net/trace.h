/*
 * trace — what a session leaves for its operator: where it comes from and goes to, when it last asked for something,
 * and the tally that its traffic is counted in.
 *
 * Times are those of the worker's loop (ms, read once a turn of the loop): nothing here looks at a clock. Belongs to
 * the worker's thread.
 *
 *      sg_trace_begin --> sg_trace_wait --> sg_trace_server --> sg_trace_login --> (sg_trace_ask --> sg_trace_ready)*
 * --> the end
 */
#ifndef SEGUE_NET_TRACE_H
#define SEGUE_NET_TRACE_H

#include "tally.h"

#include <stdint.h>

struct sg_session;

/* One end of a socket. port 0 and no address: of a Unix socket. */
struct sg_endpoint {
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: not known */
    uint8_t address[16];
    uint16_t port;
};

struct sg_trace {
    uint64_t connected_ms, asked_ms, xact_ms; /* asked: a message whose reply is awaited, or was last */
    struct sg_tally *tally;                   /* never NULL */
    struct sg_endpoint client, client_local, server, server_local;
    uint32_t client_pid; /* of a client on a Unix socket */
    uint8_t phase; /* of the mappings that were used since the last ReadyForQuery, the furthest: enum sg_phase + 1;
                    * 0: none was */
};

/* fd: the client's socket. */
void sg_trace_begin(struct sg_session *s, int fd);
/* The StartupMessage has come: from now on the client waits for a server. */
void sg_trace_wait(struct sg_session *s);
/* The server's socket is connected. */
void sg_trace_server(struct sg_session *s);
/* The first ReadyForQuery has come. */
void sg_trace_login(struct sg_session *s);
/* The session is about to close. */
void sg_trace_end(const struct sg_session *s);
/* The server owes nothing so far, and is about to be asked for something. */
void sg_trace_ask(struct sg_session *s);
/* ReadyForQuery. */
void sg_trace_ready(struct sg_session *s, char status);
/* So many bytes have come, as on the wire. */
void sg_trace_from_client(struct sg_session *s, size_t bytes);
void sg_trace_from_server(struct sg_session *s, size_t bytes);
/* A message of the client, of the extended protocol or a Query, is on its way. */
void sg_trace_message(struct sg_session *s, uint8_t type);

#endif
