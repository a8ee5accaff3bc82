/* SHOW POOLS, USERS, DATABASES. segue pools nothing: what PgBouncer calls a pool is a database and a user that have
 * met. */
#include "proxy/admin/show.h"

#include <string.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

bool sg_show_pools(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"database",
                                        "user",
                                        "cl_active",
                                        "cl_waiting",
                                        "cl_active_cancel_req",
                                        "cl_waiting_cancel_req",
                                        "sv_active",
                                        "sv_active_cancel",
                                        "sv_being_canceled",
                                        "sv_idle",
                                        "sv_used",
                                        "sv_tested",
                                        "sv_login",
                                        "maxwait",
                                        "maxwait_us",
                                        "pool_mode",
                                        "load_balance_hosts"};
    struct sg_findings findings;
    if (!sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    sg_result_columns(result, names, LEN(names));
    result->kinds = "ssnnnnnnnnnnnnnss";
    for (size_t i = 0; i < findings.tallies.n; i++) {
        const struct sg_tally_row *row = &findings.tallies.v[i];
        const struct sg_tally_here *here = &row->here;
        sg_result_row(result,
                      (const char *const[]){
                          row->name.database, row->name.user, sg_show_number(result, here->clients_active),
                          sg_show_number(result, here->clients_waiting), "0", "0",
                          sg_show_number(result, here->servers_active), "0", "0", "0", "0", "0",
                          sg_show_number(result, here->servers_login), sg_show_number(result, here->max_wait_ms / 1000),
                          sg_show_number(result, here->max_wait_ms % 1000 * 1000), "session", NULL});
    }
    sg_findings_free(&findings);
    return true;
}

/* ---- Users ---- */

/* Rows of one user follow each other then. */
static void by_user(struct sg_tally_rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        memset(rows->v[i].name.database, 0, sizeof(rows->v[i].name.database));
    sg_tally_rows_settle(rows);
}

static int64_t most_of(const struct sg_config *config, const char *user) {
    for (size_t i = 0; i < config->users_len; i++)
        if (strcmp(config->users[i].name, user) == 0 && config->users[i].max_user_connections >= 0)
            return config->users[i].max_user_connections;
    return config->max_user_connections;
}

bool sg_show_users(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"name",
                                        "pool_size",
                                        "reserve_pool_size",
                                        "pool_mode",
                                        "max_user_connections",
                                        "current_connections",
                                        "max_user_client_connections",
                                        "current_client_connections"};
    struct sg_findings findings;
    if (!sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    by_user(&findings.tallies);
    sg_result_columns(result, names, LEN(names));
    result->kinds = "ssssnnnn";
    pthread_mutex_lock(&console->lock);
    for (size_t i = 0; i < findings.tallies.n; i++) {
        const struct sg_tally_row *row = &findings.tallies.v[i];
        const char *most = sg_show_number(result, (uint64_t)most_of(console->config, row->name.user));
        sg_result_row(result, (const char *const[]){
                                  row->name.user, "", "", NULL, most,
                                  sg_show_number(result, row->here.servers_active + row->here.servers_login), most,
                                  sg_show_number(result, row->here.clients_active + row->here.clients_waiting)});
    }
    pthread_mutex_unlock(&console->lock);
    sg_findings_free(&findings);
    return true;
}

/* ---- Databases ---- */

/* What of an entry is shown. */
struct target {
    const char *host, *port, *database, *user, *balance;
    int64_t most; /* sessions; 0: no limit */
};

static const char *given(const char *text) {
    return text[0] ? text : NULL;
}

static struct target target_of(const struct sg_config *config, const struct sg_config_database *entry) {
    int64_t own = entry->max_db_connections;
    return (struct target){.most = own >= 0 ? own : config->max_db_connections,
                           .host = given(entry->host) ? entry->host : given(entry->hostaddr),
                           .port = given(entry->port),
                           .database = given(entry->dbname),
                           .user = given(entry->user),
                           .balance = entry->load_balance_hosts};
}

/* Under the console's lock. */
static void add_database(struct sg_console *console, struct sg_result *result, const char *name,
                         const struct target *target, const struct sg_tally_here *here) {
    bool is_paused = console->server && sg_server_is_paused(console->server, name);
    sg_result_row(result,
                  (const char *const[]){name, target->host, target->port, target->database, target->user, "0", "0", "0",
                                        "0", "session", target->balance, sg_show_number(result, (uint64_t)target->most),
                                        sg_show_number(result, here->servers_active + here->servers_login),
                                        sg_show_number(result, (uint64_t)target->most),
                                        sg_show_number(result, here->clients_active + here->clients_waiting),
                                        is_paused ? "1" : "0", "0", "0"});
}

/* An entry, and, as `*` stands for many, those that clients have asked for. */
static void add_entry(struct sg_console *console, struct sg_result *result, const struct sg_config_database *entry,
                      const struct sg_tally_rows *tallies) {
    static const struct sg_tally_here nothing;
    struct target target = target_of(console->config, entry);
    bool is_any = strcmp(entry->name, "*") == 0;
    const struct sg_tally_here *here = &nothing;
    for (size_t i = 0; i < tallies->n; i++)
        if (strcmp(tallies->v[i].name.database, entry->name) == 0)
            here = &tallies->v[i].here;
    add_database(console, result, entry->name, &target, here);
    for (size_t i = 0; is_any && i < tallies->n; i++) {
        if (sg_config_database_find(console->config, tallies->v[i].name.database) != entry)
            continue; /* it has an entry of its own */
        struct target own = target;
        own.database = target.database ? target.database : tallies->v[i].name.database;
        add_database(console, result, tallies->v[i].name.database, &own, &tallies->v[i].here);
    }
}

bool sg_show_databases(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    /* reserve_pool: as reserve_pool_size was called before PgBouncer 1.24. */
    static const char *const names[] = {"name",
                                        "host",
                                        "port",
                                        "database",
                                        "force_user",
                                        "pool_size",
                                        "min_pool_size",
                                        "reserve_pool_size",
                                        "server_lifetime",
                                        "pool_mode",
                                        "load_balance_hosts",
                                        "max_connections",
                                        "current_connections",
                                        "max_client_connections",
                                        "current_client_connections",
                                        "paused",
                                        "disabled",
                                        "reserve_pool"};
    struct sg_findings findings;
    if (!sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    sg_tally_rows_by_database(&findings.tallies);
    sg_result_columns(result, names, LEN(names));
    result->kinds = "ssnssnnnnssnnnnnnn";
    pthread_mutex_lock(&console->lock);
    for (size_t i = 0; i < console->config->databases_len; i++)
        add_entry(console, result, &console->config->databases[i], &findings.tallies);
    pthread_mutex_unlock(&console->lock);
    sg_findings_free(&findings);
    return true;
}
