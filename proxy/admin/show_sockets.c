/*
 * SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS.
 *
 * A session of segue is one client and one server connection for its whole life, as in a PgBouncer with session
 * pooling: a client that has logged in is linked, and so `active`, whether it asks for something or not; the column
 * `transaction` says which. `ptr` and `link` are numbers, not addresses: they only have to be unique.
 */
#include "proxy/admin/show.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

static const char *const names[] = {
    "type", "user", "database", "replication", "state", "addr", "port", "local_addr", "local_port", "connect_time",
    "request_time", "wait", "wait_us", "close_needed", "ptr", "link", "remote_pid", "tls", "application_name",
    "prepared_statements", "id",
    /* SOCKETS and ACTIVE_SOCKETS only */
    "recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail",
    /* segue's own; see own_names */
};
#define NAMES     (sizeof(names) / sizeof(names[0]))
#define LOW_NAMES 7
static const char *const own_names[] = {"transaction", "epoch", "worker"};
#define OWN_NAMES 3

static const char *address(struct sg_result *result, const struct sg_endpoint *end) {
    char text[INET6_ADDRSTRLEN];
    if (end->family == AF_UNIX)
        return "unix";
    if (end->family == 0 || !inet_ntop(end->family, end->address, text, sizeof(text)))
        return "";
    return sg_arena_strdup(result->arena, text);
}

/* As PgBouncer shows times: in local time, with its name. */
static const char *moment(struct sg_result *result, uint64_t age_ms) {
    time_t when = time(NULL) - (time_t)(age_ms / 1000);
    struct tm local;
    char text[64];
    localtime_r(&when, &local);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &local);
    return sg_arena_strdup(result->arena, text);
}

static const char *transaction(const struct sg_session_row *row) {
    switch (row->tx_status) {
    case 0:
        return "";
    case 'T':
        return row->is_asking ? "active" : "idle in transaction";
    case 'E':
        return row->is_asking ? "active" : "idle in transaction (aborted)";
    default:
        return row->is_asking ? "active" : "idle";
    }
}

static const char *client_state(const struct sg_session_row *row, bool low) {
    switch (row->client_at) {
    case SG_CLIENT_LOGIN:
        return low ? "cl_login" : NULL;
    case SG_CLIENT_WAITING:
        return low ? "cl_waiting" : "waiting";
    case SG_CLIENT_ACTIVE:
        return low ? "cl_active" : "active";
    case SG_CLIENT_CANCELLING:
        return low ? NULL : "active_cancel_req";
    default:
        return NULL;
    }
}

static const char *server_state(const struct sg_session_row *row, bool low) {
    if (row->server_at == SG_SERVER_NONE)
        return NULL;
    return row->server_at == SG_SERVER_LOGIN ? low ? "sv_login" : "new" : low ? "sv_active" : "active";
}

/* One of the two sides of a session. */
struct side {
    bool is_server;
    const char *state, *tls;
    const struct sg_endpoint *remote, *local;
    uint32_t pid;
    size_t left, unread, unsent;
};

static bool has_peer(const struct sg_session_row *row, bool is_server) {
    return is_server ? client_state(row, false) || row->client_at == SG_CLIENT_LOGIN : row->server_at != SG_SERVER_NONE;
}

