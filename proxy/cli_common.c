/* What every subcommand says in the same words. */
#include "proxy/cli.h"

#include <stdio.h>

int sg_cli_version(void) {
    printf("segue %s\n", SEGUE_VERSION);
    return SG_EXIT_OK;
}

int sg_cli_usage_hint(const char *command) {
    fprintf(stderr, "Try 'segue %s --help'.\n", command);
    return SG_EXIT_USAGE;
}
