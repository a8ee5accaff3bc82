/* segue: one program, a subcommand for each job. */
#include "proxy/cli.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"serve", "run the proxy", sg_cli_serve},
    {"rewrite", "rewrite SQL statements offline and print them", sg_cli_rewrite},
    {"check", "validate a configuration file, all faults at once", sg_cli_check},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out) {
    fprintf(out,
            "segue %s: an SQL-aware PostgreSQL proxy that makes schema migrations invisible to applications\n\n"
            "Usage: segue COMMAND [OPTION]...\n\nCommands:\n",
            SEGUE_VERSION);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].what);
    fprintf(out,
            "\n`segue COMMAND --help` says more. Exit status: 0 fine, 1 the work failed, 2 usage or configuration.\n");
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return SG_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return SG_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return sg_cli_version();
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "segue: unknown command \"%s\"; try 'segue --help'\n", argv[1]);
    return SG_EXIT_USAGE;
}
