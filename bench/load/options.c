#include "bench/load/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: segue-load --old CONNINFO --new CONNINFO [OPTION]...\n"
    "Load from two versions of one application, one that knows only the old name of a column and one that knows only\n"
    "the new one. Every write is read back under both names. Exit status 1 when a statement failed or a value was "
    "wrong.\n"
    "\n"
    "  --old CONNINFO            where the old version connects\n"
    "  --new CONNINFO            where the new version connects\n"
    "  --direct CONNINFO         the database itself: rows are compared there, and --init fills it\n"
    "  --console CONNINFO        segue's console (default: --old with dbname=segue)\n"
    "  --clients N               of both versions together, an even number (default 16)\n"
    "  --seconds N               run so long (default 10)\n"
    "  --through-migration NAME  run through a whole migration, which is created if it does not exist\n"
    "  --with 'KEY = VALUE,...'  options of the migration, as in CREATE MIGRATION ... WITH (...)\n"
    "  --soak N                  seconds of each resting stretch of the migration (default 10)\n"
    "  --timeout N               seconds to wait for a step of the migration (default 600)\n"
    "  --mix KIND=WEIGHT,...     read insert update upsert delete transaction hot; kinds left out weigh nothing\n"
    "                            (default read=40,insert=15,update=20,upsert=6,delete=4,transaction=10,hot=5)\n"
    "  --rate N                  at most N statements a second in all\n"
    "  --reconnect               a lost connection is no error: connect again, find out what became of the statement\n"
    "  --init                    make the table and fill it first (drops what is there; needs --direct)\n"
    "  --rows N                  rows of --init (default 1000000)\n"
    "  --table NAME, --schema-name NAME, --old-name NAME, --new-name NAME\n"
    "                            (default users, public, nickname, username)\n"
    "  --json FILE, --html FILE  write a report\n"
    "  --help, --version\n";

/* One line an option: where its value goes, and for numbers from what to what. */
enum kind { KIND_TEXT, KIND_INT, KIND_LONG, KIND_FLAG, KIND_MIX, KIND_HELP, KIND_VERSION };

#define AT(field) offsetof(struct sg_options, field)

static const struct {
    const char *name;
    enum kind kind;
    size_t at;
    long long min, max;
} table[] = {
    {"old", KIND_TEXT, AT(app_conninfo[SG_APP_OLD]), 0, 0},
    {"new", KIND_TEXT, AT(app_conninfo[SG_APP_NEW]), 0, 0},
    {"direct", KIND_TEXT, AT(direct_conninfo), 0, 0},
    {"console", KIND_TEXT, AT(console_conninfo), 0, 0},
    {"clients", KIND_INT, AT(clients), 2, 1000},
    {"seconds", KIND_INT, AT(seconds), 1, 86400},
    {"through-migration", KIND_TEXT, AT(migration), 0, 0},
    {"with", KIND_TEXT, AT(migration_with), 0, 0},
    {"soak", KIND_INT, AT(soak_s), 1, 3600},
    {"timeout", KIND_INT, AT(timeout_s), 1, 86400},
    {"mix", KIND_MIX, AT(mix), 0, 0},
    {"rate", KIND_LONG, AT(rate), 1, 10000000},
    {"reconnect", KIND_FLAG, AT(reconnect), 0, 0},
    {"init", KIND_FLAG, AT(init), 0, 0},
    {"rows", KIND_LONG, AT(rows), 1000, 1000000000},
    {"table", KIND_TEXT, AT(names.table), 0, 0},
    {"schema-name", KIND_TEXT, AT(names.schema), 0, 0},
    {"old-name", KIND_TEXT, AT(names.old_name), 0, 0},
    {"new-name", KIND_TEXT, AT(names.new_name), 0, 0},
    {"json", KIND_TEXT, AT(json_path), 0, 0},
    {"html", KIND_TEXT, AT(html_path), 0, 0},
    {"help", KIND_HELP, 0, 0, 0},
    {"version", KIND_VERSION, 0, 0, 0},
};

