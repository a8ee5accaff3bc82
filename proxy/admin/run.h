/* run — carries a parsed command out for a session: roles are checked, then one function a command does the work. */
#ifndef SEGUE_ADMIN_RUN_H
#define SEGUE_ADMIN_RUN_H

#include "proxy/admin/session.h"

/* False: *reterr says why, and nothing has changed. The result is set up by the caller. */
bool sg_admin_session_run(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                          struct sg_error *reterr);

/* Commands that answer with rows only read, so they may be run just to learn their columns. */
bool sg_command_returns_rows(const struct sg_command *command);

/* The control connection, opened or opened again where that is needed. NULL: *reterr. */
PGconn *sg_admin_session_control(struct sg_admin_session *session, struct sg_error *reterr);

/* Schema segue is the engine's to make: before it has started there is nothing to ask or to tell. False: *reterr. */
bool sg_admin_session_engine_runs(struct sg_admin_session *session, struct sg_error *reterr);

/* WAIT m FOR state: looks at the rows until the state is there, the client goes away or cancels, or the time is up. */
bool sg_admin_session_wait(struct sg_admin_session *session, const struct sg_command *command, struct sg_error *reterr);

/* After a change of the mappings themselves: gives every live proxy a moment to take them up, so that both names work
 * by the time the client has its answer. A session in a long transaction does not hold the answer up for ever. */
void sg_admin_session_settle(struct sg_admin_session *session);

/* PAUSE, RESUME, KILL, KILL_CLIENT. PAUSE blocks until all is quiet; if the client goes away or cancels meanwhile, what
 * it has paused goes on. */
bool sg_admin_session_hold(struct sg_admin_session *session, const struct sg_command *command, struct sg_error *reterr);

/* The SHOW commands about this process rather than about migrations. */
bool sg_admin_session_show(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                           struct sg_error *reterr);
bool sg_admin_session_explain(struct sg_admin_session *session, const struct sg_command *command,
                              struct sg_result *result, struct sg_error *reterr);

#endif
