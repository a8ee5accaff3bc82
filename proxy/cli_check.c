/* segue check: a configuration judged without being used. */
#include "proxy/auth/auth.h"
#include "proxy/auth/userlist.h"
#include "proxy/cli.h"
#include "proxy/config/hba.h"

#include <getopt.h>
#include <stdio.h>

static void print_help(void) {
    printf(
        "Usage: segue check -c FILE\n\n"
        "Reads a configuration file, and the auth_* files it names, as `segue serve` would and prints every fault as\n"
        "FILE:LINE: message.\n\n"
        "  -c, --config FILE  the file\n"
        "  -h, --help         this text\n"
        "  -V, --version      version\n\n"
        "Exit status: 0 the file is good, 2 it is not.\n");
}

int sg_cli_check(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            path = optarg;
            break;
        case 'h':
            print_help();
            return SG_EXIT_OK;
        case 'V':
            return sg_cli_version();
        default:
            return sg_cli_usage_hint("check");
        }
    }
    if (!path || optind != argc) {
        fprintf(stderr, "segue check: give one file with -c\n");
        return sg_cli_usage_hint("check");
    }
    struct sg_config_faults faults = {0};
    struct sg_config *config = sg_config_load(path, NULL, 0, &faults);
    if (config && config->auth_file[0])
        sg_userlist_free(sg_userlist_read(config->auth_file, sg_auth_salt, &faults));
    if (config)
        sg_hba_unref(sg_config_hba(config, &faults));
    bool is_good = config && faults.len == 0;
    if (is_good)
        printf("%s: good, %zu database%s\n", path, config->databases_len, config->databases_len == 1 ? "" : "s");
    sg_config_faults_print(&faults, stderr);
    sg_config_faults_free(&faults);
    int status = is_good ? SG_EXIT_OK : SG_EXIT_USAGE;
    sg_config_free(config);
    return status;
}
