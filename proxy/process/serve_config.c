#include "proxy/process/serve_config.h"

#include "proxy/auth/auth.h"
#include "proxy/config/hba.h"
#include "proxy/log.h"
#include "proxy/net/databases.h"
#include "proxy/net/star_rules.h"
#include "proxy/tls.h"

#include <stdlib.h>
#include <string.h>

bool sg_serve_open_log(const struct sg_config *config, struct sg_error *reterr) {
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    struct sg_log_config log = {.file = config->logfile, .min_level = SG_LOG_INFO};
    log.format = strcmp(config->log_format, "json") == 0 ? SG_LOG_JSON : SG_LOG_TEXT;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(levels[i], config->log_level) == 0)
            log.min_level = (enum sg_log_level)i;
    return sg_log_open(&log, reterr);
}

/* ---- Encryption ---- */

/* *ret_tls NULL: clients are not offered any. */
/* line 0: the command line. */
static void add_fault(const struct sg_config *config, int line, const char *what, const struct sg_error *err,
                      struct sg_config_faults *faults) {
    sg_config_faults_add(faults, line > 0 ? config->file : NULL, line, "%s: %s", what, err->message);
}

/* Where the file speaks of it first. */
static int client_tls_line(const struct sg_config *config) {
    static const char *const keys[] = {"client_tls_cert_file", "client_tls_key_file", "client_tls_sslmode"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int line = config->key_lines[sg_config_key_find(keys[i])];
        if (line > 0)
            return line;
    }
    return 0;
}

static bool read_client_tls(const struct sg_config *config, struct sg_tls_context **ret_tls,
                            struct sg_config_faults *faults) {
    struct sg_tls_settings settings = {
        .key_file = config->client_tls_key_file,
        .cert_file = config->client_tls_cert_file,
        .ca_file = config->client_tls_ca_file,
        .protocols = config->client_tls_protocols,
        .ciphers = config->client_tls_ciphers,
    };
    sg_tls_mode_from_name(config->client_tls_sslmode, &settings.mode); /* the key's words are the modes' names */
    if (settings.mode == SG_TLS_DISABLE) {
        *ret_tls = NULL;
        return true;
    }
    struct sg_error err;
    *ret_tls = sg_tls_context_accept(&settings, &err);
    if (!*ret_tls)
        add_fault(config, client_tls_line(config), "client_tls_sslmode", &err, faults);
    return *ret_tls != NULL;
}

/* What an entry's connection string says comes before the keys. *ret_tls NULL: the way to its servers is not encrypted.
 */
static bool read_server_tls(const struct sg_config *config, const struct sg_config_database *entry,
                            struct sg_tls_context **ret_tls, struct sg_error *reterr) {
    struct sg_tls_settings settings = {
        .key_file = entry->sslkey[0] ? entry->sslkey : config->server_tls_key_file,
        .cert_file = entry->sslcert[0] ? entry->sslcert : config->server_tls_cert_file,
        .ca_file = entry->sslrootcert[0] ? entry->sslrootcert : config->server_tls_ca_file,
        .protocols = config->server_tls_protocols,
        .ciphers = config->server_tls_ciphers,
    };
    sg_tls_mode_from_name(entry->sslmode[0] ? entry->sslmode : config->server_tls_sslmode, &settings.mode);
    *ret_tls = settings.mode == SG_TLS_DISABLE ? NULL : sg_tls_context_connect(&settings, reterr);
    return *ret_tls || settings.mode == SG_TLS_DISABLE;
}

/* ---- [databases] ---- */

static struct sg_database_spec spec_of(const struct sg_config_database *entry) {
    struct sg_database_spec spec = {
        .name = entry->name,
        .host = entry->host,
        .hostaddr = entry->hostaddr,
        .port = entry->port,
        .dbname = entry->dbname,
        .user = entry->user,
        .password = entry->password,
        .options = entry->options,
        .client_encoding = entry->client_encoding,
        .datestyle = entry->datestyle,
        .timezone = entry->timezone,
        .connect_timeout_ms = (unsigned)entry->connect_timeout,
        .max_connections = entry->max_db_connections,
        .rewrite = entry->rewrite,
    };
    sg_wanted_from_name(entry->target_session_attrs, &spec.target); /* the keys' words are the names */
    sg_balance_from_name(entry->load_balance_hosts, &spec.balance);
    return spec;
}

