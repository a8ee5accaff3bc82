#include "tally.h"

#include <stdlib.h>
#include <string.h>

void sg_tallies_init(struct sg_tallies *tallies, uint64_t now_ms) {
    *tallies = (struct sg_tallies){.newer_ms = now_ms, .older_ms = now_ms};
}

void sg_tallies_free(struct sg_tallies *tallies) {
    struct sg_tally *tally, *next;
    HASH_ITER(hh, tallies->by_name, tally, next) {
        HASH_DEL(tallies->by_name, tally);
        free(tally);
    }
}

struct sg_tally *sg_tallies_find(struct sg_tallies *tallies, const struct sg_tally_name *name) {
    struct sg_tally *tally;
    HASH_FIND(hh, tallies->by_name, name, sizeof(*name), tally);
    if (tally) {
        return tally;
    }
    if (!(tally = calloc(1, sizeof(*tally)))) {
        abort();
    }
    tally->name = *name;
    HASH_ADD(hh, tallies->by_name, name, sizeof(tally->name), tally);
    return tally;
}

void sg_tallies_mark(struct sg_tallies *tallies, uint64_t now_ms) {
    for (struct sg_tally *tally = tallies->by_name; tally; tally = tally->hh.next) {
        tally->older = tally->newer;
        tally->newer = tally->now;
    }
    tallies->older_ms = tallies->newer_ms;
    tallies->newer_ms = now_ms;
}

/* ---- Copies ---- */

static struct sg_tally_row *add_row(struct sg_tally_rows *rows, const struct sg_tally *tally) {
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 16;
        struct sg_tally_row *v = realloc(rows->v, cap * sizeof(*v));
        if (!v) {
            abort();
        }
        rows->v = v;
        rows->cap = cap;
    }
    struct sg_tally_row *row = &rows->v[rows->n++];
    *row = (struct sg_tally_row){.name = tally->name, .sums = tally->now, .here = tally->here};
    return row;
}

void sg_tally_rows_take(struct sg_tally_rows *rows, const struct sg_tallies *tallies, uint64_t now_ms) {
    for (const struct sg_tally *tally = tallies->by_name; tally; tally = tally->hh.next) {
        struct sg_tally_row *row = add_row(rows, tally);
        row->recent_ms = now_ms - tallies->older_ms;
#define X(sum) row->recent.sum = tally->now.sum - tally->older.sum;
        SG_TALLY_SUMS(X)
#undef X
    }
}

static void add(struct sg_tally_row *to, const struct sg_tally_row *row) {
#define X(sum)                     \
    to->sums.sum += row->sums.sum; \
    to->recent.sum += row->recent.sum;
    SG_TALLY_SUMS(X)
#undef X
    to->recent_ms = row->recent_ms > to->recent_ms ? row->recent_ms : to->recent_ms;
    to->here.clients_active += row->here.clients_active;
    to->here.clients_waiting += row->here.clients_waiting;
    to->here.servers_active += row->here.servers_active;
    to->here.servers_login += row->here.servers_login;
    to->here.max_wait_ms = row->here.max_wait_ms > to->here.max_wait_ms ? row->here.max_wait_ms : to->here.max_wait_ms;
}

static int by_name(const void *a, const void *b) {
    return memcmp(&((const struct sg_tally_row *)a)->name, &((const struct sg_tally_row *)b)->name,
                  sizeof(struct sg_tally_name));
}

void sg_tally_rows_settle(struct sg_tally_rows *rows) {
    size_t kept = 0;
    if (rows->n > 0) {
        qsort(rows->v, rows->n, sizeof(*rows->v), by_name);
    }
    for (size_t i = 0; i < rows->n; i++) {
        if (kept > 0 && by_name(&rows->v[kept - 1], &rows->v[i]) == 0) {
            add(&rows->v[kept - 1], &rows->v[i]);
        } else {
            rows->v[kept++] = rows->v[i];
        }
    }
    rows->n = kept;
}

void sg_tally_rows_by_database(struct sg_tally_rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        memset(rows->v[i].name.user, 0, sizeof(rows->v[i].name.user));
    }
    sg_tally_rows_settle(rows);
}

void sg_tally_rows_free(struct sg_tally_rows *rows) {
    free(rows->v);
    *rows = (struct sg_tally_rows){0};
}
