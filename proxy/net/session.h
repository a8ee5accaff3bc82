/*
 * session — one client and its one server connection. session.c opens with the state machine; the handlers of single
 * messages are in session_client.c and session_server.c, logging in is in startup.c.
 *
 * Belongs to the thread of its worker. Frees itself when its handles have closed.
 */
#ifndef SEGUE_NET_SESSION_H
#define SEGUE_NET_SESSION_H

#include "expect.h"
#include "facts.h"
#include "portals.h"
#include "trace.h"
#include "worker.h"

enum sg_session_state {
    SG_SESSION_START,
    SG_SESSION_AUTH,
    SG_SESSION_DIAL,
    SG_SESSION_CANCEL,
    SG_SESSION_RELAY,
    SG_SESSION_FLUSH,
    SG_SESSION_LINGER,
    SG_SESSION_CLOSED,
};

struct sg_copy_stream;
struct sg_session_cancel;
struct sg_login;
struct sg_database;
struct sg_databases;
struct sg_way;

/* Which of the limits was in the way of the login (session_limits.h). */
enum sg_refused_by { SG_REFUSED_BY_NONE, SG_REFUSED_BY_USER, SG_REFUSED_BY_DATABASE };

enum sg_probe_state { SG_PROBE_NONE, SG_PROBE_ASKED, SG_PROBE_ANSWERED, SG_PROBE_FAILED, SG_PROBE_SKIPPED };

/* Our question to the server, and the client's message that waits for the answer (session_facts.h). */
struct sg_probe {
    enum sg_probe_state state;
    const struct sg_plan *plan; /* ASKED: whose asks it is about; NULL: about settings alone */
    size_t rows;
    unsigned rounds; /* for the message in hand */
    bool is_query;   /* the message in hand is a Query */
    bool is_settled; /* the settings have been asked for the message in hand */
    bool is_synced;  /* it ends with Sync; otherwise with Flush */
    bool has_failed;
};

struct sg_session {
    struct sg_worker *worker;
    struct sg_session *next, *prev;                      /* of the worker's */
    struct sg_session *stranger_before, *stranger_after; /* strangers.h */
    uint64_t id;                                         /* in this process, and never given again */
    enum sg_session_state state;

    union sg_stream client, server;
    struct sg_outq to_client, to_server;
    struct sg_flow from_client, from_server;
    struct sg_buf rest;                 /* read from the client, not yet taken by from_client */
    struct sg_databases *databases;     /* a reference, from the start-up packet on */
    const struct sg_database *database; /* of those: what the client asked for */
    const struct sg_host *host;         /* of the database's: where the server connection leads; NULL: there was none */
    struct sg_dial *dial;               /* under way; NULL: none */
    struct sg_way *way;                 /* session_dial.c; NULL: the server is settled on */
    char *console_user;                 /* is_console: who logs in */
    struct sg_login *login; /* session_auth.c, until AuthenticationOk. NULL: the server alone authenticates */
    uv_timer_t timer;       /* login, later the end */
    unsigned holds;         /* handles and callbacks that still refer to the session */

    bool is_server_open, is_client_open;
    bool is_client_reading, is_server_reading;
    bool is_heard; /* what the client says is for the server: it is settled on, or has asked something */
    bool is_ssl_asked, is_gss_asked, is_unix, is_stranger;
    struct {                   /* session_tls.c */
        struct sg_tls *stream; /* NULL: the client is not encrypted */
        bool is_direct, is_ready;
    } tls;
    struct sg_tls *server_tls; /* NULL: the way to the server is not */
    bool is_counted;           /* in sg_shared.sessions */
    enum sg_refused_by refused_by;
    struct sg_limit_place place; /* in sg_shared.limits */
    enum sg_star star;           /* what `*` means to this client */
    bool is_console;             /* logs in upstream only to be authenticated, then goes to the console */
    bool is_logged_in;           /* the first ReadyForQuery was seen */
    bool is_client_bye;          /* Terminate was forwarded */
    bool is_server_cut;          /* the client died inside a message: nothing more is written to the server */
    bool is_client_eof;
    bool is_server_known; /* its first message was one that a PostgreSQL server begins with */
    bool is_server_error; /* its last message was that it ends the session: if it closes now, it has said why */
    bool is_stalled;
    bool is_paused, is_pausing, is_held; /* pause.h */
    uint32_t stalled_until;              /* as many expectations at most are left */

    /* What the server still owes, and what it said of the transaction. */
    struct sg_expect expect;
    char tx_status;            /* of the last ReadyForQuery; 0 before the first */
    bool is_skipping;          /* the server discards everything up to a Sync that has not been sent yet */
    bool is_copy_in;           /* the server reads COPY data and ignores Sync */
    bool is_answered;          /* the server has said something about a statement since the last ReadyForQuery */
    bool is_batch_start;       /* the last message with a reply was a Sync or Query: the next begins a batch */
    bool is_unsynced;          /* messages of the extended protocol were sent, and no Sync since */
    uint64_t batch;            /* counts the batches */
    uint64_t waiting_since_ns; /* 0: the client waits for nothing */
    struct sg_trace trace;
    uint64_t since_ms;   /* of the loop: when the session last became busy, or idle */
    bool is_overdue;     /* what runs has been cancelled for its time */
    bool is_replicating; /* CopyBoth: never idle, never done */
    bool has_snapshots;  /* it is on the control database: its statements may be rewritten */

