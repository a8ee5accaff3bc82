#include "proxy/migration/backfill.h"

#include "proxy/net/hub.h"

#include <stdlib.h>
#include <string.h>

#define REST_MAX_MS        200  /* between two batches, while clients are slower than allowed */
#define P99_NOISE_US       1000 /* a rise smaller than this is not worth slowing down for */
#define P99_WINDOW_MS      1200 /* the hub's p99 looks back about a second */
#define LOCKED_ROW_REST_MS 1000

/* The backfill is no change of the application's: its triggers (updated_at, audit) stay silent where the role may say
 * so; the guard is ENABLE ALWAYS. The planner must not mistake a window for a large part of the table. */
static const char settings_sql[] = "SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),"
                                   " CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
                                   "   THEN set_config('session_replication_role', 'replica', true) END";

/* The estimate of a table that was never analyzed says nothing; a small one is quickly counted. */
static const char start_sql[] =
    "WITH leaf AS (SELECT p.id, greatest(c.reltuples, 0)::bigint AS rows, pg_relation_size(p.relid) AS bytes, p.tab"
    "   FROM segue.part p JOIN pg_class c ON c.oid = p.relid WHERE p.id = $1 AND p.has_rows"
    "   AND NOT EXISTS (SELECT 1 FROM segue.backfill WHERE migration_id = $1)),"
    " begun AS (INSERT INTO segue.backfill (migration_id, rows_total) SELECT $1, coalesce(sum(rows), 0) FROM leaf"
    "   ON CONFLICT (migration_id) DO NOTHING RETURNING migration_id)"
    " SELECT format('UPDATE segue.backfill SET rows_total = %s WHERE migration_id = %s',"
    "   string_agg(format('(SELECT count(*) FROM ONLY %s)', tab), ' + '), id)"
    " FROM begun JOIN leaf ON id = migration_id GROUP BY id HAVING sum(bytes) < 1 << 25";

/* Goes on to the next table when there is none yet, when this one is copied ($2), or when it is no more. Answers it, or
 * NULL at the end of the pass. */
static const char leaf_sql[] =
    "WITH leaf AS (SELECT p.relid FROM segue.tree() p JOIN pg_class c ON c.oid = p.relid AND c.relkind = 'r' WHERE "
    "p.id = $1)"
    " UPDATE segue.backfill b SET leaf = l.leaf, last_key = CASE WHEN l.stays THEN last_key END,"
    "   next_block = CASE WHEN l.stays THEN next_block ELSE 0 END"
    " FROM (SELECT s.stays, CASE WHEN s.stays THEN b.leaf ELSE (SELECT relid FROM leaf"
    "     WHERE b.leaf IS NULL OR relid > b.leaf ORDER BY relid LIMIT 1) END AS leaf"
    "   FROM segue.backfill b, LATERAL (SELECT NOT $2::boolean AND EXISTS (SELECT 1 FROM leaf WHERE relid = b.leaf)"
    "     AS stays) AS s WHERE b.migration_id = $1) AS l"
    " WHERE b.migration_id = $1 RETURNING b.leaf";

/*
 * $1: migration, $2: rows a window. Answers the statement that finds the next window's end and counts its rows: one row
 * (end as text[], end as block, rows, whether the table's end was reached), or none at the end of the table. In
 * `bounded` the two forms of window meet: keys of the primary key, or heap blocks.
 */
static const char bounded_cte[] =
    "WITH t AS (SELECT t.*, b.last_key, b.next_block, p.keys, p.key_texts, p.types"
    "   FROM segue.backfill b JOIN segue.part t ON t.id = b.migration_id AND t.relid = b.leaf LEFT JOIN LATERAL ("
    "     SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) AS keys,"
    "       string_agg(format('%I::text', a.attname), ', ' ORDER BY k.n) AS key_texts,"
    "       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY k.n) AS types"
    "     FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(num, n), pg_attribute a"
    "     WHERE i.indrelid = t.relid AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.num"
    "     HAVING count(*) > 0) p ON true"
    "   WHERE t.id = $1),"
    " bounded AS (SELECT *,"
    "   (SELECT string_agg(format('%L::%s', v, types[n]), ', ' ORDER BY n) FROM unnest(last_key) WITH ORDINALITY AS "
    "l(v, n))"
    "     AS low FROM t)";

