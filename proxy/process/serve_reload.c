/* HUP and RELOAD: the configuration is read again, and what may change is taken up. */
#include "proxy/admin/console.h"
#include "proxy/log.h"
#include "proxy/net/server.h"
#include "proxy/process/serve_app.h"
#include "proxy/process/serve_config.h"
#include "proxy/process/systemd.h"

#include <sys/resource.h>

/* Two descriptors a session, one for each client that is still to say who it is (net/strangers.h), some for the
 * program. */
void sg_app_raise_descriptor_limit(const struct sg_config *config) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->max_client_conn * 3 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        sg_log(SG_LOG_WARN, "max_client_conn = %lld needs %llu file descriptors, the system allows %llu",
               (long long)config->max_client_conn, (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
}

static void tell_changes(const struct sg_config *before, const struct sg_config *now) {
    for (size_t i = 0; i < sg_config_keys(); i++)
        if (!sg_config_same(before, now, i) && sg_config_key_change(i) != SG_CHANGE_RELOAD)
            sg_log(SG_LOG_WARN, "reload: %s has changed, which takes effect at the next start", sg_config_key_name(i));
}

/* NULL: the faults are told. */
static struct sg_config *read_anew(struct sg_app *app, struct sg_server_config *ret_server) {
    struct sg_config_faults faults = {0};
    struct sg_config *config = app->options.reload(app->options.reload_arg, &faults);
    bool good = config && sg_serve_settings(config, sg_server_databases(app->server), ret_server, &faults);
    struct sg_error err;
    sg_serve_log_faults("reload: ", &faults);
    sg_config_faults_free(&faults);
    if (good && !sg_serve_open_log(config, &err)) {
        sg_log_error(SG_LOG_ERROR, &err, "reload: logfile");
        sg_serve_settings_free(ret_server);
        good = false;
    }
    if (!good) {
        sg_config_free(config);
        config = NULL;
    }
    return config;
}

static void reload(struct sg_app *app) {
    struct sg_server_config server = {0};
    struct sg_config *config = read_anew(app, &server);
    if (!config) {
        sg_log(SG_LOG_ERROR, "reload: the configuration stays as it was");
        return;
    }
    sg_app_raise_descriptor_limit(config);
    sg_server_reconfigure(app->server, &server);
    sg_serve_settings_free(&server);
    tell_changes(app->config, config);
    /* Only what a reload can change is taken over, so that SHOW CONFIG keeps showing what is in force. */
    for (size_t i = 0; i < sg_config_keys(); i++)
        if (sg_config_key_change(i) != SG_CHANGE_RELOAD)
            sg_config_keep(config, app->config, i);
    if (app->console)
        sg_console_set_config(app->console, config);
    sg_config_free(app->config);
    app->config = config;
    sg_log(SG_LOG_INFO, "reloaded %s", config->file ? config->file : "(no file)");
}

void sg_app_reload(struct sg_app *app) {
    bool is_up = app->life == SG_APP_UP;
    if (is_up)
        sg_systemd_notify("RELOADING=1\nMONOTONIC_USEC=%llu", sg_systemd_now_usec());
    reload(app);
    if (is_up)
        sg_systemd_notify("READY=1");
}
