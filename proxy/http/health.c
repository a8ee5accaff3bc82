#include "proxy/http/health.h"

#include "proxy/admin/show.h"
#include "proxy/net/hub.h"

const char *sg_check_name(enum sg_check check) {
    static const char *const names[SG_CHECKS] = {
        [SG_CHECK_WORKERS] = "workers",
        [SG_CHECK_LISTENING] = "listening",
        [SG_CHECK_CONTROL] = "control",
        [SG_CHECK_LEASE] = "lease",
    };
    return names[check];
}

static bool workers_answer(struct sg_console *console) {
    struct sg_findings findings;
    struct sg_error ignored;
    if (!sg_show_survey(console, SG_ASK_NOTHING, SG_JOURNAL_REFUSED, &findings, &ignored))
        return false;
    bool all = findings.answered == findings.asked;
    sg_findings_free(&findings);
    return all;
}

bool sg_health_engine(struct sg_console *console, struct sg_engine_status *ret_status) {
    pthread_mutex_lock(&console->lock);
    bool has_engine = console->engine != NULL;
    if (has_engine)
        sg_engine_status(console->engine, ret_status);
    pthread_mutex_unlock(&console->lock);
    return has_engine;
}

void sg_health_look(const struct sg_http_config *config, const bool *workers, struct sg_health *ret_health) {
    struct sg_console *console = config->console;
    struct sg_health health = {0};
    bool is_plain = console->control_conninfo[0] == '\0';
    health.has_engine = sg_health_engine(console, &health.engine);
    health.checks[SG_CHECK_WORKERS] = workers ? *workers : workers_answer(console);
    health.checks[SG_CHECK_LISTENING] = config->is_serving(config->arg);
    health.checks[SG_CHECK_CONTROL] = is_plain || health.engine.is_connected;
    health.checks[SG_CHECK_LEASE] =
        is_plain || (health.has_engine && health.engine.lease_left_ms > 0 && sg_hub_is_ready(console->hub));
    *ret_health = health;
}
