/*
 * command — the console's statements, from text to a struct. Pure: no connection, no role, no state.
 *
 * A command's strings live in the arena given to the parser.
 */
#ifndef SEGUE_ADMIN_COMMAND_H
#define SEGUE_ADMIN_COMMAND_H

#include "proxy/admin/command_table.h"
#include "proxy/migration/commands.h"
#include "segue/arena.h"
#include "segue/error.h"

#include <stdint.h>

/* One entry for each row of the table; several rows may share an id of enum sg_command_id. */
enum sg_command_role { SG_ROLE_STATS, SG_ROLE_ADMIN, SG_ROLE_HIDDEN, SG_ROLE_LATER };

enum sg_command_id {
    SG_COMMAND_CREATE_RENAME,
    SG_COMMAND_PREFLIGHT,
    SG_COMMAND_START,
    SG_COMMAND_SWITCH,
    SG_COMMAND_CONTRACT,
    SG_COMMAND_RETIRE,
    SG_COMMAND_ROLLBACK,
    SG_COMMAND_DROP,
    SG_COMMAND_PAUSE_BACKFILL,
    SG_COMMAND_RESUME_BACKFILL,
    SG_COMMAND_SET_BACKFILL,
    SG_COMMAND_VERIFY,
    SG_COMMAND_WAIT,
    SG_COMMAND_EXPLAIN_REWRITE,
    SG_COMMAND_SHOW_MIGRATIONS,
    SG_COMMAND_SHOW_MIGRATION,
    SG_COMMAND_SHOW_BACKFILL,
    SG_COMMAND_SHOW_BARRIER,
    SG_COMMAND_SHOW_REFERENCES,
    SG_COMMAND_SHOW_REWRITES,
    SG_COMMAND_SHOW_REFUSED,
    SG_COMMAND_SHOW_DATABASES,
    SG_COMMAND_SHOW_STATS,
    SG_COMMAND_SHOW_COUNTERS,
    SG_COMMAND_SHOW_STATS_TOTALS,
    SG_COMMAND_SHOW_STATS_AVERAGES,
    SG_COMMAND_SHOW_TOTALS,
    SG_COMMAND_SHOW_CLIENTS,
    SG_COMMAND_SHOW_SERVERS,
    SG_COMMAND_SHOW_SOCKETS,
    SG_COMMAND_SHOW_ACTIVE_SOCKETS,
    SG_COMMAND_SHOW_POOLS,
    SG_COMMAND_SHOW_USERS,
    SG_COMMAND_SHOW_LISTS,
    SG_COMMAND_SHOW_MEM,
    SG_COMMAND_SHOW_STATE,
    SG_COMMAND_SHOW_CONFIG,
    SG_COMMAND_SHOW_VERSION,
    SG_COMMAND_SHOW_HELP,
    SG_COMMAND_PAUSE,
    SG_COMMAND_RESUME,
    SG_COMMAND_KILL,
    SG_COMMAND_KILL_CLIENT,
    SG_COMMAND_RELOAD,
    SG_COMMAND_SHUTDOWN,
    SG_COMMAND_SHUTDOWN_SERVERS,
    SG_COMMAND_SHUTDOWN_CLIENTS,
    SG_COMMAND_BEGIN,
    SG_COMMAND_COMMIT,
    SG_COMMAND_ABORT,
    SG_COMMAND_DISCARD,
    SG_COMMAND_DEALLOCATE,
    SG_COMMAND_RESET,
    SG_COMMAND_SET,
    SG_COMMAND_LATER,
};

#define SG_COMMAND_OPTIONS_MAX 32

struct sg_command {
    enum sg_command_id id;
    enum sg_command_role role;
    const char *doc; /* of the table; LATER: what is not supported yet */
    /* The slots that the text filled; the others are NULL. */
    const char *migration, *database, *schema, *table, *old_name, *new_name;
    const char *state, *sql, *parameter, *user, *application;
    double timeout_seconds; /* TIMEOUT; negative: none */
    uint64_t client_id;
    bool flag; /* FORCE */
    struct sg_migration_option options[SG_COMMAND_OPTIONS_MAX];
    size_t options_len;
};

/* Reads the statement at *cursor (a byte of text; starts at 0) and its semicolon. Blank statements are skipped. NONE:
 * the text is used up. BAD: *reterr has SQLSTATE 42601 and the position. */
enum sg_command_read { SG_COMMAND_OK, SG_COMMAND_NONE, SG_COMMAND_BAD };
enum sg_command_read sg_command_next(struct sg_arena *arena, struct sg_span text, size_t *cursor,
                                     struct sg_command *ret_command, struct sg_error *reterr);

/* For CommandComplete: the command's leading keywords. Static. */
const char *sg_command_tag(const struct sg_command *command);

/* ---- The table, for SHOW HELP and the docs ---- */

size_t sg_command_rows(void);
const char *sg_command_syntax(size_t row);
const char *sg_command_doc(size_t row);
enum sg_command_role sg_command_role(size_t row);

#endif
