#include "bench/load/client.h"

#include "bench/load/answers.h"
#include "bench/load/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEPS_PER_RANGE      12
#define TRANSACTION_STEPS    4
#define FIRST_CONNECT_TRIES  10
#define RECONNECT_TRIES      600 /* a minute: a proxy that was killed is being started again */
#define SETTLE_AFTER_LOSS_MS 300 /* what was on its way when the connection broke must have ended on the server */

static const char *const work_names[] = {"read", "insert", "update", "upsert", "delete", "transaction", "hot"};

const char *sg_work_name(enum sg_work work) {
    return work_names[work];
}

/* ---- Journal ---- */

void sg_client_touch(struct sg_client *client, size_t row, enum sg_row_kind kind, const char *text) {
    struct sg_row *model = &client->range->rows[row];
    if (client->journal_len == client->journal_cap) {
        client->journal_cap = client->journal_cap ? client->journal_cap * 2 : 16;
        client->journal = realloc(client->journal, client->journal_cap * sizeof(*client->journal));
        if (!client->journal)
            abort();
    }
    client->journal[client->journal_len++] = (struct sg_journal_entry){row, sg_row_copy(model)};
    sg_row_set(model, kind, model->version + 1, text);
}

/* The statements stand: the model as it is now is the truth. */
static void settle(struct sg_client *client) {
    for (size_t i = 0; i < client->journal_len; i++) {
        sg_range_pend(client->range, client->journal[i].row);
        free(client->journal[i].before.text);
    }
    client->journal_len = 0;
}

/* The statements did not happen: newest first, so that a row touched twice gets its oldest state. */
static void undo(struct sg_client *client) {
    while (client->journal_len > 0) {
        struct sg_journal_entry *entry = &client->journal[--client->journal_len];
        free(client->range->rows[entry->row].text);
        client->range->rows[entry->row] = entry->before;
    }
}

/* ---- After a lost connection ---- */

enum side { SIDE_EITHER, SIDE_BEFORE, SIDE_AFTER, SIDE_NEITHER };

static bool row_matches(const struct sg_row *row, int64_t key, const PGresult *res) {
    char buf[SG_TEXT_BYTES];
    if (row->kind == SG_ROW_ABSENT || PQntuples(res) == 0)
        return row->kind == SG_ROW_ABSENT && PQntuples(res) == 0;
    if (strtoul(PQgetvalue(res, 0, 2), NULL, 10) != row->version)
        return false;
    const char *text = sg_row_text(row, key, buf);
    if (text && strcmp(text, SG_TEXT_UNKNOWN) == 0)
        return true;
    if (!text || PQgetisnull(res, 0, 1))
        return !text && PQgetisnull(res, 0, 1);
    return strcmp(text, PQgetvalue(res, 0, 1)) == 0;
}

/* Which of the two known states is the row in (inv. 2)? A name that the server made up is learnt here. */
static bool look_at_row(struct sg_client *client, const struct sg_row *before, size_t row, enum side *ret_side) {
    struct sg_row *after = &client->range->rows[row];
    int64_t key = sg_range_key(client->range, row);
    struct sg_args args = {0};
    sg_args_int(&args, key);
    PGresult *res = sg_session_run(&client->session, SG_STMT_READ_LOCKED, args.values);
    if (!res)
        return false;
    bool is_before = row_matches(before, key, res), is_after = row_matches(after, key, res);
    *ret_side = is_before && is_after ? SIDE_EITHER : is_before ? SIDE_BEFORE : is_after ? SIDE_AFTER : SIDE_NEITHER;
    if (*ret_side == SIDE_NEITHER)
        sg_session_mismatch(&client->session, SG_STMT_READ_LOCKED, args.values,
                            "after a lost connection the row is neither as before nor as after the statement");
    if (is_after && after->kind == SG_ROW_STORED && strcmp(after->text, SG_TEXT_UNKNOWN) == 0)
        sg_row_set(after, SG_ROW_STORED, after->version, PQgetvalue(res, 0, 1));
    sg_session_checked(&client->session, 1);
    PQclear(res);
    return true;
}

/* Only a row's first entry tells how it was before the transaction. */
static bool is_first_entry(const struct sg_client *client, size_t entry) {
    for (size_t i = 0; i < entry; i++)
        if (client->journal[i].row == client->journal[entry].row)
            return false;
    return true;
}

/* The transaction happened or did not, as a whole. False when the connection was lost again. */
static bool resolve(struct sg_client *client) {
    enum side whole = SIDE_EITHER;
    for (size_t i = 0; i < client->journal_len; i++) {
        enum side side;
        if (!is_first_entry(client, i))
            continue;
        if (!look_at_row(client, &client->journal[i].before, client->journal[i].row, &side))
            return false;
        if (whole == SIDE_EITHER || side == SIDE_NEITHER)
            whole = side;
        else if (side != SIDE_EITHER && side != whole && whole != SIDE_NEITHER)
            sg_session_mismatch(&client->session, SG_STMT_COMMIT, NULL, "half of a transaction was kept");
    }
    if (whole == SIDE_BEFORE)
        undo(client);
    else
        settle(client);
    return true;
}

