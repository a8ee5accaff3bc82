#include "bench/load/answers.h"
#include "bench/load/operations.h"

#include <stdio.h>
#include <string.h>

#define RANGE_UPDATE_ROWS 4
#define APPEND_MAX        96 /* varchar(100), with room for the next one */

static struct sg_row *row_at(const struct sg_client *client, size_t row) {
    return &client->range->rows[row];
}

/* Half of the time one of the youngest rows, so that rows are written again and again; otherwise any. */
static bool pick_present(struct sg_client *client, size_t *ret_row) {
    size_t len = client->range->rows_len;
    for (int i = 0; i < 16; i++) {
        size_t from = i % 2 && len > 64 ? len - 64 : 0;
        size_t row = from + sg_session_random(&client->session, len - from);
        if (row_at(client, row)->kind != SG_ROW_ABSENT) {
            *ret_row = row;
            return true;
        }
    }
    return false;
}

/* ---- Insert ---- */

static bool insert_many(struct sg_client *client, bool bare) {
    size_t rows[3];
    struct sg_args args = {0};
    for (int i = 0; i < 3; i++) {
        rows[i] = sg_range_append(client->range);
        sg_client_touch(client, rows[i], SG_ROW_GENERATED, NULL);
        if (bare) {
            sg_args_whole_row(&args, client, rows[i]);
        } else {
            sg_args_version(&args, client, rows[i]);
            sg_args_name(&args, client, rows[i]);
            sg_args_key(&args, client, rows[i]);
        }
    }
    if (bare)
        return sg_answer_rows(client, SG_STMT_INSERT_MANY_BARE, &args, rows, 3);
    return sg_answer_count(client, SG_STMT_INSERT_MANY, &args, 3);
}

static bool insert_select(struct sg_client *client) {
    char buf[SG_TEXT_BYTES], text[SG_TEXT_BYTES];
    size_t source;
    if (!pick_present(client, &source))
        return true;
    const char *name = sg_row_text(row_at(client, source), sg_range_key(client->range, source), buf);
    if (name && strlen(name) > APPEND_MAX)
        return true;
    snprintf(text, sizeof(text), "%.*s+", APPEND_MAX, name ? name : "");
    size_t row = sg_range_append(client->range);
    sg_client_touch(client, row, name ? SG_ROW_STORED : SG_ROW_NULL, text);
    struct sg_args args = {0};
    sg_args_key(&args, client, row);
    sg_args_version(&args, client, row);
    sg_args_key(&args, client, source);
    return sg_answer_count(client, SG_STMT_INSERT_SELECT, &args, 1);
}

static bool insert_without_name(struct sg_client *client, bool made_up) {
    size_t row = sg_range_append(client->range);
    sg_client_touch(client, row, made_up ? SG_ROW_STORED : SG_ROW_DEFAULT, SG_TEXT_UNKNOWN);
    struct sg_args args = {0};
    sg_args_key(&args, client, row);
    sg_args_version(&args, client, row);
    if (made_up)
        return sg_answer_made_up(client, SG_STMT_INSERT_RANDOM, &args, row);
    return sg_answer_rows(client, SG_STMT_INSERT_DEFAULT, &args, &row, 1);
}

bool sg_operation_insert(struct sg_client *client) {
    size_t way = sg_session_random(&client->session, 9);
    if (way < 2)
        return insert_many(client, way == 0);
    if (way == 2)
        return insert_select(client);
    if (way < 5)
        return insert_without_name(client, way == 3);
    size_t row = sg_range_append(client->range);
    sg_client_touch(client, row, way == 5 ? SG_ROW_NULL : SG_ROW_GENERATED, NULL);
    struct sg_args args = {0};
    sg_args_whole_row(&args, client, row);
    if (way == 6)
        return sg_answer_rows(client, SG_STMT_INSERT_RETURNING, &args, &row, 1);
    return sg_answer_count(client, way == 7 ? SG_STMT_INSERT_BARE : SG_STMT_INSERT_ONE, &args, 1);
}

