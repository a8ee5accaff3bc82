/*
 * show — the SHOW commands about the process itself, as functions of the console alone: the console's sessions and the
 * HTTP side answer with the same rows.
 *
 * Column names and their order are PgBouncer's (1.24), so that what reads its console reads this one; columns of
 * segue's own come behind them. Nothing here needs the control connection.
 */
#ifndef SEGUE_ADMIN_SHOW_H
#define SEGUE_ADMIN_SHOW_H

#include "proxy/admin/command.h"
#include "proxy/admin/registry.h"
#include "proxy/admin/result.h"
#include "proxy/net/server.h"

/* Asks the workers; kind: of notes. False: there is no server (any more). The caller frees the findings. */
bool sg_show_survey(struct sg_console *console, enum sg_question question, enum sg_journal_kind kind,
                    struct sg_findings *ret_findings, struct sg_error *reterr);
bool sg_show_server_stats(struct sg_console *console, struct sg_server_stats *ret_stats, struct sg_error *reterr);
/* database NULL: PAUSE of every one. False also when there is no server. */
bool sg_show_is_paused(struct sg_console *console, const char *database);
/* In the result's arena. */
const char *sg_show_number(struct sg_result *result, uint64_t number);

bool sg_show_help(struct sg_result *result);
bool sg_show_version(struct sg_result *result);
bool sg_show_config(struct sg_console *console, struct sg_result *result);
bool sg_show_counters(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);

/* STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS (show_stats.c). */
bool sg_show_stats(struct sg_console *console, enum sg_command_id id, struct sg_result *result,
                   struct sg_error *reterr);
/* CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS (show_sockets.c). */
bool sg_show_sockets(struct sg_console *console, enum sg_command_id id, struct sg_result *result,
                     struct sg_error *reterr);
/* POOLS, USERS, DATABASES (show_pools.c). */
bool sg_show_pools(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);
bool sg_show_users(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);
bool sg_show_databases(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);
/* LISTS, MEM, STATE (show_lists.c). */
bool sg_show_lists(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);
bool sg_show_mem(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);
bool sg_show_state(struct sg_console *console, struct sg_result *result, struct sg_error *reterr);

#endif
