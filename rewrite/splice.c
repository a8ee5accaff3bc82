#include "splice.h"

static size_t offset_of(const struct sg_shape *shape, struct sg_place place) {
    return place.literals ? shape->v[place.literals - 1].end + place.bytes : place.bytes;
}

static size_t length_of(const struct sg_splice_op *op, const struct sg_shape *shape) {
    return op->is_own ? op->own.len : offset_of(shape, op->client.to) - offset_of(shape, op->client.from);
}

size_t sg_splice_max_bytes(const struct sg_splice *splice, const struct sg_shape *shape) {
    size_t bytes = splice->ops_len; /* a blank before each */
    for (size_t i = 0; i < splice->ops_len; i++)
        bytes += length_of(&splice->ops[i], shape);
    return bytes;
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* Would the two read as one token, or change each other? `SELECT"nickname"FROM` needs no blanks; an unquoted name in
 * its place does. */
static bool must_stay_apart(char a, char b) {
    return (is_word_byte(a) && (is_word_byte(b) || b == '\'')) || (a == b && (a == '"' || a == '\''));
}

/* The second byte of a character looks like something else. */
static char last_byte(const struct sg_splice *splice, const char *text, size_t len) {
    return splice->is_wide && len > 1 && (unsigned char)text[len - 2] >= 0x80 ? text[len - 2] : text[len - 1];
}

size_t sg_splice_run(const struct sg_splice *splice, struct sg_span text, const struct sg_shape *shape, char *ret_text,
                     struct sg_edit *ret_edits) {
    for (size_t i = 0; i < splice->edits_len; i++) {
        size_t at = offset_of(shape, splice->edits[i].at);
        ret_edits[i] = (struct sg_edit){at, offset_of(shape, splice->edits[i].end) - at, 0};
    }
    size_t len = 0;
    for (size_t i = 0; i < splice->ops_len; i++) {
        const struct sg_splice_op *op = &splice->ops[i];
        struct sg_span bytes = {op->is_own ? op->own.ptr : text.ptr + offset_of(shape, op->client.from),
                                length_of(op, shape)};
        /* A blank before kept bytes belongs to the edit that made it necessary. */
        bool blank = op->is_seam && len > 0 && must_stay_apart(last_byte(splice, ret_text, len), bytes.ptr[0]);
        if (blank)
            ret_text[len++] = ' ';
        memcpy(ret_text + len, bytes.ptr, bytes.len);
        len += bytes.len;
        if (op->edits)
            ret_edits[op->edits - 1].inserted += blank + (op->is_kept ? 0 : bytes.len);
    }
    return len;
}

/* ---- Relative places ---- */

static bool relate(const struct sg_shape *shape, struct sg_place *place) {
    size_t at = place->bytes, lo = 0, hi = shape->n; /* the literals before lo end at or before it */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (shape->v[mid].end <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < shape->n && shape->v[lo].at < at)
        return false;
    *place = (struct sg_place){(uint32_t)lo, (uint32_t)(at - (lo ? shape->v[lo - 1].end : 0))};
    return true;
}

bool sg_splice_relate(struct sg_arena *arena, const struct sg_splice *splice, const struct sg_shape *shape,
                      struct sg_splice *ret_relative) {
    struct sg_splice_op *ops = sg_arena_copy(arena, splice->ops, sizeof *ops * splice->ops_len);
    struct sg_splice_edit *edits = sg_arena_copy(arena, splice->edits, sizeof *edits * splice->edits_len);
    struct sg_span before = {NULL, 0}, copied = {NULL, 0}; /* rows repeat what they insert */
    for (size_t i = 0; i < splice->ops_len; i++) {
        struct sg_splice_op *op = &ops[i];
        if (!op->is_own) {
            if (!relate(shape, &op->client.from) || !relate(shape, &op->client.to))
                return false;
            continue;
        }
        if (op->own.ptr != before.ptr || op->own.len != before.len) {
            before = op->own;
            copied.ptr = sg_arena_strndup(arena, before.ptr, before.len);
            copied.len = before.len;
        }
        op->own = copied;
    }
    for (size_t i = 0; i < splice->edits_len; i++)
        if (!relate(shape, &edits[i].at) || !relate(shape, &edits[i].end))
            return false;
    *ret_relative = (struct sg_splice){ops, splice->ops_len, edits, splice->edits_len, splice->is_wide};
    return true;
}
