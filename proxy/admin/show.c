/* What the console knows of the process itself, and EXPLAIN REWRITE. */
#include "proxy/admin/show.h"
#include "proxy/admin/notes.h"
#include "proxy/admin/registry.h"
#include "proxy/admin/run.h"
#include "proxy/net/hub.h"
#include "proxy/net/server.h"
#include "segue/rewrite.h"

#include <inttypes.h>
#include <string.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- What the commands need ---- */

static bool is_there(const struct sg_server *server, struct sg_error *reterr) {
    if (!server)
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue is starting or ending");
    return server != NULL;
}

bool sg_show_survey(struct sg_console *console, enum sg_question question, enum sg_journal_kind kind,
                    struct sg_findings *ret_findings, struct sg_error *reterr) {
    pthread_mutex_lock(&console->survey_lock);
    const struct sg_server *server = console->server; /* read only under the one lock: it changes under both */
    if (server)
        sg_server_survey(server, question, kind, ret_findings);
    pthread_mutex_unlock(&console->survey_lock);
    return is_there(server, reterr);
}

bool sg_show_server_stats(struct sg_console *console, struct sg_server_stats *ret_stats, struct sg_error *reterr) {
    pthread_mutex_lock(&console->lock);
    const struct sg_server *server = console->server;
    if (server)
        sg_server_stats(server, ret_stats);
    pthread_mutex_unlock(&console->lock);
    return is_there(server, reterr);
}

bool sg_show_is_paused(struct sg_console *console, const char *database) {
    pthread_mutex_lock(&console->lock);
    bool is_paused = console->server && sg_server_is_paused(console->server, database);
    pthread_mutex_unlock(&console->lock);
    return is_paused;
}

const char *sg_show_number(struct sg_result *result, uint64_t number) {
    return sg_arena_printf(result->arena, "%" PRIu64, number);
}

/* ---- The process ---- */

bool sg_show_help(struct sg_result *result) {
    static const char *const names[] = {"command", "role", "description"};
    sg_result_columns(result, names, LEN(names));
    for (size_t i = 0; i < sg_command_rows(); i++) {
        enum sg_command_role role = sg_command_role(i);
        if (role == SG_ROLE_STATS || role == SG_ROLE_ADMIN)
            sg_result_row(result, (const char *const[]){sg_command_syntax(i), role == SG_ROLE_ADMIN ? "admin" : "stats",
                                                        sg_command_doc(i)});
    }
    return true;
}

bool sg_show_version(struct sg_result *result) {
    static const char *const names[] = {"version"};
    sg_result_columns(result, names, LEN(names));
    sg_result_row(result, (const char *const[]){"segue " SEGUE_VERSION});
    return true;
}

bool sg_show_config(struct sg_console *console, struct sg_result *result) {
    static const char *const names[] = {"key", "value", "default", "changeable"};
    static const char *const changes[] = {
        [SG_CHANGE_RELOAD] = "reload", [SG_CHANGE_RESTART] = "restart", [SG_CHANGE_LATER] = "not supported yet"};
    char value[1024];
    sg_result_columns(result, names, LEN(names));
    pthread_mutex_lock(&console->lock);
    for (size_t i = 0; i < sg_config_keys(); i++) {
        sg_config_value(console->config, i, value, sizeof(value));
        sg_result_row(result, (const char *const[]){sg_config_key_name(i), value, sg_config_key_default(i),
                                                    changes[sg_config_key_change(i)]});
    }
    pthread_mutex_unlock(&console->lock);
    return true;
}

bool sg_show_counters(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    struct sg_server_stats stats;
    if (!sg_show_server_stats(console, &stats, reterr))
        return false;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {{"sessions", stats.sessions},
                    {"logins", stats.logins},
                    {"refused_logins", stats.refused_logins},
                    {"cancels", stats.cancels},
                    {"client_bytes", stats.client_bytes},
                    {"server_bytes", stats.server_bytes},
                    {"transactions", stats.transactions},
                    {"statements", stats.statements},
                    {"rewritten", stats.rewritten},
                    {"refused", stats.refused},
                    {"reprepared", stats.reprepared},
                    {"probes", stats.probes},
                    {"prepared_statements", stats.prepared_statements},
                    {"prepared_bytes", stats.prepared_bytes},
                    {"plans_not_needed", stats.prefilter_pass},
                    {"plans_by_text", stats.cache_hit},
                    {"plans_by_shape", stats.shape_hit},
                    {"plans_made", stats.cold},
                    {"plans_evicted", stats.evicted},
                    {"plan_cache_entries", stats.cache_plans},
                    {"plan_cache_bytes", stats.cache_bytes}};
    static const char *const names[] = {"name", "value"};
    sg_result_columns(result, names, LEN(names));
    result->kinds = "sn";
    for (size_t i = 0; i < LEN(counters); i++)
        sg_result_row(result, (const char *const[]){counters[i].name, sg_show_number(result, counters[i].value)});
    return true;
}

