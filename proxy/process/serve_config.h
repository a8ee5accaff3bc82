/* serve_config — from what the operator wrote to what the parts of the process are told, at the start and by a reload.
 */
#ifndef SEGUE_SERVE_CONFIG_H
#define SEGUE_SERVE_CONFIG_H

#include "proxy/config/config.h"
#include "proxy/net/server.h"

/* Fills in what comes from the config; the caller sets control_database, hub and console. Reads certificates. Texts are
 * the config's. known: the databases so far, whose hosts are remembered; NULL: none. False: every fault that
 * there is in certificates, secrets and rules, and nothing is held. */
bool sg_serve_settings(const struct sg_config *config, const struct sg_databases *known,
                       struct sg_server_config *server, struct sg_config_faults *faults);
/* Each on a line of its own. before: "reload: ", or "". */
void sg_serve_log_faults(const char *before, const struct sg_config_faults *faults);
/* Gives back what sg_serve_settings took. */
void sg_serve_settings_free(struct sg_server_config *server);

bool sg_serve_open_log(const struct sg_config *config, struct sg_error *reterr);

#endif
