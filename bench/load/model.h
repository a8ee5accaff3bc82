/*
 * model — what every row the clients own must look like. The key space is cut into ranges; whoever holds a range's lock
 * is the only one who may write its rows, so the model is exact. Each pair of clients (one of the old app version, one
 * of the new) shares a few ranges and takes them in turn: what one version wrote, the other reads back next.
 *
 *      keys 1 .. rows                          (r + 1) * 10^10 ..
 *      [range 0][range 1] ... [range n-1]      what range r inserted during the run
 *
 * A row's text is not stored where it can be computed: from the key (rows of --init) or from key and version.
 */
#ifndef SEGUE_BENCH_MODEL_H
#define SEGUE_BENCH_MODEL_H

#include "bench/load/metrics.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SG_TEXT_BYTES    128 /* room for any name: varchar(100), ASCII or two bytes a character in few places */
#define SG_DEFAULT_NAME  "anonymous"
#define SG_HOT_ROWS      8 /* keys -1 .. -8: rows everybody writes at once */
#define SG_PENDING_MAX   16
#define SG_FRESH_SPACING 10000000000LL

enum sg_row_kind {
    SG_ROW_ABSENT,
    SG_ROW_INITIAL,   /* as --init made it */
    SG_ROW_GENERATED, /* computed from key and version */
    SG_ROW_NULL,
    SG_ROW_DEFAULT, /* the column's default */
    SG_ROW_STORED,  /* text below: the server made the value up, or an expression did */
};

struct sg_row {
    uint32_t version; /* of the last write; goes on counting over a delete */
    uint8_t kind;
    uint8_t seen; /* by the audit */
    char *text;   /* owned; SG_ROW_STORED only */
};

struct sg_range {
    pthread_mutex_t lock;
    int64_t first_key; /* of the initial rows */
    size_t initial_len;
    int64_t fresh_key;
    struct sg_row *rows; /* initial ones, then fresh ones */
    size_t rows_len, rows_cap;
    enum sg_app last_app;           /* who held it last */
    size_t pending[SG_PENDING_MAX]; /* rows written since: the other version reads them back first */
    size_t pending_len;
};

struct sg_model {
    size_t ranges_len;
    struct sg_range *ranges;
    int64_t initial_rows;
};

struct sg_model *sg_model_new(int64_t initial_rows, size_t ranges);
void sg_model_free(struct sg_model *model);

int64_t sg_range_key(const struct sg_range *range, size_t row);
/* A new absent row at the end. */
size_t sg_range_append(struct sg_range *range);
/* Remembers a written row for the peer. */
void sg_range_pend(struct sg_range *range, size_t row);

/* Where a key lives; false when no range owns it. */
bool sg_model_find(const struct sg_model *model, int64_t key, size_t *ret_range, size_t *ret_row);

void sg_row_set(struct sg_row *row, enum sg_row_kind kind, uint32_t version, const char *text);
struct sg_row sg_row_copy(const struct sg_row *row);
/* The text the row's name must have; NULL for SQL NULL. Not for absent rows. */
const char *sg_row_text(const struct sg_row *row, int64_t key, char buf[SG_TEXT_BYTES]);
/* True when no other row can have the same name. */
bool sg_row_unique(const struct sg_row *row);

#endif