/* ---- Upsert ---- */

bool sg_operation_upsert(struct sg_client *client) {
    struct sg_args args = {0};
    size_t row, way = sg_session_random(&client->session, 4);
    bool fresh = way == 0 || !pick_present(client, &row);
    if (fresh)
        row = sg_range_append(client->range);
    if (way == 1 && !fresh) {
        /* DO NOTHING on a row that is there: nothing may change, whatever the values. */
        sg_args_key(&args, client, row);
        sg_args_text(&args, "must not be written");
        sg_args_int(&args, 0);
        return sg_answer_count(client, SG_STMT_INSERT_NOTHING, &args, 0);
    }
    sg_client_touch(client, row, SG_ROW_GENERATED, NULL);
    sg_args_whole_row(&args, client, row);
    return sg_answer_rows(client, SG_STMT_UPSERT, &args, &row, 1);
}

/* ---- Update ---- */

static bool update_by_name(struct sg_client *client, size_t row) {
    char buf[SG_TEXT_BYTES], old_name[SG_TEXT_BYTES];
    snprintf(old_name, sizeof(old_name), "%s", sg_row_text(row_at(client, row), sg_range_key(client->range, row), buf));
    sg_client_touch(client, row, SG_ROW_GENERATED, NULL);
    struct sg_args args = {0};
    sg_args_version(&args, client, row);
    sg_args_name(&args, client, row);
    sg_args_text(&args, old_name);
    return sg_answer_count(client, SG_STMT_UPDATE_NAME, &args, 1);
}

/* SET name = name || '~': reads the column it writes. */
static bool update_append(struct sg_client *client, size_t row) {
    char buf[SG_TEXT_BYTES], text[SG_TEXT_BYTES];
    const char *name = sg_row_text(row_at(client, row), sg_range_key(client->range, row), buf);
    snprintf(text, sizeof(text), "%.*s~", APPEND_MAX, name ? name : "");
    sg_client_touch(client, row, name ? SG_ROW_STORED : SG_ROW_NULL, text);
    struct sg_args args = {0};
    sg_args_version(&args, client, row);
    sg_args_key(&args, client, row);
    return sg_answer_rows(client, SG_STMT_UPDATE_APPEND, &args, &row, 1);
}

/* Several rows at once, each with a name made from its key. */
static bool update_range(struct sg_client *client, size_t first) {
    struct sg_range *range = client->range;
    size_t limit = first < range->initial_len ? range->initial_len : range->rows_len;
    size_t end = first + RANGE_UPDATE_ROWS < limit ? first + RANGE_UPDATE_ROWS : limit, count = 0;
    uint32_t version = 0;
    for (size_t row = first; row < end; row++)
        version = row_at(client, row)->version > version ? row_at(client, row)->version : version;
    for (size_t row = first; row < end; row++) {
        if (row_at(client, row)->kind == SG_ROW_ABSENT)
            continue;
        char text[SG_TEXT_BYTES];
        snprintf(text, sizeof(text), "range %u/%lld", version + 1, (long long)sg_range_key(range, row));
        sg_client_touch(client, row, SG_ROW_STORED, text);
        row_at(client, row)->version = version + 1; /* one version for all, above each row's own */
        count++;
    }
    struct sg_args args = {0};
    char prefix[SG_TEXT_BYTES];
    snprintf(prefix, sizeof(prefix), "range %u/", version + 1);
    sg_args_text(&args, prefix);
    sg_args_int(&args, version + 1);
    sg_args_key(&args, client, first);
    sg_args_key(&args, client, end - 1);
    return sg_answer_count(client, SG_STMT_UPDATE_RANGE, &args, count);
}

static bool update_made_up_or_null(struct sg_client *client, size_t row, bool made_up) {
    sg_client_touch(client, row, made_up ? SG_ROW_STORED : SG_ROW_NULL, SG_TEXT_UNKNOWN);
    struct sg_args args = {0};
    sg_args_version(&args, client, row);
    sg_args_key(&args, client, row);
    if (made_up)
        return sg_answer_made_up(client, SG_STMT_UPDATE_RANDOM, &args, row);
    return sg_answer_count(client, SG_STMT_UPDATE_NULL, &args, 1);
}

