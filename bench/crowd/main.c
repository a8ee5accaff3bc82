/*
 * segue-crowd — a server that costs little, and thousands of clients that do: bench/memory puts segue between them. And
 * clients that send statements as fast as they are answered, for bench/compare.
 */
#include "bench/crowd/client.h"
#include "bench/crowd/drive.h"
#include "bench/crowd/stub.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: segue-crowd stub [--cert FILE --key FILE]\n"
    "       segue-crowd sit|copy-in|copy-out|row|bind --port PORT [--clients N] [--bytes N] [--tls]\n"
    "       segue-crowd simple|extended|prepared --port PORT [--clients N] [--seconds N] [--pid PID] [--tls]\n"
    "                   [--table NAME] [--column NAME] [--rows N]\n"
    "       clients also: [--user NAME] [--database NAME]\n";

static const struct option options[] = {
    {"cert", required_argument, NULL, 'c'},  {"key", required_argument, NULL, 'k'},
    {"port", required_argument, NULL, 'p'},  {"clients", required_argument, NULL, 'n'},
    {"bytes", required_argument, NULL, 'b'}, {"tls", no_argument, NULL, 't'},
    {"user", required_argument, NULL, 'u'},  {"database", required_argument, NULL, 'd'},
    {"table", required_argument, NULL, 'T'}, {"column", required_argument, NULL, 'C'},
    {"rows", required_argument, NULL, 'r'},  {"seconds", required_argument, NULL, 's'},
    {"pid", required_argument, NULL, 'P'},   {NULL, 0, NULL, 0},
};

struct command_line {
    const char *cert, *key;
    struct sg_crowd_options sit;
    struct sg_drive_options drive;
};

static bool read_option(struct command_line *line, int c) {
    unsigned long long number = optarg ? strtoull(optarg, NULL, 10) : 0;
    switch (c) {
    case 'c':
        line->cert = optarg;
        break;
    case 'k':
        line->key = optarg;
        break;
    case 'p':
        line->sit.place.port = (int)number;
        break;
    case 'n':
        line->sit.clients = line->drive.clients = (unsigned)number;
        break;
    case 'b':
        line->sit.bytes = number;
        break;
    case 't':
        line->sit.place.is_encrypted = true;
        break;
    case 'u':
        line->sit.place.user = optarg;
        break;
    case 'd':
        line->sit.place.database = optarg;
        break;
    case 'T':
        line->drive.table = optarg;
        break;
    case 'C':
        line->drive.column = optarg;
        break;
    case 'r':
        line->drive.rows = (unsigned)number;
        break;
    case 's':
        line->drive.seconds = strtod(optarg, NULL);
        break;
    case 'P':
        line->drive.pid = (int)number;
        break;
    default:
        return false;
    }
    return true;
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run_clients(struct command_line *line) {
    struct sg_place *place = &line->sit.place;
    if (!sg_place_open(place)) {
        perror("segue-crowd");
        return 1;
    }
    if (sg_crowd_is_task(line->sit.task)) {
        return sg_crowd_run(&line->sit);
    }
    line->drive.place = *place;
    return sg_drive_run(&line->drive);
}

int main(int argc, char **argv) {
    struct command_line line = {
        .sit = {.place = {.user = "app", .database = "shop"}, .clients = 1, .bytes = 100000},
        .drive = {.clients = 1, .seconds = 1, .table = "members", .column = "nickname", .rows = 100000},
    };
    bool is_good = true;
    for (int c; is_good && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        is_good = read_option(&line, c);
    }
    const char *task = optind == argc - 1 ? argv[optind] : "";
    line.sit.task = task;
    /* Nothing of it outlives the script that started it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    raise_descriptor_limit();
    if (is_good && strcmp(task, "stub") == 0 && (line.cert == NULL) == (line.key == NULL)) {
        return sg_stub_serve(line.cert, line.key);
    }
    bool is_client = sg_crowd_is_task(task) || sg_drive_mode_from_name(task, &line.drive.mode);
    if (is_good && is_client && line.sit.place.port > 0 && line.sit.clients > 0 && line.drive.rows > 0) {
        return run_clients(&line);
    }
    fputs(usage, stderr);
    return 2;
}
