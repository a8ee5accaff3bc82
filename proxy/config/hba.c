#include "proxy/config/hba.h"

#include <string.h>

static void object(struct sg_config_faults *faults, const struct sg_hba_place *place, const char *why) {
    if (place->line > 0)
        sg_config_faults_add(faults, place->file, place->line, "%s", why);
}

static bool has_login_of_its_own(const struct sg_config *config) {
    for (size_t i = 0; i < config->databases_len; i++)
        if (config->databases[i].user[0] || config->databases[i].password[0])
            return true;
    return false;
}

/* A line that would let nobody in, whoever he is, is not what its author means. */
static void check_needs(const struct sg_config *config, const struct sg_hba_needs *needs,
                        struct sg_config_faults *faults) {
    if (!config->auth_file[0] && !config->auth_user[0])
        object(faults, &needs->secret, "the method needs secrets: give auth_file or auth_user");
    if (!config->client_tls_ca_file[0] && strcmp(config->client_tls_sslmode, "disable") != 0)
        object(faults, &needs->certificate, "client certificates are asked for only with client_tls_ca_file");
    if (has_login_of_its_own(config))
        object(faults, &needs->passthrough,
               "passthrough is the client's own login, and an entry of [databases] gives another: user= or password=");
    if (!config->auth_user[0])
        object(faults, &needs->roles, "groups are looked up on the server: give auth_user");
}

struct sg_hba *sg_config_hba(const struct sg_config *config, struct sg_config_faults *faults) {
    if (strcmp(config->auth_type, "hba") != 0)
        return NULL;
    size_t before = faults->len;
    struct sg_hba *hba = sg_hba_read(config->auth_hba_file, config->auth_ident_file, &sg_hba_disk, faults);
    if (hba)
        check_needs(config, sg_hba_needs(hba), faults);
    if (faults->len == before)
        return hba;
    sg_config_faults_sort(faults, before);
    sg_hba_unref(hba);
    return NULL;
}