static const char window_sql[] =
    "SELECT CASE WHEN keys IS NOT NULL THEN"
    "   format('SELECT ARRAY[%1$s]::text[]::text, NULL, n, n < %5$s FROM (SELECT %2$s, row_number() OVER (ORDER BY "
    "%2$s) AS n "
    "FROM ONLY %3$s"
    "     %4$s ORDER BY %2$s LIMIT %5$s) AS w ORDER BY n DESC LIMIT 1', key_texts, keys, tab,"
    "     CASE WHEN low IS NOT NULL THEN format('WHERE (%s) > (%s)', keys, low) END, $2::int)"
    " ELSE"
    "   format('SELECT NULL, e, (SELECT count(*) FROM ONLY %1$s WHERE ctid >= ''(%2$s,0)''::tid"
    "     AND ctid < format(''(%%s,0)'', e)::tid),"
    "     pg_relation_size(%4$s) <= e * current_setting(''block_size'')::bigint FROM (SELECT %2$s + greatest(1, "
    "(%3$s::int * (SELECT CASE WHEN"
    "       relpages > 0 AND reltuples > 0 THEN relpages / reltuples ELSE 0.02 END FROM pg_class WHERE oid = %4$s)"
    "       )::bigint) AS e) AS w WHERE pg_relation_size(%4$s) > %2$s * current_setting(''block_size'')::bigint',"
    "     tab, next_block, $2::int, relid)"
    " END FROM bounded";

/* $2, $3: the window's end, as a key (text[]) or as a block. Two statements: copy, and count what still differs. The
 * copy repeats the comparison, because a row that was locked may have been changed just before. */
static const char copy_sql[] =
    ", win AS (SELECT *, CASE WHEN keys IS NOT NULL THEN concat("
    "     CASE WHEN low IS NOT NULL THEN format('(%s) > (%s) AND ', keys, low) END, format('(%s) <= (%s)', keys,"
    "     (SELECT string_agg(format('%L::%s', v, types[n]), ', ' ORDER BY n) FROM unnest($2::text[])"
    "      WITH ORDINALITY AS h(v, n))))"
    "   ELSE format('ctid >= ''(%s,0)''::tid AND ctid < ''(%s,0)''::tid', next_block, $3::text) END AS range,"
    "   segue.differs(exact, new, old) AS differ FROM bounded)"
    "SELECT format('UPDATE ONLY %1$s SET %2$s = %3$s WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY %1$s WHERE %4$s AND "
    "%5$s"
    "   FOR NO KEY UPDATE SKIP LOCKED)) AND %5$s', tab, new, old, range, differ),"
    " format('SELECT count(*) FROM ONLY %s WHERE %s AND %s', tab, range, differ) FROM win";

/* $1 migration, $2 end as a key or NULL, $3 rows looked at, $4 copied, $5 left behind, $6 whether clients slowed it
 * down, $7 end as a block or NULL. */
static const char progress_sql[] =
    "UPDATE segue.backfill b SET last_key = $2::text[], next_block = coalesce($7::bigint, 0),"
    "  pass_copied = pass_copied + $4::bigint, pass_left = pass_left + $5::bigint, copied = copied + $4::bigint,"
    "  rows_done = CASE WHEN pass = 1 THEN rows_done + $3::bigint ELSE rows_done END,"
    "  rows_total = greatest(rows_total, CASE WHEN pass = 1 THEN rows_done + $3::bigint ELSE rows_total END),"
    "  rate = CASE WHEN rate IS NULL THEN s.now_rate ELSE 0.8 * rate + 0.2 * s.now_rate END,"
    "  throttled = $6::boolean, updated_at = clock_timestamp()"
    " FROM (SELECT $3::float8 / greatest(extract(epoch FROM clock_timestamp() - updated_at)::float8, 0.001) AS now_rate"
    "    FROM segue.backfill WHERE migration_id = $1) AS s"
    " WHERE migration_id = $1";