    struct sg_who *who; /* session_notes.h; NULL until the StartupMessage, and for the console */

    /* Rewriting. */
    struct sg_installed *pin; /* from the first message of a transaction until it has ended */
    struct sg_session *pin_next, *pin_prev;
    struct sg_statements statements;
    struct sg_portals portals;
    bool has_prepared_sql;             /* a Parse may have been of SQL that makes, runs or ends prepared statements */
    bool has_unseen;                   /* SQL may have made a statement that is not remembered */
    bool is_clearing;                  /* every prepared statement is about to end: what uses one waits */
    bool has_key;                      /* to cancel with */
    struct sg_buf renewal_error;       /* why a statement could not be renewed for the Query behind it */
    struct {                           /* session_copy.c */
        struct sg_copy_stream *stream; /* through which CopyData go; NULL: forwarded as they are */
        const struct sg_plan *plan;    /* whose copy the stream follows */
    } copy;
    /* The settings that say how a text is read: in force as far as is known, and as last reported. */
    enum sg_encoding encoding;
    bool is_backslash_quotes;
    struct {
        enum sg_encoding encoding;
        bool is_backslash_quotes;
    } reported;
    struct sg_facts facts; /* session_facts.c */
    struct sg_probe probe;
    struct { /* session_lease.c */
        int64_t since_ms;
        bool is_waiting, is_refusing; /* for the lease to be back; it took too long */
        bool is_passing;              /* what has passed the gate is about to be written */
    } lease;
    enum sg_effect bound_effect; /* of what is bound to the portals there may be */
    bool has_suspects;           /* some prepared text may change what names mean: it matters which one is bound */
    bool has_facts_begun;

    /* BackendKeyData. */
    uint16_t key_bytes;
    uint32_t key_pid;
    uint8_t key[4];
    uint8_t *long_key;                /* protocol 3.2 */
    struct sg_session *key_next;      /* in sg_keys */
    struct sg_session_cancel *cancel; /* session_cancel.c; NULL: none is under way */
};

static inline const uint8_t *sg_session_key(const struct sg_session *s) {
    return s->long_key ? s->long_key : s->key;
}

/* Takes the fd over; on failure it is closed. */
void sg_session_open(struct sg_worker *worker, int fd);
/* Ends between two transactions, now or when it gets there. */
void sg_session_drain(struct sg_session *s);
/* FATAL, in whatever it does: what runs is cancelled. */
void sg_session_kill(struct sg_session *s);
/* At once, without a word. */
void sg_session_close(struct sg_session *s);

/* ---- Between the session's own files ---- */

/* FATAL to the client, then the end. */
void sg_session_fatal(struct sg_session *s, const struct sg_error *err);
/* Bytes of the client's socket (session.c). */
void sg_session_take(struct sg_session *s, const uint8_t *bytes, size_t len);
/* Bytes of the client are in rest: read start-up packets from it (startup.c). */
void sg_startup_feed(struct sg_session *s);
/* FATAL 57P03, for who comes while the process is about to end (startup.c). */
void sg_startup_refuse_shutdown(struct sg_session *s);
/* Both streams are open: from here on messages are relayed. first: the StartupMessage for the server. */
void sg_session_relay(struct sg_session *s, struct sg_span first);
/* The server will not do: ends the connection to it as if it had never been, and calls back when it is closed, with a
 * hold to be released. */
void sg_session_unrelay(struct sg_session *s, void (*on_closed)(uv_handle_t *handle));
/* What is queued for the client goes out, then the end of both connections. */
void sg_session_end(struct sg_session *s);
/* AuthenticationOk came, or is due, for a console client (startup.c). */
void sg_startup_to_console(struct sg_session *s);
/* Drops the hold taken for a callback; may free the session. */
void sg_session_release(struct sg_session *s);
void sg_session_read_client(struct sg_session *s, bool on);
/* Between two transactions: nothing owed, nothing half sent. */
bool sg_session_is_idle(const struct sg_session *s);
/* Of s->timer: a login, a last word, or a client that is held has had its time. */
void sg_session_time_up(uv_timer_t *timer);
/* From a handler of client messages: take no more until as few expectations are left. */
enum sg_verdict sg_session_stall(struct sg_session *s, uint32_t until);
/* What stopped the client's messages may be over. Not from a handler: looks at what waits again. */
void sg_session_unstall(struct sg_session *s);

/* The flows' tables (session_client.c, session_server.c); owner is the session. */
size_t sg_client_need(void *owner, const struct sg_message *m);
enum sg_verdict sg_client_decide(void *owner, const struct sg_message *m);
size_t sg_server_need(void *owner, const struct sg_message *m);
enum sg_verdict sg_server_decide(void *owner, const struct sg_message *m);

/* A frontend message with a reply goes out. NULL side: nothing special. */
void sg_session_expect(struct sg_session *s, enum sg_expect_kind kind, enum sg_disposition disposition,
                       struct sg_side *side);
/* The reply of the entry never comes, or failed: undoes what the message would have done. */
void sg_session_discard(struct sg_session *s, struct sg_expectation *entry);

#endif