/* NULL: *reterr. */
static struct sg_databases *read_databases(const struct sg_config *config, const struct sg_databases *known,
                                           struct sg_config_faults *faults) {
    struct sg_database_spec *specs = calloc(config->databases_len, sizeof(*specs));
    struct sg_databases *databases = NULL;
    size_t len = config->databases_len;
    bool is_good = true;
    if (!specs)
        abort();
    for (size_t i = 0; i < len; i++) {
        struct sg_error err;
        specs[i] = spec_of(&config->databases[i]);
        if (read_server_tls(config, &config->databases[i], &specs[i].tls, &err))
            continue;
        is_good = false;
        add_fault(config, config->databases[i].line, config->databases[i].name, &err, faults);
    }
    if (is_good)
        databases = sg_databases_new(specs, len, known);
    for (size_t i = 0; i < len; i++)
        sg_tls_context_unref(specs[i].tls);
    free(specs);
    return databases;
}

/* ---- The network side ---- */

/* [clients] in the network side's words. */
static struct sg_star_rule *star_rules(const struct sg_config *config) {
    struct sg_star_rule *rules = calloc(config->clients_len ? config->clients_len : 1, sizeof(*rules));
    if (!rules)
        abort();
    for (size_t i = 0; i < config->clients_len; i++) {
        const struct sg_config_client *client = &config->clients[i];
        rules[i] = (struct sg_star_rule){
            .user = client->key == SG_CLIENT_USER ? client->value : NULL,
            .database = client->key == SG_CLIENT_DATABASE ? client->value : NULL,
            .application_name = client->key == SG_CLIENT_APPLICATION_NAME ? client->value : NULL,
            .star = client->star,
        };
    }
    return rules;
}

/* [users] in the network side's words. */
static struct sg_user_limit *user_limits(const struct sg_config *config, size_t *ret_len) {
    struct sg_user_limit *limits = calloc(config->users_len ? config->users_len : 1, sizeof(*limits));
    if (!limits)
        abort();
    *ret_len = 0;
    for (size_t i = 0; i < config->users_len; i++)
        if (config->users[i].max_user_connections >= 0)
            limits[(*ret_len)++] = (struct sg_user_limit){config->users[i].name, config->users[i].max_user_connections};
    return limits;
}

/* The kernel counts in seconds; less than one is not "the system's". */
static int whole_seconds(int64_t ms) {
    return (int)((ms + 999) / 1000);
}

static void put_option(struct sg_arena *arena, const char **conninfo, const char *key, const char *value) {
    char *quoted = sg_arena_alloc(arena, 2 * strlen(value) + 1), *out = quoted;
    for (const char *c = value; *c; c++) {
        if (*c == '\'' || *c == '\\')
            *out++ = '\\';
        *out++ = *c;
    }
    *out = '\0';
    if (value[0])
        *conninfo = sg_arena_printf(arena, "%s %s='%s'", *conninfo, key, quoted);
}

static const char *either(const char *of_entry, const char *of_all) {
    return of_entry[0] ? of_entry : of_all;
}

/* An entry's way to its servers as libpq takes it; the rest of it libpq may not know. */
static struct sg_auth_way libpq_way(struct sg_arena *arena, const struct sg_config *config,
                                    const struct sg_config_database *entry) {
    const char *conninfo = "";
    put_option(arena, &conninfo, "host", entry->host);
    put_option(arena, &conninfo, "hostaddr", entry->hostaddr);
    put_option(arena, &conninfo, "port", entry->port);
    put_option(arena, &conninfo, "target_session_attrs", entry->target_session_attrs);
    put_option(arena, &conninfo, "sslmode", either(entry->sslmode, config->server_tls_sslmode));
    put_option(arena, &conninfo, "sslrootcert", either(entry->sslrootcert, config->server_tls_ca_file));
    put_option(arena, &conninfo, "sslcert", either(entry->sslcert, config->server_tls_cert_file));
    put_option(arena, &conninfo, "sslkey", either(entry->sslkey, config->server_tls_key_file));
    return (struct sg_auth_way){(char *)entry->name, (char *)conninfo, (char *)entry->dbname};
}

