#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct sg_snapshot *world_make(const char *ddl, const char *table, const char *old_name, const char *new_name,
                               enum sg_phase phase, uint64_t epoch) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(catalog, sg_span_of(ddl), &err), "%s", err.message);
    struct sg_mapping mapping = {.migration = "m",
                                 .schema = "public",
                                 .table = table,
                                 .old_name = old_name,
                                 .new_name = new_name,
                                 .phase = phase};
    struct sg_catalog *before = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(before, sg_span_of(ddl), &err), "%s", err.message);
    mapping.shape = sg_catalog_columns(before, "public", table, &mapping.shape_len);
    cr_assert_not_null(mapping.shape);
    if (phase != SG_PHASE_PLANNED) {
        char add[512];
        snprintf(add, sizeof add, "ALTER TABLE public.\"%s\" ADD COLUMN \"%s\" text", table, new_name);
        cr_assert(sg_catalog_add_ddl(catalog, sg_span_of(add), &err), "%s", err.message);
    }
    struct sg_snapshot *snapshot = sg_snapshot_new(epoch, catalog, &mapping, 1, &err);
    sg_catalog_free(before);
    cr_assert_not_null(snapshot, "%s", err.message);
    return snapshot;
}

struct sg_snapshot *world_users(enum sg_phase phase, uint64_t epoch) {
    return world_make("CREATE TABLE users (user_id bigint, nickname varchar(100), email text);"
                      "CREATE TABLE players (player_id bigint, nickname text)",
                      "users", "nickname", "username", phase, epoch);
}

struct sg_request world_request(const char *sql) {
    return (struct sg_request){.sql = sg_span_of(sql), .star = SG_STAR_BOTH, .search_path = "public"};
}

const char *world_rewrite(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, const char *sql) {
    struct sg_request request = world_request(sql);
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    if (!plan || plan->action == SG_PASS) {
        return sql;
    }
    return plan->action == SG_REWRITE ? plan->sql.ptr : NULL;
}
