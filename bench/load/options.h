/* options — the command line of segue-load. Strings point into argv. */
#ifndef SEGUE_BENCH_OPTIONS_H
#define SEGUE_BENCH_OPTIONS_H

#include "bench/load/client.h"

#include <stdbool.h>

struct sg_options {
    const char *app_conninfo[SG_APPS];
    const char *direct_conninfo;  /* NULL: rows are not compared in the database itself */
    const char *console_conninfo; /* NULL: --old with dbname=segue */
    const char *migration;        /* --through-migration */
    const char *migration_with;   /* "batch_rows = 2000, ..." for CREATE MIGRATION ... WITH; NULL for none */
    const char *json_path, *html_path;
    struct sg_names names;
    struct sg_mix mix;
    int clients; /* of both versions together, even */
    int seconds; /* without a migration */
    int soak_s;  /* each resting stretch of a migration */
    int timeout_s;
    long long rows;
    long long rate; /* statements a second of all clients; 0: as fast as it goes */
    bool init, reconnect;
};

/* Returns -1 to go on, otherwise the exit status: 0 after --help or --version, 2 for bad usage (said on stderr). */
int sg_options_parse(int argc, char **argv, struct sg_options *ret_options);

#endif
