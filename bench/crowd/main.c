/*
 * segue-crowd — a server that costs little, and thousands of clients that do. bench/memory runs both with segue in
 * between.
 */
#include "bench/crowd/client.h"
#include "bench/crowd/stub.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char usage[] = "usage: segue-crowd stub [--cert FILE --key FILE]\n"
                            "       segue-crowd sit|copy-in|copy-out|row|bind --port PORT [--clients N] [--bytes N]\n"
                            "                   [--tls] [--user NAME] [--database NAME]\n";

static const struct option names[] = {
    {"cert", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"port", required_argument, NULL, 'p'},
    {"clients", required_argument, NULL, 'n'},
    {"bytes", required_argument, NULL, 'b'},
    {"tls", no_argument, NULL, 't'},
    {"user", required_argument, NULL, 'u'},
    {"database", required_argument, NULL, 'd'},
    {NULL, 0, NULL, 0},
};

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct sg_crowd_options options = {.clients = 1, .bytes = 100000, .user = "app", .database = "shop"};
    const char *cert = NULL, *key = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'p':
            options.port = atoi(optarg);
            break;
        case 'n':
            options.clients = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            options.bytes = strtoull(optarg, NULL, 10);
            break;
        case 't':
            options.is_encrypted = true;
            break;
        case 'u':
            options.user = optarg;
            break;
        case 'd':
            options.database = optarg;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    options.task = optind == argc - 1 ? argv[optind] : "";
    /* Nothing of it outlives the script that started it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    raise_descriptor_limit();
    if (strcmp(options.task, "stub") == 0 && (cert == NULL) == (key == NULL)) {
        return sg_stub_serve(cert, key);
    }
    if (!sg_crowd_is_task(options.task) || options.port == 0) {
        fputs(usage, stderr);
        return 2;
    }
    return sg_crowd_run(&options);
}