/* False when there is no connection to be had. */
static bool recover(struct sg_client *client) {
    do {
        sg_session_close(&client->session);
        if (!sg_session_connect(&client->session, RECONNECT_TRIES)) {
            undo(client);
            return false;
        }
        nanosleep(&(struct timespec){0, SETTLE_AFTER_LOSS_MS * 1000000L}, NULL);
    } while (!resolve(client) && client->session.lost);
    undo(client); /* what could not be looked at */
    return true;
}

/* ---- Work ---- */

static bool do_work(struct sg_client *client, enum sg_work work) {
    switch (work) {
    case SG_WORK_INSERT:
        return sg_operation_insert(client);
    case SG_WORK_UPDATE:
        return sg_operation_update(client);
    case SG_WORK_UPSERT:
        return sg_operation_upsert(client);
    case SG_WORK_DELETE:
        return sg_operation_delete(client);
    case SG_WORK_HOT:
        return sg_operation_hot(client);
    default:
        return sg_operation_read(client);
    }
}

static enum sg_work pick_work(struct sg_client *client) {
    unsigned total = 0;
    for (int i = 0; i < SG_WORKS; i++)
        total += client->mix->weight[i];
    unsigned pick = (unsigned)sg_session_random(&client->session, total);
    for (int i = 0; i < SG_WORKS; i++) {
        if (pick < client->mix->weight[i])
            return (enum sg_work)i;
        pick -= client->mix->weight[i];
    }
    return SG_WORK_READ;
}

static bool control(struct sg_client *client, enum sg_statement statement, const char *want_tag) {
    PGresult *res = sg_session_run(&client->session, statement, NULL);
    if (!res)
        return false;
    if (strcmp(PQcmdStatus(res), want_tag) != 0)
        sg_session_mismatch(&client->session, statement, NULL, "command tag %s, must be %s", PQcmdStatus(res),
                            want_tag);
    PQclear(res);
    return true;
}

/* Reads inside a transaction see its own writes. */
static bool transaction_steps(struct sg_client *client) {
    static const enum sg_work steps[] = {SG_WORK_READ,   SG_WORK_INSERT, SG_WORK_UPDATE,
                                         SG_WORK_UPDATE, SG_WORK_UPSERT, SG_WORK_DELETE};
    size_t steps_len = sizeof(steps) / sizeof(steps[0]);
    size_t count = 1 + sg_session_random(&client->session, TRANSACTION_STEPS);
    for (size_t i = 0; i < count; i++) {
        if (!do_work(client, steps[sg_session_random(&client->session, steps_len)]))
            return false;
        if (client->journal_len > 0 && !sg_operation_read_back(client, client->journal[client->journal_len - 1].row))
            return false;
    }
    return true;
}

static bool transaction(struct sg_client *client) {
    if (!control(client, SG_STMT_BEGIN, "BEGIN"))
        return false;
    if (!transaction_steps(client)) {
        if (!client->session.lost)
            control(client, SG_STMT_ROLLBACK, "ROLLBACK");
        return false;
    }
    if (sg_session_random(&client->session, 6) > 0)
        return control(client, SG_STMT_COMMIT, "COMMIT");
    bool ok = control(client, SG_STMT_ROLLBACK, "ROLLBACK");
    if (ok)
        undo(client);
    return ok;
}

/* One piece of work and its read-back. False when the connection is gone for good. */
static bool step(struct sg_client *client) {
    enum sg_work work = pick_work(client);
    bool ok = work == SG_WORK_TRANSACTION ? transaction(client) : do_work(client, work);
    if (!ok && client->session.lost)
        return recover(client);
    if (!ok) {
        undo(client);
        return true;
    }
    size_t rows[SG_PENDING_MAX], rows_len = 0;
    for (size_t i = 0; i < client->journal_len && rows_len < SG_PENDING_MAX; i++)
        rows[rows_len++] = client->journal[i].row;
    settle(client);
    for (size_t i = 0; i < rows_len; i++)
        if (!sg_operation_read_back(client, rows[i]) && client->session.lost)
            return recover(client);
    return true;
}

/* ---- Ranges ---- */

static void take_range(struct sg_client *client) {
    size_t at = sg_session_random(&client->session, client->ranges_len);
    while (pthread_mutex_trylock(&client->ranges[at].lock) != 0)
        at = (at + 1) % client->ranges_len;
    client->range = &client->ranges[at];
}

static void give_range(struct sg_client *client) {
    client->range->last_app = client->session.app;
    pthread_mutex_unlock(&client->range->lock);
    client->range = NULL;
}

/* What the other version wrote must be there under this version's name. */
static bool check_peer(struct sg_client *client) {
    struct sg_range *range = client->range;
    bool connected = true;
    if (range->last_app != client->session.app)
        for (size_t i = 0; i < range->pending_len && connected; i++)
            if (!sg_operation_read_back(client, range->pending[i]) && client->session.lost)
                connected = recover(client);
    range->pending_len = 0;
    return connected;
}

void *sg_client_main(void *arg) {
    struct sg_client *client = arg;
    bool connected = sg_session_connect(&client->session, FIRST_CONNECT_TRIES);
    while (connected && !atomic_load(client->stop)) {
        take_range(client);
        connected = check_peer(client);
        for (int i = 0; i < STEPS_PER_RANGE && connected && !atomic_load(client->stop); i++)
            connected = step(client);
        give_range(client);
    }
    sg_session_close(&client->session);
    return NULL;
}

void sg_client_free(struct sg_client *client) {
    free(client->journal);
}
