#include "session_limits.h"

#include "databases.h"
#include "proxy/log.h"
#include "session_notes.h"

bool sg_session_limits_enter(struct sg_session *s) {
    const struct sg_limit_rules *rules = &s->worker->config->limits;
    const struct sg_span names[2] = {
        [SG_LIMIT_DATABASE] = sg_span_of(s->who->database), [SG_LIMIT_USER] = sg_span_of(s->who->user)};
    int64_t own = s->database->max_connections;
    const int64_t most[2] = {[SG_LIMIT_DATABASE] = own >= 0 ? own : rules->most_on_database,
                             [SG_LIMIT_USER] = sg_limit_of_user(rules, s->who->user)};
    enum sg_limit limit;
    if (s->place.counts[0] || sg_limits_enter(s->worker->shared->limits, names, most, &s->place, &limit)) {
        return true;
    }
    s->refused_by = limit == SG_LIMIT_USER ? SG_REFUSED_BY_USER : SG_REFUSED_BY_DATABASE;
    return false;
}

/* In the words of the server's own limits. */
void sg_session_limits_refuse(struct sg_session *s) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    struct sg_error err = {0};
    if (s->refused_by == SG_REFUSED_BY_USER) {
        sg_error_set(&err, SG_SQLSTATE_TOO_MANY_CONNECTIONS, "too many connections for role \"%s\"", s->who->user);
        sg_error_hint(&err, "max_user_connections in segue's configuration sets how many there may be.");
    } else {
        sg_error_set(&err, SG_SQLSTATE_TOO_MANY_CONNECTIONS, "too many connections for database \"%s\"",
                     s->who->database);
        sg_error_hint(&err, "max_db_connections in segue's configuration sets how many there may be.");
    }
    sg_log_limited(&limit, SG_LOG_WARN, "login of \"%s\" to \"%s\" refused: %s", s->who->user, s->who->database,
                   err.message);
    sg_count(&s->worker->counters.refused_logins, 1);
    sg_session_fatal(s, &err);
}
