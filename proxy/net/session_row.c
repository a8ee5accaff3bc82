#include "session_row.h"

#include "session.h"
#include "session_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sg_client_at client_at(const struct sg_session *s) {
    if (s->is_held) {
        return SG_CLIENT_WAITING;
    }
    switch (s->state) {
    case SG_SESSION_START:
        return SG_CLIENT_LOGIN;
    case SG_SESSION_DIAL:
        return SG_CLIENT_WAITING;
    case SG_SESSION_CANCEL:
        return SG_CLIENT_CANCELLING;
    case SG_SESSION_RELAY:
        return s->is_logged_in ? SG_CLIENT_ACTIVE : SG_CLIENT_WAITING;
    default:
        return SG_CLIENT_GONE;
    }
}

static enum sg_server_at server_at(const struct sg_session *s) {
    if (s->state == SG_SESSION_DIAL) {
        return SG_SERVER_LOGIN;
    }
    if (!s->is_server_open || s->state == SG_SESSION_CANCEL) {
        return SG_SERVER_NONE;
    }
    return s->is_logged_in ? SG_SERVER_ACTIVE : SG_SERVER_LOGIN;
}

static void put_tls(char *to, size_t size, const struct sg_tls *tls) {
    if (tls && sg_tls_version(tls) && sg_tls_cipher(tls)) {
        snprintf(to, size, "%s/%s", sg_tls_version(tls), sg_tls_cipher(tls));
    }
}

static void put_who(struct sg_session_row *row, const struct sg_who *who) {
    row->replication = who ? who->replication : "none";
    if (who) {
        row->name = sg_who_name(who);
        memcpy(row->application_name, who->application_name, sizeof(row->application_name));
    }
}

static void fill(struct sg_session_row *row, const struct sg_session *s) {
    const struct sg_trace *trace = &s->trace;
    uint64_t now_ms = uv_now(&s->worker->loop);
    put_who(row, s->who);
    put_tls(row->client_tls, sizeof(row->client_tls), s->tls.is_ready ? s->tls.stream : NULL);
    put_tls(row->server_tls, sizeof(row->server_tls), s->server_tls);
    row->id = s->id;
    row->client_at = client_at(s);
    row->server_at = server_at(s);
    row->is_asking = s->expect.len > 0;
    row->tx_status = s->tx_status;
    row->client = trace->client;
    row->client_local = trace->client_local;
    row->server = trace->server;
    row->server_local = trace->server_local;
    row->connected_age_ms = now_ms - trace->connected_ms;
    row->asked_age_ms = now_ms - trace->asked_ms;
    row->wait_ms = row->client_at == SG_CLIENT_WAITING ? row->asked_age_ms : 0;
    row->epoch = s->pin ? s->pin->epoch : 0;
    row->client_pid = trace->client_pid;
    row->server_pid = s->key_pid;
    row->statements = s->statements.versions;
    row->unread_bytes = s->rest.len;
    row->to_client_bytes = s->to_client.sending.len + s->to_client.waiting.len;
    row->to_server_bytes = s->to_server.sending.len + s->to_server.waiting.len;
    row->client_message_bytes = s->from_client.scanner.left;
    row->server_message_bytes = s->from_server.scanner.left;
}

static struct sg_session_row *add_row(struct sg_session_rows *rows) {
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 64;
        struct sg_session_row *v = realloc(rows->v, cap * sizeof(*v));
        if (!v) {
            abort();
        }
        rows->v = v;
        rows->cap = cap;
    }
    struct sg_session_row *row = &rows->v[rows->n++];
    *row = (struct sg_session_row){0};
    return row;
}

void sg_session_rows_take(struct sg_session_rows *rows, const struct sg_worker *worker, int number) {
    for (const struct sg_session *s = worker->sessions; s; s = s->next) {
        if (client_at(s) != SG_CLIENT_GONE || server_at(s) != SG_SERVER_NONE) {
            struct sg_session_row *row = add_row(rows);
            fill(row, s);
            row->worker = number;
        }
    }
}

/* ---- Counts ---- */

/* Who has not logged in yet is counted where somebody of that name has; a name alone makes no tally. */
static struct sg_tally *tally_of(const struct sg_session *s) {
    struct sg_tallies *tallies = &s->worker->tallies;
    struct sg_tally *tally = s->trace.tally;
    if (tally == &tallies->nobody && s->who) {
        struct sg_tally_name name = sg_who_name(s->who);
        HASH_FIND(hh, tallies->by_name, &name, sizeof(name), tally);
    }
    return tally ? tally : &tallies->nobody;
}

static void count(struct sg_census *census, const struct sg_session *s) {
    census->clients[client_at(s)]++;
    census->servers[server_at(s)]++;
    census->in_transaction += s->state == SG_SESSION_RELAY && (s->tx_status == 'T' || s->tx_status == 'E');
    census->held += s->is_held;
    census->client_tls += s->tls.is_ready;
    census->server_tls += s->server_tls != NULL;
    census->queued_bytes += s->rest.len + s->to_client.sending.len + s->to_client.waiting.len +
                            s->to_server.sending.len + s->to_server.waiting.len;
}

void sg_sessions_count(struct sg_worker *worker, struct sg_census *census) {
    uint64_t now_ms = uv_now(&worker->loop);
    for (struct sg_tally *tally = worker->tallies.by_name; tally; tally = tally->hh.next) {
        tally->here = (struct sg_tally_here){0};
    }
    for (const struct sg_session *s = worker->sessions; s; s = s->next) {
        count(census, s);
        if (s->is_console) {
            continue;
        }
        struct sg_tally_here *here = &tally_of(s)->here;
        enum sg_client_at client = client_at(s);
        enum sg_server_at server = server_at(s);
        here->clients_active += client == SG_CLIENT_ACTIVE;
        here->clients_waiting += client == SG_CLIENT_WAITING;
        here->servers_active += server == SG_SERVER_ACTIVE;
        here->servers_login += server == SG_SERVER_LOGIN;
        uint64_t wait_ms = client == SG_CLIENT_WAITING ? now_ms - s->trace.asked_ms : 0;
        here->max_wait_ms = wait_ms > here->max_wait_ms ? wait_ms : here->max_wait_ms;
    }
}

/* ---- Order ---- */

static int by_id(const void *a, const void *b) {
    uint64_t left = ((const struct sg_session_row *)a)->id, right = ((const struct sg_session_row *)b)->id;
    return left < right ? -1 : left > right;
}

void sg_session_rows_settle(struct sg_session_rows *rows) {
    if (rows->n > 0) {
        qsort(rows->v, rows->n, sizeof(*rows->v), by_id);
    }
}

void sg_session_rows_free(struct sg_session_rows *rows) {
    free(rows->v);
    *rows = (struct sg_session_rows){0};
}
