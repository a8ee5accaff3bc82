/* A small world for the unit tests: tables from DDL, mappings from a line each. */
#ifndef SEGUE_TESTS_WORLD_H
#define SEGUE_TESTS_WORLD_H

#include "segue/rewrite.h"

/* users(user_id, nickname, email), players(player_id, nickname); nickname = username in phase, at epoch. */
struct sg_snapshot *world_users(enum sg_phase phase, uint64_t epoch);

/* ddl and one mapping on public.<table>; the new column is added for phases that have it. Fails the test on error. */
struct sg_snapshot *world_make(const char *ddl, const char *table, const char *old_name, const char *new_name,
                               enum sg_phase phase, uint64_t epoch);

/* A request as the proxy makes it for a UTF-8 client with standard strings. */
struct sg_request world_request(const char *sql);

/* What the server would receive: the input when it passes, NULL when it is refused. */
const char *world_rewrite(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, const char *sql);

#endif