#define OPTIONS (sizeof(table) / sizeof(table[0]))

static bool parse_number(const char *name, const char *text, long long min, long long max, long long *ret_number) {
    char *end;
    long long number = strtoll(text, &end, 10);
    if (!*text || *end || number < min || number > max) {
        fprintf(stderr, "segue-load: --%s must be a number from %lld to %lld, not \"%s\"\n", name, min, max, text);
        return false;
    }
    *ret_number = number;
    return true;
}

static bool parse_mix(const char *text, struct sg_mix *ret_mix) {
    struct sg_mix mix = {0};
    unsigned total = 0;
    while (*text) {
        size_t len = strcspn(text, "=");
        int work = 0;
        while (work < SG_WORKS && (strlen(sg_work_name(work)) != len || strncmp(text, sg_work_name(work), len) != 0))
            work++;
        char *end = NULL;
        unsigned long weight = text[len] ? strtoul(text + len + 1, &end, 10) : 0;
        if (work == SG_WORKS || !end || end == text + len + 1 || (*end && *end != ',') || weight > 1000) {
            fprintf(stderr, "segue-load: --mix: not KIND=WEIGHT: \"%s\"\n", text);
            return false;
        }
        mix.weight[work] = (unsigned)weight;
        total += (unsigned)weight;
        text = *end ? end + 1 : end;
    }
    if (total == 0) {
        fprintf(stderr, "segue-load: --mix: nothing weighs anything\n");
        return false;
    }
    *ret_mix = mix;
    return true;
}

static bool set_option(struct sg_options *options, size_t i, const char *value) {
    char *field = (char *)options + table[i].at;
    long long number;
    switch (table[i].kind) {
    case KIND_TEXT:
        *(const char **)field = value;
        return true;
    case KIND_FLAG:
        *(bool *)field = true;
        return true;
    case KIND_MIX:
        return parse_mix(value, (struct sg_mix *)field);
    default:
        if (!parse_number(table[i].name, value, table[i].min, table[i].max, &number))
            return false;
        if (table[i].kind == KIND_LONG)
            *(long long *)field = number;
        else
            *(int *)field = (int)number;
        return true;
    }
}

static const char *find_fault(const struct sg_options *options) {
    if (!options->app_conninfo[SG_APP_OLD] || !options->app_conninfo[SG_APP_NEW])
        return "--old and --new are needed";
    if (options->init && !options->direct_conninfo)
        return "--init needs --direct";
    if (options->clients % 2 != 0)
        return "--clients must be even: as many of the new version as of the old";
    return NULL;
}

int sg_options_parse(int argc, char **argv, struct sg_options *ret_options) {
    struct sg_options options = {
        .names = {"public", "users", "nickname", "username"},
        .mix = {{40, 15, 20, 6, 4, 10, 5}},
        .clients = 16,
        .seconds = 10,
        .soak_s = 10,
        .timeout_s = 600,
        .rows = 1000000,
    };
    struct option long_options[OPTIONS + 1] = {0};
    for (size_t i = 0; i < OPTIONS; i++) {
        bool bare = table[i].kind == KIND_FLAG || table[i].kind == KIND_HELP || table[i].kind == KIND_VERSION;
        long_options[i] = (struct option){table[i].name, bare ? no_argument : required_argument, NULL, 0};
    }
    int id, at = 0;
    while ((id = getopt_long(argc, argv, "", long_options, &at)) != -1) {
        if (id == 0 && (table[at].kind == KIND_HELP || table[at].kind == KIND_VERSION)) {
            fputs(table[at].kind == KIND_HELP ? usage : "segue-load " SEGUE_VERSION "\n", stdout);
            return 0;
        }
        if (id != 0 || !set_option(&options, (size_t)at, optarg))
            return 2;
    }
    const char *fault = optind < argc ? "it takes no arguments besides options" : find_fault(&options);
    if (fault) {
        fprintf(stderr, "segue-load: %s (--help shows all)\n", fault);
        return 2;
    }
    *ret_options = options;
    return -1;
}
