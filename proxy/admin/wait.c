/*
 * WAIT polls the rows, because the rows are the truth and several proxies may change them. Between two looks the
 * client's socket is watched: a client that has gone away waits for nothing.
 */
#include "proxy/admin/registry.h"
#include "proxy/admin/run.h"
#include "proxy/migration/db.h"

#include <string.h>
#include <time.h>

#define LOOK_EVERY_MS  50
#define RETRY_MS       250
#define SETTLE_LOOK_MS 5
#define SETTLE_MAX_MS  2000
#define OUTAGE_MAX_MS  30000 /* of the control database, or of an engine still to start, before WAIT gives up */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "phase dual_write, state backfilling" for a message; "" when it cannot be known. */
static void describe_state(struct sg_admin_session *session, const char *migration, char *out, size_t size) {
    struct sg_error ignored;
    PGconn *control = sg_admin_session_control(session, &ignored);
    PGresult *rows = control ? sg_db_query(control, sg_sql_show_migrations, 0, NULL, &ignored) : NULL;
    int name = rows ? PQfnumber(rows, "name") : -1, phase = rows ? PQfnumber(rows, "phase") : -1,
        state = rows ? PQfnumber(rows, "state") : -1;
    out[0] = '\0';
    for (int i = 0; rows && name >= 0 && phase >= 0 && state >= 0 && i < PQntuples(rows); i++)
        if (strcmp(PQgetvalue(rows, i, name), migration) == 0)
            snprintf(out, size, "phase %s, state %s", PQgetvalue(rows, i, phase), PQgetvalue(rows, i, state));
    PQclear(rows);
}

static bool time_is_up(struct sg_admin_session *session, const struct sg_command *command, struct sg_error *reterr) {
    char state[128];
    describe_state(session, command->migration, state, sizeof(state));
    sg_error_set(reterr, SG_SQLSTATE_QUERY_CANCELED, "timed out waiting for migration \"%s\" to be %s",
                 command->migration, command->state);
    if (state[0])
        sg_error_detail(reterr, "It is in %s.", state);
    return false;
}

/* One look. A control database that is away for a moment is not the migration's failure. */
static enum sg_wait look(struct sg_admin_session *session, const struct sg_command *command, int64_t *down_since,
                         struct sg_error *reterr) {
    PGconn *control = sg_admin_session_engine_runs(session, reterr) ? sg_admin_session_control(session, reterr) : NULL;
    enum sg_wait wait =
        control ? sg_migration_wait_check(control, command->migration, command->state, reterr) : SG_WAIT_FAILED;
    bool is_down = wait == SG_WAIT_FAILED && (!control || sg_db_is_lost(control));
    if (!is_down) {
        *down_since = 0;
        return wait;
    }
    if (!*down_since)
        *down_since = now_ms();
    return now_ms() - *down_since > OUTAGE_MAX_MS ? SG_WAIT_FAILED : SG_WAIT_NOT_YET;
}

bool sg_admin_session_wait(struct sg_admin_session *session, const struct sg_command *command,
                           struct sg_error *reterr) {
    int64_t until = command->timeout_seconds < 0 ? INT64_MAX : now_ms() + (int64_t)(command->timeout_seconds * 1000);
    int64_t down_since = 0;
    atomic_store(&session->cancel_wanted, false);
    if (sg_wire_flush(&session->wire) == SG_WIRE_GONE) /* what earlier commands of the same message answered */
        return false;
    for (;;) {
        enum sg_wait wait = look(session, command, &down_since, reterr);
        if (wait != SG_WAIT_NOT_YET)
            return wait == SG_WAIT_DONE;
        int64_t left = until - now_ms();
        if (left <= 0)
            return time_is_up(session, command, reterr);
        int64_t pause = down_since ? RETRY_MS : LOOK_EVERY_MS;
        enum sg_wire_event event = sg_wire_idle(&session->wire, (int)(left < pause ? left : pause));
        if (event == SG_WIRE_GONE || !sg_admin_session_goes_on(session) ||
            atomic_exchange(&session->cancel_wanted, false)) {
            sg_error_set(reterr, SG_SQLSTATE_QUERY_CANCELED, "canceling WAIT due to user request");
            return false;
        }
    }
}

void sg_admin_session_settle(struct sg_admin_session *session) {
    struct sg_error ignored;
    bool is_served = false;
    const struct timespec pause = {.tv_nsec = SETTLE_LOOK_MS * 1000000L};
    for (int64_t until = now_ms() + SETTLE_MAX_MS; !is_served && now_ms() < until;) {
        PGconn *control = sg_admin_session_control(session, &ignored);
        if (!control || !sg_migration_is_served(control, &is_served, &ignored))
            return;
        if (!is_served)
            nanosleep(&pause, NULL);
    }
}