/*
 * Answers whether the pass left nothing behind: every row that was there has been seen equal or made equal, and
 * whatever is written meanwhile is written to both columns. A pass ends where it first reaches the end of the last
 * table, so that inserts cannot keep it going; the fence is what proves the rest, also of a table that came below
 * meanwhile.
 */
static const char end_pass_sql[] =
    "WITH before AS (SELECT pass_copied, pass_left FROM segue.backfill WHERE migration_id = $1 FOR UPDATE),"
    " reset AS (UPDATE segue.backfill SET pass = pass + 1, leaf = NULL, last_key = NULL, next_block = 0, pass_copied = "
    "0,"
    "   pass_left = 0, rows_total = CASE WHEN pass = 1 THEN rows_done ELSE rows_total END,"
    "   updated_at = clock_timestamp() WHERE migration_id = $1)"
    " SELECT (pass_left = 0)::int FROM before";

/* Either a key or a block says where the window ends; both are NULL at the end of a pass. */
struct window {
    char *key; /* text[] */
    char *block;
    char *rows; /* looked at */
    bool is_last;
};

static void window_free(struct window *window) {
    free(window->key);
    free(window->block);
    free(window->rows);
}

/* Two hops: the server prints the statements for this table, then runs them. */
static PGresult *compose(struct sg_task *task, const char *plan_sql, const char *first, const char *second,
                         struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    const char *const params[] = {id.text, first, second};
    char *text = NULL;
    if (asprintf(&text, "%s%s", bounded_cte, plan_sql) < 0) {
        abort();
    }
    PGresult *plan = sg_db_query(task->conn, text, strstr(plan_sql, "$3") ? 3 : 2, params, reterr);
    free(text);
    if (plan && !sg_task_table_is_there(plan, reterr)) {
        PQclear(plan);
        return NULL;
    }
    return plan;
}

static char *copy_of(const PGresult *result, int column) {
    if (PQntuples(result) == 0 || PQgetisnull(result, 0, column)) {
        return NULL;
    }
    char *copy = strdup(PQgetvalue(result, 0, column));
    if (!copy) {
        abort();
    }
    return copy;
}

static bool find_window(struct sg_task *task, struct window *ret_window, struct sg_error *reterr) {
    struct sg_num rows = sg_num_of(task->batch_rows);
    PGresult *plan = compose(task, window_sql, rows.text, NULL, reterr);
    PGresult *result = plan ? sg_db_query(task->conn, PQgetvalue(plan, 0, 0), 0, NULL, reterr) : NULL;
    PQclear(plan);
    if (!result) {
        return false;
    }
    bool is_last = PQntuples(result) == 1 && PQgetvalue(result, 0, 3)[0] == 't';
    *ret_window = (struct window){copy_of(result, 0), copy_of(result, 1), copy_of(result, 2), is_last};
    PQclear(result);
    return true;
}

static bool copy_window(struct sg_task *task, const struct window *window, int64_t *ret_copied, int64_t *ret_left,
                        struct sg_error *reterr) {
    PGresult *plan = compose(task, copy_sql, window->key, window->block, reterr);
    if (!plan) {
        return false;
    }
    PGresult *update = sg_db_query(task->conn, PQgetvalue(plan, 0, 0), 0, NULL, reterr);
    bool ok = update && sg_db_int(task->conn, PQgetvalue(plan, 0, 1), 0, NULL, ret_left, reterr);
    if (ok) {
        *ret_copied = strtoll(PQcmdTuples(update), NULL, 10);
    }
    PQclear(update);
    PQclear(plan);
    return ok;
}

/* In the window's transaction. *ret_leaf is false when there is no table left in this pass. */
static bool find_leaf(struct sg_task *task, bool next, bool *ret_leaf, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *row = sg_db_query(task->conn, leaf_sql, SG_ARGS(id.text, next ? "t" : "f"), reterr);
    if (!row) {
        return false;
    }
    *ret_leaf = PQntuples(row) == 1 && !PQgetisnull(row, 0, 0);
    PQclear(row);
    return true;
}