bool sg_operation_update(struct sg_client *client) {
    char buf[SG_TEXT_BYTES];
    size_t row, way = sg_session_random(&client->session, 10);
    if (!pick_present(client, &row))
        return true;
    const char *name = sg_row_text(row_at(client, row), sg_range_key(client->range, row), buf);
    if (way < 2 && sg_row_unique(row_at(client, row)))
        return update_by_name(client, row);
    if (way == 2 && (!name || strlen(name) < APPEND_MAX))
        return update_append(client, row);
    if (way == 3)
        return update_range(client, row);
    if (way < 6)
        return update_made_up_or_null(client, row, way == 4);
    sg_client_touch(client, row, SG_ROW_GENERATED, NULL);
    struct sg_args args = {0};
    sg_args_name(&args, client, row);
    sg_args_version(&args, client, row);
    sg_args_key(&args, client, row);
    return sg_answer_count(client, way == 6 ? SG_STMT_UPDATE_PAIR : SG_STMT_UPDATE_PK, &args, 1);
}

/* ---- Delete ---- */

bool sg_operation_delete(struct sg_client *client) {
    size_t row;
    struct sg_args args = {0};
    if (!pick_present(client, &row))
        return true;
    if (sg_row_unique(row_at(client, row)) && sg_session_random(&client->session, 2) == 0) {
        /* RETURNING shows the row as it was; the model of that is gone once it is touched, so look first. */
        char buf[SG_TEXT_BYTES], name[SG_TEXT_BYTES];
        snprintf(name, sizeof(name), "%s", sg_row_text(row_at(client, row), sg_range_key(client->range, row), buf));
        sg_args_text(&args, name);
        sg_client_touch(client, row, SG_ROW_ABSENT, NULL);
        PGresult *res = sg_session_run(&client->session, SG_STMT_DELETE_NAME, args.values);
        if (!res)
            return false;
        if (PQntuples(res) != 1)
            sg_session_mismatch(&client->session, SG_STMT_DELETE_NAME, args.values, "%d rows, must be 1",
                                PQntuples(res));
        else
            sg_answer_text(client, SG_STMT_DELETE_NAME, &args, res, 0, 1, name);
        PQclear(res);
        return true;
    }
    sg_args_key(&args, client, row);
    sg_client_touch(client, row, SG_ROW_ABSENT, NULL);
    return sg_answer_count(client, SG_STMT_DELETE_PK, &args, 1);
}

/* ---- Hot rows ---- */

bool sg_operation_hot(struct sg_client *client) {
    int key = -1 - (int)sg_session_random(&client->session, SG_HOT_ROWS);
    unsigned version = atomic_fetch_add(client->hot_version, 1) + 1;
    char name[SG_TEXT_BYTES];
    snprintf(name, sizeof(name), "hot.%u", version);
    struct sg_args args = {0};
    sg_args_text(&args, name);
    sg_args_int(&args, version);
    sg_args_int(&args, key);
    if (!sg_answer_count(client, SG_STMT_UPDATE_PK, &args, 1))
        return false;
    /* Somebody may have written it since: name and version must still be of one write. */
    args = (struct sg_args){0};
    sg_args_int(&args, key);
    PGresult *res = sg_session_run(&client->session, SG_STMT_READ_PK, args.values);
    if (!res)
        return false;
    if (PQntuples(res) == 1) {
        snprintf(name, sizeof(name), "hot.%s", PQgetvalue(res, 0, 2));
        sg_answer_text(client, SG_STMT_READ_PK, &args, res, 0, 1, name);
    } else {
        sg_session_mismatch(&client->session, SG_STMT_READ_PK, args.values, "%d rows, must be 1", PQntuples(res));
    }
    PQclear(res);
    return true;
}
