#include "bench/load/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *ptr) {
    if (!ptr)
        abort();
    return ptr;
}

struct sg_model *sg_model_new(int64_t initial_rows, size_t ranges) {
    struct sg_model *model = must(calloc(1, sizeof(*model)));
    model->ranges = must(calloc(ranges, sizeof(*model->ranges)));
    model->ranges_len = ranges;
    model->initial_rows = initial_rows;
    for (size_t i = 0; i < ranges; i++) {
        struct sg_range *range = &model->ranges[i];
        int64_t first = initial_rows * (int64_t)i / (int64_t)ranges + 1;
        int64_t next = initial_rows * (int64_t)(i + 1) / (int64_t)ranges + 1;
        pthread_mutex_init(&range->lock, NULL);
        range->first_key = first;
        range->initial_len = (size_t)(next - first);
        range->fresh_key = (int64_t)(i + 1) * SG_FRESH_SPACING;
        range->rows_len = range->initial_len;
        range->rows_cap = range->initial_len + 1024;
        range->rows = must(calloc(range->rows_cap, sizeof(*range->rows)));
        for (size_t r = 0; r < range->initial_len; r++)
            range->rows[r].kind = SG_ROW_INITIAL;
    }
    return model;
}

void sg_model_free(struct sg_model *model) {
    if (!model)
        return;
    for (size_t i = 0; i < model->ranges_len; i++) {
        struct sg_range *range = &model->ranges[i];
        for (size_t r = 0; r < range->rows_len; r++)
            free(range->rows[r].text);
        free(range->rows);
        pthread_mutex_destroy(&range->lock);
    }
    free(model->ranges);
    free(model);
}

int64_t sg_range_key(const struct sg_range *range, size_t row) {
    return row < range->initial_len ? range->first_key + (int64_t)row
                                    : range->fresh_key + (int64_t)(row - range->initial_len);
}

size_t sg_range_append(struct sg_range *range) {
    if (range->rows_len == range->rows_cap) {
        range->rows_cap *= 2;
        range->rows = must(realloc(range->rows, range->rows_cap * sizeof(*range->rows)));
    }
    range->rows[range->rows_len] = (struct sg_row){.kind = SG_ROW_ABSENT};
    return range->rows_len++;
}

void sg_range_pend(struct sg_range *range, size_t row) {
    if (range->pending_len < SG_PENDING_MAX)
        range->pending[range->pending_len++] = row;
}

bool sg_model_find(const struct sg_model *model, int64_t key, size_t *ret_range, size_t *ret_row) {
    size_t at;
    if (key >= 1 && key <= model->initial_rows) {
        /* The cut rounds down, so the guess may be one off in either direction. */
        at = (size_t)((key - 1) * (int64_t)model->ranges_len / model->initial_rows);
        while (at + 1 < model->ranges_len && key >= model->ranges[at + 1].first_key)
            at++;
        while (key < model->ranges[at].first_key)
            at--;
        *ret_range = at;
        *ret_row = (size_t)(key - model->ranges[at].first_key);
        return true;
    }
    if (key < SG_FRESH_SPACING || key / SG_FRESH_SPACING > (int64_t)model->ranges_len)
        return false;
    at = (size_t)(key / SG_FRESH_SPACING - 1);
    *ret_range = at;
    *ret_row = model->ranges[at].initial_len + (size_t)(key % SG_FRESH_SPACING);
    return true;
}

void sg_row_set(struct sg_row *row, enum sg_row_kind kind, uint32_t version, const char *text) {
    char *copy = kind == SG_ROW_STORED ? must(strdup(text)) : NULL;
    free(row->text);
    row->text = copy;
    row->kind = (uint8_t)kind;
    row->version = version;
}

struct sg_row sg_row_copy(const struct sg_row *row) {
    struct sg_row copy = *row;
    if (row->text)
        copy.text = must(strdup(row->text));
    return copy;
}

/* Texts that have tripped up rewriters: quotes, backslashes, comments, dollars, the column's own names, wide
 * characters. Key and version make each unique. */
static const char *const generated_forms[] = {
    "user %lld.%u",
    "O'Brien %lld.%u",
    "back\\slash %lld.%u\\",
    "/* nickname */ %lld.%u --",
    "\"username\" = $1 %lld.%u ?",
    "$$ %lld.%u $tag$",
    "Zo\xc3\xab \xe2\x98\x83 \xf0\x9f\x8e\xb5 %lld.%u",
    "E'\\'' %lld.%u; DROP",
};

const char *sg_row_text(const struct sg_row *row, int64_t key, char buf[SG_TEXT_BYTES]) {
    size_t forms = sizeof(generated_forms) / sizeof(generated_forms[0]);
    switch (row->kind) {
    case SG_ROW_INITIAL:
        snprintf(buf, SG_TEXT_BYTES, "nick-%lld", (long long)key);
        return buf;
    case SG_ROW_GENERATED:
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(buf, SG_TEXT_BYTES, generated_forms[((uint64_t)key + row->version) % forms], (long long)key,
                 row->version);
#pragma GCC diagnostic pop
        return buf;
    case SG_ROW_DEFAULT:
        return SG_DEFAULT_NAME;
    case SG_ROW_STORED:
        return row->text;
    default:
        return NULL;
    }
}

bool sg_row_unique(const struct sg_row *row) {
    return row->kind == SG_ROW_INITIAL || row->kind == SG_ROW_GENERATED;
}
