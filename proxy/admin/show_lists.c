/* SHOW LISTS, MEM, STATE: how much there is of everything. */
#include "proxy/admin/show.h"

#include "proxy/net/session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Lists ---- */

static void add_count(struct sg_result *result, const char *name, uint64_t count) {
    sg_result_row(result, (const char *const[]){name, sg_show_number(result, count)});
}

static size_t count_users(struct sg_tally_rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        memset(rows->v[i].name.database, 0, sizeof(rows->v[i].name.database));
    sg_tally_rows_settle(rows);
    return rows->n;
}

static void count_sessions(struct sg_result *result, const struct sg_session_rows *rows) {
    uint64_t clients = 0, logins = 0, servers = 0;
    for (size_t i = 0; i < rows->n; i++) {
        logins += rows->v[i].client_at == SG_CLIENT_LOGIN;
        clients += rows->v[i].client_at != SG_CLIENT_GONE;
        servers += rows->v[i].server_at != SG_SERVER_NONE;
    }
    add_count(result, "free_clients", 0);
    add_count(result, "used_clients", clients);
    add_count(result, "login_clients", logins);
    add_count(result, "free_servers", 0);
    add_count(result, "used_servers", servers);
}

bool sg_show_lists(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"list", "items"};
    struct sg_findings tallies, sessions;
    if (!sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &tallies, reterr))
        return false;
    if (!sg_show_survey(console, SG_ASK_SESSIONS, SG_JOURNAL_REFUSED, &sessions, reterr)) {
        sg_findings_free(&tallies);
        return false;
    }
    pthread_mutex_lock(&console->lock);
    uint64_t databases = console->config->databases_len, consoles = console->sessions_len;
    pthread_mutex_unlock(&console->lock);
    uint64_t pools = tallies.tallies.n;
    sg_result_columns(result, names, 2);
    result->kinds = "sn";
    add_count(result, "databases", databases);
    add_count(result, "users", count_users(&tallies.tallies));
    add_count(result, "peers", 0);
    add_count(result, "pools", pools);
    add_count(result, "peer_pools", 0);
    count_sessions(result, &sessions.sessions);
    /* Names are looked up by the system's resolver, and not kept. */
    add_count(result, "dns_names", 0);
    add_count(result, "dns_zones", 0);
    add_count(result, "dns_queries", 0);
    add_count(result, "dns_pending", 0);
    add_count(result, "console_sessions", consoles);
    add_count(result, "workers", (uint64_t)sessions.asked);
    sg_findings_free(&tallies);
    sg_findings_free(&sessions);
    return true;
}

/* ---- Memory ---- */

/* Of things that differ in size, size is 1 and the rest in bytes. */
static void add_memory(struct sg_result *result, const char *name, uint64_t size, uint64_t used, uint64_t unused) {
    sg_result_row(result, (const char *const[]){name, sg_show_number(result, size), sg_show_number(result, used),
                                                sg_show_number(result, unused),
                                                sg_show_number(result, size * (used + unused))});
}

/* Of the whole process, as the system counts it; 0: it does not say. */
static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%*s %llu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool sg_show_mem(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"name", "size", "used", "free", "memtotal"};
    struct sg_findings findings;
    struct sg_server_stats stats;
    uint64_t queued = 0;
    if (!sg_show_server_stats(console, &stats, reterr) ||
        !sg_show_survey(console, SG_ASK_SESSIONS, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    for (size_t i = 0; i < findings.sessions.n; i++) {
        const struct sg_session_row *row = &findings.sessions.v[i];
        queued += row->unread_bytes + row->to_client_bytes + row->to_server_bytes;
    }
    pthread_mutex_lock(&console->lock);
    uint64_t cache = (uint64_t)console->config->plan_cache_bytes * (uint64_t)findings.asked;
    pthread_mutex_unlock(&console->lock);
    sg_result_columns(result, names, 5);
    result->kinds = "snnnn";
    add_memory(result, "session", sizeof(struct sg_session), findings.sessions.n, 0);
    add_memory(result, "worker", sizeof(struct sg_worker), (uint64_t)findings.asked, 0);
    add_memory(result, "queued", 1, queued, 0);
    add_memory(result, "prepared_text", 1, stats.prepared_bytes, 0);
    add_memory(result, "plan_cache", 1, stats.cache_bytes, cache > stats.cache_bytes ? cache - stats.cache_bytes : 0);
    add_memory(result, "resident", 1, resident_bytes(), 0);
    sg_findings_free(&findings);
    return true;
}

/* ---- State ---- */

bool sg_show_state(struct sg_console *console, struct sg_result *result, struct sg_error *reterr) {
    static const char *const names[] = {"key", "value"};
    bool is_paused = sg_show_is_paused(console, NULL);
    sg_result_columns(result, names, 2);
    sg_result_row(result, (const char *const[]){"active", is_paused ? "no" : "yes"});
    sg_result_row(result, (const char *const[]){"paused", is_paused ? "yes" : "no"});
    sg_result_row(result, (const char *const[]){"suspended", "no"});
    return true;
}
