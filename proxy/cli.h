/* cli — the subcommands of `segue`. Each takes its own argv (argv[0] is its name) and returns the exit status. */
#ifndef SEGUE_CLI_H
#define SEGUE_CLI_H

/* Exit statuses (docs: README). REFUSED is `segue rewrite`'s alone. */
enum { SG_EXIT_OK = 0, SG_EXIT_FAILED = 1, SG_EXIT_USAGE = 2, SG_EXIT_REFUSED = 3 };

int sg_cli_serve(int argc, char **argv);
int sg_cli_rewrite(int argc, char **argv);
int sg_cli_check(int argc, char **argv);

/* "segue X: try 'segue X --help'" on stderr; returns SG_EXIT_USAGE. */
int sg_cli_usage_hint(const char *command);
/* --version of the program and of each subcommand. */
int sg_cli_version(void);

#endif