static enum sg_turn end_pass(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    struct sg_error err;
    int64_t is_complete;
    if (!sg_db_int(task->conn, end_pass_sql, SG_ARGS(id.text), &is_complete, &err) || !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    if (is_complete) {
        return sg_task_go(task, SG_STATE_MIRRORING, task->verb, NULL, reterr);
    }
    task->wait_ms = LOCKED_ROW_REST_MS; /* only rows that somebody holds locked are left */
    return SG_TURN_WAIT;
}

static enum sg_turn end_window(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    if (!sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    task->wait_ms = task->rest_ms;
    return task->rest_ms > 0 ? SG_TURN_WAIT : SG_TURN_MORE;
}

static enum sg_turn end_leaf(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    bool has_next = false;
    if (!find_leaf(task, true, &has_next, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return has_next ? end_window(task, reterr) : end_pass(task, reterr);
}

/* Sets the rest before the next window from what the clients have felt lately. */
static void pace(struct sg_task *task) {
    uint64_t p99_us = sg_hub_p99_us(task->hub);
    bool slow = task->calm_p99_us > 0 && p99_us > task->calm_p99_us + P99_NOISE_US &&
                (double)p99_us > (double)task->calm_p99_us * task->max_p99_ratio;
    if (slow) {
        task->rest_ms = task->rest_ms < 10 ? 10 : task->rest_ms * 2;
        task->rest_ms = task->rest_ms < REST_MAX_MS ? task->rest_ms : REST_MAX_MS;
    } else {
        task->rest_ms /= 2;
    }
}

/* The yardstick is taken before the first batch. After a restart clients may just be coming back: look, wait as long
 * as the hub looks back, and look again. True: wait first. */
static bool wants_calm_first(struct sg_task *task) {
    if (task->calm_p99_us > 0) {
        return false;
    }
    uint64_t p99_us = sg_hub_p99_us(task->hub);
    if (p99_us == 0) {
        return false;
    }
    if (task->rest_ms == 0) {
        task->rest_ms = P99_WINDOW_MS;
        return true;
    }
    task->calm_p99_us = p99_us;
    task->rest_ms = 0;
    return false;
}

static enum sg_turn do_window(struct sg_task *task, const struct window *window, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    struct sg_error err;
    int64_t copied = 0, left = 0;
    if (!copy_window(task, window, &copied, &left, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    struct sg_num copied_text = sg_num_of(copied), left_text = sg_num_of(left);
    pace(task);
    if (!sg_db_run(task->conn, progress_sql,
                   SG_ARGS(id.text, window->key, window->rows, copied_text.text, left_text.text,
                           task->rest_ms > 0 ? "t" : "f", window->block),
                   &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return window->is_last ? end_leaf(task, reterr) : end_window(task, reterr);
}

/* The row is read, not locked: a batch must not keep PAUSE or ROLLBACK waiting. They are seen at the next turn. */
static bool begin_batch(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num timeout = sg_num_of(task->config->lock_timeout_ms);
    return sg_db_exec(task->conn, "BEGIN", reterr) &&
           sg_db_run(task->conn, "SELECT set_config('lock_timeout', $1, true)", SG_ARGS(timeout.text), reterr) &&
           sg_db_exec(task->conn, settings_sql, reterr) && sg_task_compose(task, start_sql, NULL, reterr);
}

enum sg_turn sg_backfill_turn(struct sg_task *task, struct sg_error *reterr) {
    if (task->paused) {
        return sg_task_go(task, SG_STATE_PAUSED, task->verb, NULL, reterr);
    }
    if (wants_calm_first(task)) {
        task->wait_ms = task->rest_ms;
        return SG_TURN_WAIT;
    }
    struct sg_error err;
    struct window window = {0};
    bool has_leaf = false;
    if (!begin_batch(task, &err) || !find_leaf(task, false, &has_leaf, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    if (!has_leaf) {
        return end_pass(task, reterr);
    }
    if (!find_window(task, &window, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    enum sg_turn turn = window.rows ? do_window(task, &window, reterr) : end_leaf(task, reterr);
    window_free(&window);
    return turn;
}
