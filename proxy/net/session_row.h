/* session_row — what a session is at, copied for whoever asks: SHOW CLIENTS, SERVERS and SOCKETS, and the counts of
 * SHOW POOLS and of the metrics. */
#ifndef SEGUE_NET_SESSION_ROW_H
#define SEGUE_NET_SESSION_ROW_H

#include "tally.h"
#include "trace.h"

#include <stdbool.h>

struct sg_worker;

enum sg_client_at { SG_CLIENT_LOGIN, SG_CLIENT_WAITING, SG_CLIENT_ACTIVE, SG_CLIENT_CANCELLING, SG_CLIENT_GONE };
enum sg_server_at { SG_SERVER_NONE, SG_SERVER_LOGIN, SG_SERVER_ACTIVE };

/* Ages are in ms, as of when the row was made. */
struct sg_session_row {
    uint64_t id;
    struct sg_tally_name name; /* "": not known yet */
    char application_name[SG_NAME_BYTES];
    char client_tls[64], server_tls[64]; /* "": in the clear */
    const char *replication;             /* "none", "logical", "physical" */
    enum sg_client_at client_at;
    enum sg_server_at server_at;
    bool is_asking; /* the server owes something */
    char tx_status; /* 0: has not logged in */
    struct sg_endpoint client, client_local, server, server_local;
    uint64_t connected_age_ms, asked_age_ms, wait_ms;
    uint64_t epoch; /* of the mappings that the transaction sees; 0: none */
    uint32_t client_pid, server_pid;
    uint64_t statements;                                   /* prepared, as far as they are remembered */
    size_t unread_bytes, to_client_bytes, to_server_bytes; /* held by the session */
    size_t client_message_bytes, server_message_bytes;     /* still to come of the message under way */
    int worker;
};

struct sg_session_rows {
    struct sg_session_row *v;
    size_t n, cap;
};

/* The worker's thread. */
void sg_session_rows_take(struct sg_session_rows *rows, const struct sg_worker *worker, int number);
#define SG_CLIENT_STATES (SG_CLIENT_GONE + 1)
#define SG_SERVER_STATES (SG_SERVER_ACTIVE + 1)

/* How many sessions there are, whoever they belong to. */
struct sg_census {
    uint64_t clients[SG_CLIENT_STATES], servers[SG_SERVER_STATES];
    uint64_t in_transaction, held, client_tls, server_tls, queued_bytes;
};

/* Counts the sessions into `here` of their tallies, and into the census. The worker's thread. */
void sg_sessions_count(struct sg_worker *worker, struct sg_census *census);
/* In the order of coming. */
void sg_session_rows_settle(struct sg_session_rows *rows);
void sg_session_rows_free(struct sg_session_rows *rows);

#endif