static void add_side(struct sg_result *result, const struct sg_session_row *row, const struct side *side, bool low) {
    const char *cells[NAMES + OWN_NAMES];
    size_t n = 0;
    uint64_t wait_ms = side->is_server ? 0 : row->wait_ms;
    struct sg_arena *arena = result->arena;
    cells[n++] = side->is_server ? "S" : "C";
    cells[n++] = row->name.user[0] ? row->name.user : "(nouser)";
    cells[n++] = row->name.database[0] ? row->name.database : "(nodb)";
    cells[n++] = row->replication;
    cells[n++] = side->state;
    cells[n++] = address(result, side->remote);
    cells[n++] = sg_show_number(result, side->remote->port);
    cells[n++] = address(result, side->local);
    cells[n++] = sg_show_number(result, side->local->port);
    cells[n++] = moment(result, row->connected_age_ms);
    cells[n++] = moment(result, row->asked_age_ms);
    cells[n++] = sg_show_number(result, wait_ms / 1000);
    cells[n++] = sg_show_number(result, wait_ms % 1000 * 1000);
    cells[n++] = "0";
    cells[n++] = sg_arena_printf(arena, "0x%" PRIx64, row->id * 2 + side->is_server);
    cells[n++] =
        has_peer(row, side->is_server) ? sg_arena_printf(arena, "0x%" PRIx64, row->id * 2 + !side->is_server) : "";
    cells[n++] = sg_show_number(result, side->pid);
    cells[n++] = side->tls;
    cells[n++] = row->application_name;
    cells[n++] = sg_show_number(result, row->statements);
    cells[n++] = sg_show_number(result, row->id);
    if (low) {
        cells[n++] = sg_show_number(result, side->unread);
        cells[n++] = "0";
        cells[n++] = sg_show_number(result, side->left);
        cells[n++] = "0";
        cells[n++] = sg_show_number(result, side->unsent);
        cells[n++] = sg_show_number(result, side->unread);
        cells[n++] = sg_show_number(result, side->unsent);
    }
    cells[n++] = transaction(row);
    cells[n++] = row->epoch ? sg_show_number(result, row->epoch) : NULL;
    cells[n++] = sg_show_number(result, (uint64_t)row->worker);
    sg_result_row(result, cells);
}

static void add_client(struct sg_result *result, const struct sg_session_row *row, bool low) {
    struct side side = {
        .state = client_state(row, low),
        .tls = row->client_tls,
        .remote = &row->client,
        .local = &row->client_local,
        .pid = row->client_pid,
        .left = row->client_message_bytes,
        .unread = row->unread_bytes,
        .unsent = row->to_client_bytes,
    };
    if (side.state)
        add_side(result, row, &side, low);
}

static void add_server(struct sg_result *result, const struct sg_session_row *row, bool low) {
    struct side side = {
        .is_server = true,
        .state = server_state(row, low),
        .tls = row->server_tls,
        .remote = &row->server,
        .local = &row->server_local,
        .pid = row->server_pid,
        .left = row->server_message_bytes,
        .unsent = row->to_server_bytes,
    };
    if (side.state)
        add_side(result, row, &side, low);
}

static void name_columns(struct sg_result *result, bool low) {
    size_t shared = low ? NAMES : NAMES - LOW_NAMES;
    const char **all = sg_arena_array(result->arena, const char *, NAMES + OWN_NAMES);
    for (size_t i = 0; i < shared; i++)
        all[i] = names[i];
    for (size_t i = 0; i < OWN_NAMES; i++)
        all[shared + i] = own_names[i];
    sg_result_columns(result, all, (uint16_t)(shared + OWN_NAMES));
    result->kinds = low ? "ssssssnsnssnnnssnssnnnnnnnnnsnn" : "ssssssnsnssnnnssnssnnsnn";
}

/* Something is in our hands of either side: PgBouncer's "buffers are not empty". */
static bool is_moving(const struct sg_session_row *row) {
    return row->unread_bytes || row->to_client_bytes || row->to_server_bytes || row->client_message_bytes ||
           row->server_message_bytes;
}

bool sg_show_sockets(struct sg_console *console, enum sg_command_id id, struct sg_result *result,
                     struct sg_error *reterr) {
    struct sg_findings findings;
    if (!sg_show_survey(console, SG_ASK_SESSIONS, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    bool low = id == SG_COMMAND_SHOW_SOCKETS || id == SG_COMMAND_SHOW_ACTIVE_SOCKETS;
    name_columns(result, low);
    for (size_t i = 0; i < findings.sessions.n; i++) {
        const struct sg_session_row *row = &findings.sessions.v[i];
        if (id == SG_COMMAND_SHOW_ACTIVE_SOCKETS && !is_moving(row))
            continue;
        if (id != SG_COMMAND_SHOW_SERVERS)
            add_client(result, row, low);
        if (id != SG_COMMAND_SHOW_CLIENTS)
            add_server(result, row, low);
    }
    sg_findings_free(&findings);
    return true;
}
