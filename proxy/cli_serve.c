/* segue serve: from the command line to a config; serve.c does the rest. */
#include "proxy/cli.h"
#include "proxy/config/config.h"
#include "proxy/process/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVERRIDES_MAX 128

struct command_line {
    const char *path; /* -c */
    struct sg_config_override overrides[OVERRIDES_MAX];
    size_t overrides_len;
    bool is_takeover;
    struct sg_arena arena;
};

static void print_help(void) {
    printf(
        "Usage: segue serve [OPTION]...\n\n"
        "Runs the proxy in the foreground. Prints `ready listen=HOST:PORT` on stderr when clients may connect.\n\n"
        "  -c, --config FILE        configuration file (docs/config.md); what follows overrides it\n"
        "      --listen HOST:PORT   where clients connect; 127.0.0.1:6432 by default, port 0 lets the system choose\n"
        "      --upstream CONNINFO  the PostgreSQL server: a libpq connection string. Its host and port are used;\n"
        "                           database, user and password are the client's own\n"
        "      --control CONNINFO   the database to be migrated, with the role that migrates it; without it segue is\n"
        "                           a plain proxy\n"
        "      --workers N          worker loops, a thread each; 0, the default, is one for each processor\n"
        "      --http HOST:PORT     metrics, health and JSON; :PORT is on the loopback\n"
        "      --set KEY=VALUE      any other key of section [segue]\n"
        "      --takeover           take the place of the segue that waits at handover_socket: its listening sockets,\n"
        "                           not its sessions; if there is none, start as ever\n"
        "  -h, --help               this text\n"
        "  -V, --version            version\n\n"
        "Signals: TERM ends sessions as they become idle, INT at once, HUP reads the configuration again,\n"
        "USR1 pauses all clients between two transactions, USR2 lets them go on.\n"
        "Exit status: 0 ended by a signal or the console, 1 could not start, 2 usage or configuration.\n");
}

static bool add(struct command_line *line, const char *option, const char *key, const char *value) {
    if (line->overrides_len == OVERRIDES_MAX) {
        fprintf(stderr, "segue serve: more than %d settings on the command line\n", OVERRIDES_MAX);
        return false;
    }
    line->overrides[line->overrides_len++] = (struct sg_config_override){key, value, option};
    return true;
}

static bool add_listen(struct command_line *line, const char *address) {
    const char *host, *port;
    if (!sg_config_split_address(&line->arena, address, &host, &port)) {
        fprintf(stderr, "segue serve: --listen: \"%s\" is not HOST:PORT\n", address);
        return false;
    }
    bool good = !host[0] || add(line, "--listen", "listen_addr", host);
    return good && (!port[0] || add(line, "--listen", "listen_port", port));
}

static bool add_set(struct command_line *line, const char *setting) {
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting) {
        fprintf(stderr, "segue serve: --set: \"%s\" is not KEY=VALUE\n", setting);
        return false;
    }
    return add(line, "--set", sg_arena_strndup(&line->arena, setting, (size_t)(equals - setting)), equals + 1);
}

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv, struct command_line *line) {
    enum { LISTEN = 256, UPSTREAM, CONTROL, WORKERS, HTTP, SET, TAKEOVER };
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"listen", required_argument, NULL, LISTEN},
                                            {"upstream", required_argument, NULL, UPSTREAM},
                                            {"control", required_argument, NULL, CONTROL},
                                            {"workers", required_argument, NULL, WORKERS},
                                            {"http", required_argument, NULL, HTTP},
                                            {"set", required_argument, NULL, SET},
                                            {"takeover", no_argument, NULL, TAKEOVER},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    static const struct {
        int c;
        const char *option, *key;
    } plain[] = {{UPSTREAM, "--upstream", SG_CONFIG_UPSTREAM},
                 {CONTROL, "--control", "control_conninfo"},
                 {WORKERS, "--workers", "workers"},
                 {HTTP, "--http", "http_listen"}};
    for (int c; (c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
        bool good = c != '?';
        if (c == 'h') {
            print_help();
            return SG_EXIT_OK;
        }
        if (c == 'V')
            return sg_cli_version();
        if (c == 'c')
            line->path = optarg;
        else if (c == LISTEN)
            good = add_listen(line, optarg);
        else if (c == TAKEOVER)
            line->is_takeover = true;
        else if (c == SET)
            good = add_set(line, optarg);
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
            if (c == plain[i].c)
                good = add(line, plain[i].option, plain[i].key, optarg);
        if (!good)
            return sg_cli_usage_hint("serve");
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "segue serve: unexpected argument \"%s\"\n", argv[optind]);
    return sg_cli_usage_hint("serve");
}

static struct sg_config *load(void *arg, struct sg_config_faults *faults) {
    const struct command_line *line = arg;
    return sg_config_load(line->path, line->overrides, line->overrides_len, faults);
}

int sg_cli_serve(int argc, char **argv) {
    struct command_line line = {.path = NULL};
    struct sg_config_faults faults = {0};
    sg_arena_init(&line.arena, 512);
    int status = read_options(argc, argv, &line);
    if (status < 0) {
        struct sg_config *config = load(&line, &faults);
        sg_config_faults_print(&faults, stderr);
        sg_config_faults_free(&faults);
        struct sg_serve_options options = {.reload = load, .reload_arg = &line, .is_takeover = line.is_takeover};
        status = config ? sg_serve(config, &options) : SG_EXIT_USAGE;
    }
    sg_arena_free(&line.arena);
    return status;
}
