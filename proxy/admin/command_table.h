/*
 * Every command of the console, once: parser, SHOW HELP, roles and docs/console.md are all made from this list.
 *
 * X(id, role, syntax, doc)
 *   role    STATS: admins and stats users; ADMIN: admins; HIDDEN: anybody, and not in SHOW HELP (what drivers send);
 *           LATER: part of the interface, but not served yet: answered with 0A000
 *   syntax  UPPER CASE is a keyword, lower case a slot (see slots in command.c), [ ] may be left out, | separates
 *           keywords of which one is wanted, ... is anything up to the semicolon
 * The first syntax that fits wins.
 */
#ifndef SEGUE_ADMIN_COMMAND_TABLE_H
#define SEGUE_ADMIN_COMMAND_TABLE_H

/* clang-format off */
#define SG_COMMANDS(X)                                                                                                 \
    /* what psql and drivers send by themselves */                                                                     \
    X(BEGIN, HIDDEN, "BEGIN ...", "")                                                                                  \
    X(BEGIN, HIDDEN, "START TRANSACTION ...", "")                                                                      \
    X(COMMIT, HIDDEN, "COMMIT|END [ TRANSACTION|WORK ]", "")                                                           \
    X(ABORT, HIDDEN, "ABORT|ROLLBACK [ TRANSACTION|WORK ]", "")                                                        \
    X(DISCARD, HIDDEN, "DISCARD ALL", "")                                                                              \
    X(DEALLOCATE, HIDDEN, "DEALLOCATE ALL", "")                                                                        \
    X(RESET, HIDDEN, "SELECT PG_ADVISORY_UNLOCK_ALL ( )", "")                                                          \
    X(RESET, HIDDEN, "CLOSE ALL", "")                                                                                  \
    X(RESET, HIDDEN, "UNLISTEN *", "")                                                                                 \
    X(RESET, HIDDEN, "RESET ALL", "")                                                                                  \
    X(SET, HIDDEN, "SET [ SESSION|LOCAL ] parameter TO|= ...", "")                                                     \
    /* what people ask for */                                                                                            \
    X(CREATE_RENAME, ADMIN, "CREATE MIGRATION migration [ IN database ] ON table RENAME COLUMN old TO new [ WITH ( options ) ]", \
      "Declare that old and new are two names of one column; both work at once")                                       \
    X(PREFLIGHT, ADMIN, "PREFLIGHT migration", "List what stands in the way of a migration (blocker) or may surprise (warning)") \
    X(START, ADMIN, "START migration", "Add the new column, write both, copy the old rows, verify; rests in dual_write, verified") \
    X(SWITCH, ADMIN, "SWITCH migration", "Read the new column from now on (read_new); ROLLBACK is still free")         \
    X(CONTRACT, ADMIN, "CONTRACT migration", "Drop the old column; both names keep working (new_only)")                \
    X(RETIRE, ADMIN, "RETIRE migration [ FORCE ]", "Remove the mapping: the old name no longer exists")                \
    X(ROLLBACK, ADMIN, "ROLLBACK migration", "Go back to the old column alone; possible until CONTRACT")               \
    X(DROP, ADMIN, "DROP MIGRATION migration", "Remove a migration that has not been started, or has ended")           \
    X(PAUSE_BACKFILL, ADMIN, "PAUSE BACKFILL migration", "Stop copying rows after the batch at hand")                  \
    X(RESUME_BACKFILL, ADMIN, "RESUME BACKFILL migration", "Go on copying rows")                                       \
    X(SET_BACKFILL, ADMIN, "SET BACKFILL migration options", "Change how rows are copied: batch_rows = 5000, max_p99_ratio = 1.2") \
    X(VERIFY, ADMIN, "VERIFY migration", "Let PostgreSQL prove once more that the two columns are the same in every row") \
    X(WAIT, ADMIN, "WAIT migration FOR state [ TIMEOUT seconds ]", "Wait until backfilled, verified, dual_write, read_new, new_only or retired is reached or passed") \
    X(EXPLAIN_REWRITE, ADMIN, "EXPLAIN REWRITE [ IN database ] [ AS USER user ] [ APPLICATION application ] sql", "Show what would be sent to the server instead of 'sql', if that client sent it") \
    X(SHOW_MIGRATIONS, STATS, "SHOW MIGRATIONS", "Every migration, where it stands, and why it failed if it did")      \
    X(SHOW_MIGRATION, STATS, "SHOW MIGRATION migration", "One migration and the history of its phases")                \
    X(SHOW_BACKFILL, STATS, "SHOW BACKFILL", "Progress of the row copies")                                             \
    X(SHOW_BARRIER, STATS, "SHOW BARRIER", "What a change of phase is waiting for")                                    \
    X(SHOW_REFERENCES, STATS, "SHOW REFERENCES [ migration ]", "Who uses which name of a column, and how")             \
    X(SHOW_REWRITES, STATS, "SHOW REWRITES", "Statements that are rewritten, and into what")                           \
    X(SHOW_REFUSED, STATS, "SHOW REFUSED", "Statements that were refused, why, and what to do")                        \
    X(SHOW_CLIENTS, STATS, "SHOW CLIENTS", "Every client: who, from where, in which state")                            \
    X(SHOW_SERVERS, STATS, "SHOW SERVERS", "The server connection of every client")                                    \
    X(SHOW_SOCKETS, STATS, "SHOW SOCKETS", "Both, with how much of their data segue holds")                            \
    X(SHOW_ACTIVE_SOCKETS, STATS, "SHOW ACTIVE_SOCKETS", "Those that segue holds data of")                             \
    X(SHOW_POOLS, STATS, "SHOW POOLS", "Clients and server connections by database and user")                          \
    X(SHOW_DATABASES, STATS, "SHOW DATABASES", "Where clients are taken to, and how many are there")                   \
    X(SHOW_USERS, STATS, "SHOW USERS", "Clients and server connections by user")                                       \
    X(SHOW_STATS, STATS, "SHOW STATS", "What was carried, by database: totals, and averages over stats_period")        \
    X(SHOW_STATS_TOTALS, STATS, "SHOW STATS_TOTALS", "The totals of SHOW STATS")                                       \
    X(SHOW_STATS_AVERAGES, STATS, "SHOW STATS_AVERAGES", "The averages of SHOW STATS")                                 \
    X(SHOW_TOTALS, STATS, "SHOW TOTALS", "SHOW STATS for all databases in one")                                        \
    X(SHOW_COUNTERS, STATS, "SHOW COUNTERS", "What this process has counted since it started: logins, rewrites, refusals, plans")\
    X(SHOW_LISTS, STATS, "SHOW LISTS", "How many there are of each thing")                                             \
    X(SHOW_MEM, STATS, "SHOW MEM", "Memory by what it is for")                                                         \
    X(SHOW_STATE, STATS, "SHOW STATE", "Whether clients are served or paused")                                         \
    X(SHOW_CONFIG, STATS, "SHOW CONFIG", "Every setting: in force, default, and when a change is taken up")            \
    X(SHOW_VERSION, STATS, "SHOW VERSION", "Version of segue")                                                         \
    X(SHOW_HELP, STATS, "SHOW HELP", "This list")                                                                      \
    X(PAUSE, ADMIN, "PAUSE [ database ]", "Let transactions finish and hold what comes next, logins too; returns when all is quiet") \
    X(RESUME, ADMIN, "RESUME [ database ]", "Let what PAUSE or KILL holds go on")                                      \
    X(KILL, ADMIN, "KILL [ database ]", "End sessions at once, and hold new ones until RESUME")                        \
    X(KILL_CLIENT, ADMIN, "KILL_CLIENT id", "End the session with this id at once")                                    \
    X(RELOAD, ADMIN, "RELOAD", "Read the configuration file again; faults go to the log")                              \
    X(SHUTDOWN, ADMIN, "SHUTDOWN", "End the process at once")                                                          \
    X(SHUTDOWN_SERVERS, ADMIN, "SHUTDOWN WAIT_FOR_SERVERS", "Accept no more; end each client between two transactions, then the process") \
    X(SHUTDOWN_CLIENTS, ADMIN, "SHUTDOWN WAIT_FOR_CLIENTS", "Accept no more; end the process when the last client has left by itself") \
    /* interface, not served yet */                                                                                    \
    X(LATER, LATER, "CREATE MIGRATION migration [ IN database ] ON table ALTER COLUMN ...", "changing a column's type") \
    X(LATER, LATER, "CREATE MIGRATION migration [ IN database ] ON table ADD COLUMN ...", "adding a column")           \
    X(LATER, LATER, "CREATE MIGRATION migration [ IN database ] ON table DROP COLUMN ...", "dropping a column")        \
    X(LATER, LATER, "CREATE MIGRATION migration [ IN database ] RENAME TABLE ...", "renaming a table")                 \
    X(LATER, LATER, "SHOW PROXIES ...", "SHOW PROXIES")                                                                \
    X(LATER, LATER, "SHOW BLOCKERS ...", "SHOW BLOCKERS")                                                              \
    X(LATER, LATER, "SHOW LINT ...", "SHOW LINT")
/* clang-format on */

#endif
