/*
 * server — the face of the network side: a listener and N worker loops that relay sessions.
 *
 * The listener lives on the caller's loop; each worker is a thread with a loop of its own. Every function here belongs
 * to the thread of the caller's loop, sg_server_stats excepted.
 *
 *      start --accept--> accepting --drain--> draining --(no session left)--> on_drained
 *                    \______stop_______/____\--> stopped (threads joined) --> loop runs out --> free
 */
#ifndef SEGUE_NET_SERVER_H
#define SEGUE_NET_SERVER_H

#include "histogram.h"
#include "limits.h"
#include "segue/catalog.h"
#include "segue/error.h"
#include "segue/rewrite.h"
#include "socket_options.h"
#include "survey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct sg_databases;
struct sg_hub;
struct sg_console;
struct sg_sockets;
struct sg_star_rule;
struct sg_server;

struct sg_auth;
struct sg_tls_context;

struct sg_server_config {
    const char *listen_host;        /* address or name; NULL, "" or "*": every interface */
    int listen_port;                /* 0: a free one, see sg_server_port */
    const char *unix_socket_dir;    /* NULL: no unix socket; otherwise DIR/.s.PGSQL.PORT as well */
    struct sg_databases *databases; /* where names lead to; the server takes a reference */
    const char *control_database;   /* the database whose sessions get snapshots; NULL: plain proxy */
    struct sg_hub *hub;             /* required; outlives the server */
    struct sg_console *console;     /* takes over clients of database `segue`; NULL: those are refused */

    int workers;                           /* 0: one per processor */
    int max_client_conn;                   /* sessions; 0: no limit but the process's descriptors */
    int client_login_timeout_ms;           /* from accept to the first ReadyForQuery; 0: none */
    int query_timeout_ms;                  /* of a statement, until it is cancelled; 0: none */
    int idle_transaction_timeout_ms;       /* of a client that has begun a transaction; 0: none */
    int client_idle_timeout_ms;            /* of a client outside of one; 0: none */
    int query_wait_timeout_ms;             /* of a client that a pause holds up; 0: none */
    int server_connect_timeout_ms;         /* until a server of the database has been found; 0: none */
    int lease_ms;                          /* how long a statement waits for the lease to come back */
    int server_login_retry_ms;             /* between two looks at servers that are down; 0: one look only */
    uint32_t max_packet_bytes;             /* longest message of a client; 0: SG_FRAME_MAX_BYTES */
    size_t plan_cache_bytes;               /* per worker; 0: 16 MB */
    size_t session_statement_bytes;        /* prepared statement text remembered per session; 0: 64 MB */
    enum sg_star star;                     /* for clients that no rule fits */
    const struct sg_star_rule *star_rules; /* the first that fits decides */
    size_t star_rules_len;
    bool log_connections, log_disconnections;
    struct sg_limit_rules limits;      /* of sessions by user and database, for those that log in from now on */
    struct sg_socket_options sockets;  /* of the connections that begin from now on, on both sides */
    int stats_period_ms;               /* of the averages in SHOW STATS; 0: a minute */
    struct sg_tls_context *client_tls; /* how clients may encrypt; NULL: not at all. The server takes a reference */
    const struct sg_auth *auth;        /* how clients are authenticated; NULL: by the server. A reference is taken */
};

/* Binds and starts the workers. The config's strings are copied; given is taken over (listener.h; NULL: none). NULL and
 * *reterr when an address cannot be bound. */
struct sg_server *sg_server_start(uv_loop_t *loop, const struct sg_server_config *config, struct sg_sockets *given,
                                  struct sg_error *reterr);
/* Accepts clients; until then they wait in the sockets' queues. */
void sg_server_accept(struct sg_server *server);
/* The listening sockets, for another process to accept from; they stay this one's. */
void sg_server_sockets(const struct sg_server *server, struct sg_sockets *ret_sockets);
/* Another process has them: this one accepts no more, and leaves their files alone. */
void sg_server_yield(struct sg_server *server);

