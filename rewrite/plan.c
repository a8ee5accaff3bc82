#include "plan.h"

#include "segue/copy.h"

#include <stdlib.h>

static struct sg_span *copy_asks(struct sg_arena *arena, const struct sg_plan *plan) {
    struct sg_span *asks = sg_arena_array(arena, struct sg_span, plan->asks_len);
    for (size_t i = 0; i < plan->asks_len; i++)
        asks[i] = (struct sg_span){sg_arena_strndup(arena, plan->asks[i].ptr, plan->asks[i].len), plan->asks[i].len};
    return asks;
}

struct sg_full_plan *sg_plan_new(const struct sg_plan *scratch, size_t max_sql_bytes, size_t edits_len) {
    size_t bytes = sizeof(struct sg_full_plan);
    if (scratch->action == SG_REWRITE)
        bytes += sizeof(struct sg_edit) * edits_len + max_sql_bytes + 1;
    struct sg_full_plan *full = malloc(bytes);
    if (!full)
        abort();
    full->plan = *scratch;
    full->refs = 1;
    sg_arena_init(&full->arena, 0);
    if (scratch->action == SG_REFUSE)
        full->plan.error = sg_arena_copy(&full->arena, scratch->error, sizeof *scratch->error);
    if (scratch->copy)
        full->plan.copy = sg_copy_clone(&full->arena, scratch->copy);
    if (scratch->action == SG_ASK)
        full->plan.asks = copy_asks(&full->arena, scratch);
    full->bytes = bytes + sg_arena_bytes(&full->arena);
    return full;
}

void sg_plan_splice(struct sg_full_plan *full, const struct sg_splice *splice, struct sg_span text,
                    const struct sg_shape *shape) {
    char *sql = (char *)(full->edits + splice->edits_len);
    full->plan.edits = full->edits;
    full->plan.edits_len = splice->edits_len;
    full->plan.sql = (struct sg_span){sql, sg_splice_run(splice, text, shape, sql, full->edits)};
    sql[full->plan.sql.len] = '\0';
}

const struct sg_plan *sg_plan_ref(const struct sg_plan *plan) {
    ((struct sg_full_plan *)plan)->refs++;
    return plan;
}

void sg_plan_unref(const struct sg_plan *plan) {
    struct sg_full_plan *full = (struct sg_full_plan *)plan;
    if (!full || --full->refs)
        return;
    sg_arena_free(&full->arena);
    free(full);
}

static int position_of(const struct sg_plan *plan, struct sg_span text, size_t offset) {
    return (int)sg_encoding_count(plan->encoding, text, offset) + 1;
}

int sg_plan_map_position(const struct sg_plan *plan, struct sg_span client_sql, int position) {
    if (plan->action != SG_REWRITE || position < 1)
        return position;
    size_t there = sg_encoding_offset(plan->encoding, plan->sql, (size_t)position - 1);
    size_t here = 0, out = 0; /* the same place in the client's text and in ours, up to the last edit seen */
    for (size_t i = 0; i < plan->edits_len; i++) {
        const struct sg_edit *edit = &plan->edits[i];
        size_t same = edit->at - here;
        if (there < out + same)
            break;
        if (there < out + same + edit->inserted)
            return position_of(plan, client_sql, edit->at);
        here = edit->at + edit->removed;
        out += same + edit->inserted;
    }
    return position_of(plan, client_sql, here + (there - out));
}