/* Whatever is wrong is logged; *reterr says that something is. */
static bool read_auth(const struct sg_config *config, const struct sg_auth **ret_auth,
                      struct sg_config_faults *faults) {
    struct sg_arena arena;
    sg_arena_init(&arena, 1024);
    struct sg_auth_way *ways = sg_arena_array(&arena, struct sg_auth_way, config->databases_len);
    for (size_t i = 0; i < config->databases_len; i++)
        ways[i] = libpq_way(&arena, config, &config->databases[i]);
    struct sg_auth_settings settings = {
        .method = SG_AUTH_PASSTHROUGH,
        .file = config->auth_file,
        .query = config->auth_query,
        .query_user = config->auth_user,
        .query_database = config->auth_dbname,
        .ways = ways,
        .ways_len = config->databases_len,
        .timeout_ms = (int)config->server_connect_timeout,
    };
    size_t before = faults->len;
    settings.hba = sg_config_hba(config, faults);
    sg_auth_method_from_name(config->auth_type, &settings.method); /* the key's words are the methods' names */
    const struct sg_auth *auth = sg_auth_new(&settings, faults);
    sg_arena_free(&arena);
    sg_hba_unref(settings.hba);
    if (faults->len > before) {
        sg_auth_unref(auth);
        return false;
    }
    *ret_auth = auth;
    return true;
}

bool sg_serve_settings(const struct sg_config *config, const struct sg_databases *known,
                       struct sg_server_config *server, struct sg_config_faults *faults) {
    /* All of them are read, so that all faults are told. */
    bool has_tls = read_client_tls(config, &server->client_tls, faults);
    bool has_auth = read_auth(config, &server->auth, faults);
    server->databases = read_databases(config, known, faults);
    if (!has_tls || !has_auth || !server->databases) {
        sg_serve_settings_free(server);
        *server = (struct sg_server_config){0};
        return false;
    }
    server->star = SG_STAR_BOTH;
    sg_star_from_name(config->star, &server->star); /* the key's words are the enum's names */
    server->listen_host = config->listen_addr;
    server->listen_port = (int)config->listen_port;
    server->unix_socket_dir = config->unix_socket_dir[0] ? config->unix_socket_dir : NULL;
    server->workers = (int)config->workers;
    server->max_client_conn = (int)config->max_client_conn;
    server->client_login_timeout_ms = (int)config->client_login_timeout;
    server->query_timeout_ms = (int)config->query_timeout;
    server->idle_transaction_timeout_ms = (int)config->idle_transaction_timeout;
    server->client_idle_timeout_ms = (int)config->client_idle_timeout;
    server->query_wait_timeout_ms = (int)config->query_wait_timeout;
    server->server_connect_timeout_ms = (int)config->server_connect_timeout;
    server->lease_ms = (int)config->lease_ms;
    server->server_login_retry_ms = (int)config->server_login_retry;
    server->max_packet_bytes = (uint32_t)config->max_packet_size;
    server->plan_cache_bytes = (size_t)config->plan_cache_bytes;
    server->session_statement_bytes = (size_t)config->session_statement_bytes;
    server->star_rules = star_rules(config);
    server->star_rules_len = config->clients_len;
    server->log_connections = config->log_connections;
    server->log_disconnections = config->log_disconnections;
    server->limits = (struct sg_limit_rules){.most_on_database = config->max_db_connections,
                                             .most_of_user = config->max_user_connections};
    server->limits.users = user_limits(config, &server->limits.users_len);
    server->sockets = (struct sg_socket_options){
        .keepalive = config->tcp_keepalive,
        .keepidle_s = whole_seconds(config->tcp_keepidle),
        .keepintvl_s = whole_seconds(config->tcp_keepintvl),
        .keepcnt = (int)config->tcp_keepcnt,
        .user_timeout_ms = (int)config->tcp_user_timeout,
        .buffer_bytes = (int)config->tcp_socket_buffer,
    };
    server->stats_period_ms = (int)config->stats_period;
    return true;
}

void sg_serve_log_faults(const char *before, const struct sg_config_faults *faults) {
    for (size_t i = 0; i < faults->len; i++) {
        const struct sg_config_fault *fault = &faults->list[i];
        if (fault->file && fault->line > 0)
            sg_log(SG_LOG_ERROR, "%s%s:%d: %s", before, fault->file, fault->line, fault->message);
        else
            sg_log(SG_LOG_ERROR, "%s%s: %s", before, fault->file ? fault->file : "command line", fault->message);
    }
}

void sg_serve_settings_free(struct sg_server_config *server) {
    sg_tls_context_unref(server->client_tls);
    sg_databases_unref(server->databases);
    sg_auth_unref(server->auth);
    free((void *)server->star_rules);
    free((void *)server->limits.users);
}