bool sg_admin_session_show(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                           struct sg_error *reterr) {
    struct sg_console *console = session->console;
    switch (command->id) {
    case SG_COMMAND_SHOW_HELP:
        return sg_show_help(result);
    case SG_COMMAND_SHOW_VERSION:
        return sg_show_version(result);
    case SG_COMMAND_SHOW_CONFIG:
        return sg_show_config(console, result);
    case SG_COMMAND_SHOW_COUNTERS:
        return sg_show_counters(console, result, reterr);
    case SG_COMMAND_SHOW_STATS:
    case SG_COMMAND_SHOW_STATS_TOTALS:
    case SG_COMMAND_SHOW_STATS_AVERAGES:
    case SG_COMMAND_SHOW_TOTALS:
        return sg_show_stats(console, command->id, result, reterr);
    case SG_COMMAND_SHOW_CLIENTS:
    case SG_COMMAND_SHOW_SERVERS:
    case SG_COMMAND_SHOW_SOCKETS:
    case SG_COMMAND_SHOW_ACTIVE_SOCKETS:
        return sg_show_sockets(console, command->id, result, reterr);
    case SG_COMMAND_SHOW_POOLS:
        return sg_show_pools(console, result, reterr);
    case SG_COMMAND_SHOW_USERS:
        return sg_show_users(console, result, reterr);
    case SG_COMMAND_SHOW_DATABASES:
        return sg_show_databases(console, result, reterr);
    case SG_COMMAND_SHOW_LISTS:
        return sg_show_lists(console, result, reterr);
    case SG_COMMAND_SHOW_MEM:
        return sg_show_mem(console, result, reterr);
    case SG_COMMAND_SHOW_STATE:
        return sg_show_state(console, result, reterr);
    case SG_COMMAND_SHOW_REFERENCES:
        return sg_admin_session_notes(session, SG_JOURNAL_REFERENCES, command->migration, result, reterr);
    case SG_COMMAND_SHOW_REWRITES:
        return sg_admin_session_notes(session, SG_JOURNAL_REWRITES, NULL, result, reterr);
    case SG_COMMAND_SHOW_REFUSED:
        return sg_admin_session_notes(session, SG_JOURNAL_REFUSED, NULL, result, reterr);
    default:
        sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "command %d has no function", (int)command->id);
        return false;
    }
}

/* ---- EXPLAIN REWRITE ---- */

/* "rename_nick (dual_write, old name), ..." */
static const char *list_mappings(struct sg_arena *arena, struct sg_snapshot *snapshot, const struct sg_plan *plan) {
    const char *list = NULL;
    for (size_t i = 0; i < sg_snapshot_mappings(snapshot) && i < 64; i++) {
        const struct sg_mapping *mapping = sg_snapshot_mapping(snapshot, i);
        uint64_t bit = (uint64_t)1 << i;
        if (!((plan->used_old | plan->used_new | plan->used_star) & bit))
            continue;
        list = sg_arena_printf(arena, "%s%s%s (%s:%s%s%s)", list ? list : "", list ? ", " : "", mapping->migration,
                               sg_phase_name(mapping->phase), plan->used_old & bit ? " old" : "",
                               plan->used_new & bit ? " new" : "", plan->used_star & bit ? " *" : "");
    }
    return list;
}

/* By the rules of [clients] for a client like this; without one, the configured star. */
static enum sg_star star_of(struct sg_console *console, const struct sg_command *command) {
    enum sg_star star = SG_STAR_BOTH;
    pthread_mutex_lock(&console->lock);
    if (console->server)
        star = sg_server_star(console->server, command->user, console->database, command->application);
    else
        sg_star_from_name(console->config->star, &star);
    pthread_mutex_unlock(&console->lock);
    return star;
}

bool sg_admin_session_explain(struct sg_admin_session *session, const struct sg_command *command,
                              struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"action", "mappings", "sql", "reason", "hint"};
    struct sg_console *console = session->console;
    if (command->database && strcmp(command->database, console->database) != 0) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "nothing is rewritten in database \"%s\"",
                     command->database);
        sg_error_detail(reterr, "The control connection is to database \"%s\".", console->database);
        return false;
    }
    struct sg_snapshot *snapshot = sg_hub_current(console->hub);
    if (!snapshot) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the mappings are not known yet");
        sg_error_hint(reterr, "segue's log says what the migration engine is waiting for.");
        return false;
    }
    struct sg_rewriter *rewriter = sg_rewriter_new(65536);
    struct sg_request request = {
        .sql = sg_span_of(command->sql), .star = star_of(console, command), .search_path = "\"$user\", public"};
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    static const char *const actions[] = {[SG_PASS] = "pass", [SG_REWRITE] = "rewrite", [SG_REFUSE] = "refuse"};
    enum sg_action action = plan ? plan->action : SG_PASS;
    sg_result_columns(result, names, LEN(names));
    sg_result_row(result, (const char *const[]){
                              actions[action],
                              plan ? list_mappings(result->arena, snapshot, plan) : NULL,
                              action == SG_PASS      ? command->sql
                              : action == SG_REWRITE ? sg_arena_strndup(result->arena, plan->sql.ptr, plan->sql.len)
                                                     : NULL,
                              action != SG_REFUSE ? NULL
                              : plan->error->detail[0]
                                  ? sg_arena_printf(result->arena, "%s (%s)", plan->error->message, plan->error->detail)
                                  : plan->error->message,
                              action == SG_REFUSE && plan->error->hint[0] ? plan->error->hint : NULL,
                          });
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
    return true;
}