/* Numeric "HOST:PORT" ("[::1]:6432") that clients may connect to; valid until free. */
const char *sg_server_address(const struct sg_server *server);
int sg_server_port(const struct sg_server *server);

/* Takes the new settings up: time limits for all sessions, the rest for those that begin from now on. What only a start
 * can change (addresses, console, hub, workers, plan cache) stays as it is. The config is copied. */
void sg_server_reconfigure(struct sg_server *server, const struct sg_server_config *config);

/* Those in force; valid until they are replaced. */
const struct sg_databases *sg_server_databases(const struct sg_server *server);

/* How the sessions come to an end. */
enum sg_drain {
    SG_DRAIN_NONE,
    SG_DRAIN_CLIENTS,      /* by themselves: each client leaves when it likes */
    SG_DRAIN_TRANSACTIONS, /* (57P01) as soon as they are between two transactions */
};

/* Accepts no more. on_drained is called once, on the caller's loop, when the last session is gone. May be called again
 * with a harder way, and on_drained is then as it was. */
void sg_server_drain(struct sg_server *server, enum sg_drain how, void (*on_drained)(void *arg), void *arg);

/* Ends everything at once and joins the workers; blocks for that long (milliseconds). The listener's handles close on
 * the caller's loop: run it until it returns, then free. */
void sg_server_stop(struct sg_server *server);
void sg_server_free(struct sg_server *server);

/* Sums over the workers; each number is exact, together they are not of one instant. Any thread. */
struct sg_server_stats {
    uint64_t sessions, logins, refused_logins, cancels; /* now; ever; ever; ever */
    uint64_t client_bytes, server_bytes;                /* read from clients; from servers */
    uint64_t transactions, statements;                  /* ReadyForQuery with 'I'; Query and Execute messages */
    uint64_t rewritten, refused, reprepared, probes;    /* statements */
    uint64_t prepared_statements, prepared_bytes;       /* now: remembered names and text */
    /* How texts found their plans (segue/rewrite.h); the cache's plans and bytes: now. */
    uint64_t prefilter_pass, cache_hit, shape_hit, cold, evicted, cache_plans, cache_bytes;
};
void sg_server_stats(const struct sg_server *server, struct sg_server_stats *ret_stats);

/* How long clients have waited for ReadyForQuery: all of them, in ms of the loop's clock; those of the control
 * database, in us, by the furthest phase of the mappings that their statements used (the first: none were). Any thread.
 */
#define SG_WAIT_PHASES (SG_PHASE_RETIRED + 2)
struct sg_server_waits {
    struct sg_histogram_sums all, phases[SG_WAIT_PHASES];
};
void sg_server_waits(const struct sg_server *server, struct sg_server_waits *ret_waits);

/* What `*` means to a client that says this of itself; NULL: it does not. Any thread. */
enum sg_star sg_server_star(const struct sg_server *server, const char *user, const char *database,
                            const char *application_name);

/* ---- PAUSE, RESUME, KILL (pause.h). Any thread ---- */

/* The sessions of a database (by the client's name for it; NULL: of every one) stay between two transactions from now
 * on, or no longer: those in one finish it, what comes next waits, and so do logins. PAUSE of every database and of one
 * are independent of each other. False: it was so already. */
bool sg_server_pause(struct sg_server *server, const char *database, bool on);
/* What pauses, all of them together, are still waiting for; 0: everything that is paused is quiet. */
int64_t sg_server_pausing(const struct sg_server *server);
bool sg_server_is_paused(struct sg_server *server, const char *database);
bool sg_server_has_pauses(struct sg_server *server);
/* Ends (57P01) the sessions of a database (NULL: of every one), or the one with this id (0: not by id). Returns how
 * many, when all workers have done it. */
uint64_t sg_server_kill(struct sg_server *server, const char *database, uint64_t id);

/* What each worker knows (survey.h); kind: of notes. Any thread but theirs; one call at a time. Blocks until each has
 * answered, two seconds at most. */
void sg_server_survey(const struct sg_server *server, enum sg_question question, enum sg_journal_kind kind,
                      struct sg_findings *ret_findings);

#endif
