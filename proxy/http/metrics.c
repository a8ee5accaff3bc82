#include "proxy/http/metrics.h"

#include "proxy/admin/show.h"
#include "proxy/http/asking.h"
#include "proxy/http/health.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define C           SG_METRIC_COUNTER
#define G           SG_METRIC_GAUGE
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- The process ---- */

static double open_descriptors(void) {
    double count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the directory itself */
}

static double resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*s %llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Of the process, in seconds since 1970: what it has run is the difference of two clocks. */
static double start_time(void) {
    unsigned long long ticks = 0;
    struct timespec now, boot;
    FILE *file = fopen("/proc/self/stat", "re");
    /* The second field, the command in parentheses, is "segue": without blanks. */
    if (file && fscanf(file, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                       &ticks) != 1)
        ticks = 0;
    if (file)
        fclose(file);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    double booted = (double)(now.tv_sec - boot.tv_sec) + (double)(now.tv_nsec - boot.tv_nsec) / 1e9;
    return booted + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void process(struct sg_exposition *to) {
    struct rusage usage;
    struct rlimit limit = {0};
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    sg_expose(to, "segue_build_info", G, "Constant 1; the labels say what is running.");
    sg_expose_sample(to, LABELS("version", SEGUE_VERSION, "compiler", __VERSION__), 1);
    sg_expose_one(to, "process_start_time_seconds", G, "When the process started, in seconds since 1970.",
                  start_time());
    sg_expose_one(to, "process_cpu_seconds_total", C, "Processor time, of user and system.",
                  (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    sg_expose_one(to, "process_resident_memory_bytes", G, "Memory that is resident.", resident_bytes());
    sg_expose_one(to, "process_open_fds", G, "Open file descriptors.", open_descriptors());
    sg_expose_one(to, "process_max_fds", G, "How many there may be.", (double)limit.rlim_cur);
}

/* ---- Counters and sessions ---- */

static void counters(struct sg_exposition *to, const struct sg_server_stats *s) {
    sg_expose_one(to, "segue_logins_total", C, "Clients that have logged in.", (double)s->logins);
    sg_expose_one(to, "segue_refused_logins_total", C, "Clients that segue itself turned away.",
                  (double)s->refused_logins);
    sg_expose_one(to, "segue_cancels_total", C, "CancelRequests of clients.", (double)s->cancels);
    sg_expose_one(to, "segue_client_received_bytes_total", C, "Bytes read from clients, as on the wire.",
                  (double)s->client_bytes);
    sg_expose_one(to, "segue_server_received_bytes_total", C, "Bytes read from servers, as on the wire.",
                  (double)s->server_bytes);
    sg_expose_one(to, "segue_transactions_total", C, "ReadyForQuery messages that said idle, after the login.",
                  (double)s->transactions);
    sg_expose_one(to, "segue_queries_total", C, "Query and Execute messages.", (double)s->statements);
    sg_expose_one(to, "segue_rewritten_total", C, "Statements sent to the server otherwise than they came.",
                  (double)s->rewritten);
    sg_expose_one(to, "segue_refused_total", C, "Statements refused because their meaning could not be kept.",
                  (double)s->refused);
    sg_expose_one(to, "segue_reprepared_total", C, "Prepared statements prepared again because mappings changed.",
                  (double)s->reprepared);
    sg_expose_one(to, "segue_probes_total", C, "Questions to servers about what a name means.", (double)s->probes);
    sg_expose_one(to, "segue_prepared_statements", G, "Prepared statements remembered now.",
                  (double)s->prepared_statements);
    sg_expose_one(to, "segue_prepared_bytes", G, "Their texts, each counted once a worker.", (double)s->prepared_bytes);
    sg_expose(to, "segue_plan_lookups_total", C,
              "Texts looked at on the database with mappings, by how their plan was found.");
    sg_expose_sample(to, LABELS("result", "not_needed"), (double)s->prefilter_pass);
    sg_expose_sample(to, LABELS("result", "hit_text"), (double)s->cache_hit);
    sg_expose_sample(to, LABELS("result", "hit_shape"), (double)s->shape_hit);
    sg_expose_sample(to, LABELS("result", "miss"), (double)s->cold);
    sg_expose_one(to, "segue_plan_cache_evictions_total", C, "Plans that gave way to others.", (double)s->evicted);
    sg_expose_one(to, "segue_plan_cache_plans", G, "Plans in the caches of all workers.", (double)s->cache_plans);
    sg_expose_one(to, "segue_plan_cache_bytes", G, "Memory of those.", (double)s->cache_bytes);
}

static void sessions(struct sg_exposition *to, const struct sg_findings *findings) {
    static const char *const clients[] = {"login", "waiting", "active", "cancelling"};
    const struct sg_census *census = &findings->census;
    sg_expose(to, "segue_clients", G, "Clients, by state as in SHOW CLIENTS; login: before the start-up packet.");
    for (size_t i = 0; i < SG_CLIENT_GONE; i++)
        sg_expose_sample(to, LABELS("state", clients[i]), (double)census->clients[i]);
    sg_expose(to, "segue_servers", G, "Server connections, by state.");
    sg_expose_sample(to, LABELS("state", "login"), (double)census->servers[SG_SERVER_LOGIN]);
    sg_expose_sample(to, LABELS("state", "active"), (double)census->servers[SG_SERVER_ACTIVE]);
    sg_expose_one(to, "segue_clients_in_transaction", G, "Clients with a transaction open.",
                  (double)census->in_transaction);
    sg_expose_one(to, "segue_clients_held", G, "Clients held by PAUSE, or because the mappings are not known.",
                  (double)census->held);
    sg_expose(to, "segue_tls_connections", G, "Connections that are encrypted.");
    sg_expose_sample(to, LABELS("side", "client"), (double)census->client_tls);
    sg_expose_sample(to, LABELS("side", "server"), (double)census->server_tls);
    sg_expose_one(to, "segue_queued_bytes", G, "Bytes read and not yet written.", (double)census->queued_bytes);
    sg_expose_one(to, "segue_workers", G, "Worker threads.", (double)findings->asked);
    sg_expose_one(to, "segue_workers_answering", G, "Those that have answered for this page.",
                  (double)findings->answered);
}

/* ---- By database ---- */

struct sum {
    const char *name, *help;
    size_t at; /* of struct sg_tally_sums */
    double unit;
};

static void databases(struct sg_exposition *to, struct sg_tally_rows *rows) {
#define AT(sum) offsetof(struct sg_tally_sums, sum)
    static const struct sum sums[] = {
        {"segue_database_logins_total", "Logins, by database.", AT(server_assignment_count), 1},
        {"segue_database_transactions_total", "Transactions, by database.", AT(xact_count), 1},
        {"segue_database_queries_total", "Query and Execute messages, by database.", AT(query_count), 1},
        {"segue_database_received_bytes_total", "Bytes from clients, by database.", AT(client_bytes), 1},
        {"segue_database_sent_bytes_total", "Bytes from servers, by database.", AT(server_bytes), 1},
        {"segue_database_transaction_seconds_total", "Time in transactions, by database.", AT(xact_time), 1e-3},
        {"segue_database_query_seconds_total", "Time in which the server was asked, by database.", AT(query_time),
         1e-3},
        {"segue_database_wait_seconds_total", "Time from start-up packet to login, by database.", AT(wait_time), 1e-3},
    };
    sg_expose(to, "segue_pool_clients", G, "Clients, by database, user and state.");
    for (size_t i = 0; i < rows->n; i++) {
        const struct sg_tally_row *row = &rows->v[i];
        sg_expose_sample(to, LABELS("database", row->name.database, "user", row->name.user, "state", "active"),
                         (double)row->here.clients_active);
        sg_expose_sample(to, LABELS("database", row->name.database, "user", row->name.user, "state", "waiting"),
                         (double)row->here.clients_waiting);
    }
    sg_tally_rows_by_database(rows);
    for (size_t k = 0; k < sizeof(sums) / sizeof(sums[0]); k++) {
        sg_expose(to, sums[k].name, C, sums[k].help);
        for (size_t i = 0; i < rows->n; i++) {
            uint64_t sum = *(const uint64_t *)((const char *)&rows->v[i].sums + sums[k].at);
            sg_expose_sample(to, LABELS("database", rows->v[i].name.database), (double)sum * sums[k].unit);
        }
    }
}

/* ---- Times ---- */

static void waits(struct sg_exposition *to, const struct sg_server_waits *waits) {
    sg_expose(to, "segue_query_duration_seconds", SG_METRIC_HISTOGRAM,
              "From a message to its ReadyForQuery, of every session; resolution 1 ms.");
    sg_expose_histogram(to, NULL, &waits->all, 1e-3);
    sg_expose(
        to, "segue_phase_duration_seconds", SG_METRIC_HISTOGRAM,
        "The same in microseconds, on the control database, by the furthest phase of the mappings that were used.");
    for (size_t phase = 0; phase < SG_WAIT_PHASES; phase++)
        sg_expose_histogram(to, LABELS("phase", phase == 0 ? "none" : sg_phase_name((enum sg_phase)(phase - 1))),
                            &waits->phases[phase], 1e-6);
}

bool sg_metrics_write(const struct sg_http_config *config, FILE *out) {
    struct sg_asking asking;
    struct sg_server_stats stats;
    struct sg_findings findings;
    struct sg_health health;
    struct sg_error err;
    struct sg_console *console = config->console;
    if (!sg_show_server_stats(console, &stats, &err) ||
        !sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &findings, &err))
        return false;
    struct sg_server_waits times = {0};
    pthread_mutex_lock(&console->lock);
    if (console->server)
        sg_server_waits(console->server, &times);
    pthread_mutex_unlock(&console->lock);
    bool is_answered = findings.answered == findings.asked;
    sg_health_look(config, &is_answered, &health);
    sg_asking_begin(&asking, console);
    struct sg_exposition to = {.out = out, .arena = &asking.session.arena};
    process(&to);
    sessions(&to, &findings);
    counters(&to, &stats);
    databases(&to, &findings.tallies);
    waits(&to, &times);
    sg_metrics_control(&to, &asking, &health);
    sg_asking_end(&asking);
    sg_findings_free(&findings);
    return true;
}
