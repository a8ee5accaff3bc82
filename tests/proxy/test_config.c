/* The config file: cases in config/, and what no file can show. */
#include "proxy/config/config.h"
#include "text_file.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

static struct sg_arena arena;

static void setup(void) {
    sg_arena_init(&arena, 65536);
}

static void teardown(void) {
    sg_arena_free(&arena);
}

TestSuite(config, .init = setup, .fini = teardown);

static const char *print_faults(const struct sg_config_faults *faults) {
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    sg_config_faults_print(faults, out);
    fclose(out);
    const char *kept = sg_arena_strdup(&arena, text);
    free(text);
    return kept;
}

static struct sg_config *parse(const char *text, const struct sg_config_override *overrides, size_t len,
                               const char **ret_faults) {
    struct sg_config_faults faults = {0};
    struct sg_config *config = sg_config_parse("segue.ini", sg_span_of(text), overrides, len, &faults);
    cr_assert_eq(config == NULL, faults.len > 0);
    *ret_faults = print_faults(&faults);
    sg_config_faults_free(&faults);
    return config;
}

/* Each config/X.ini is read; X.faults holds what is to be said about it, and is empty for a good one. */
Test(config, cases) {
    glob_t found;
    const char *pattern = text_file_path(&arena, "tests/proxy/config/*.ini");
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    cr_assert_gt(found.gl_pathc, 5u);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *name = sg_arena_strdup(&arena, strrchr(found.gl_pathv[i], '/') + 1);
        *strrchr(name, '.') = '\0';
        const char *ini = text_file_read(&arena, sg_arena_printf(&arena, "tests/proxy/config/%s.ini", name));
        const char *wanted = text_file_read(&arena, sg_arena_printf(&arena, "tests/proxy/config/%s.faults", name));
        const char *faults;
        sg_config_free(parse(ini, NULL, 0, &faults));
        cr_expect_str_eq(faults, wanted, "%s.ini gives\n%s", name, faults);
    }
    globfree(&found);
}

#define DATABASE "[databases]\n* = host=127.0.0.1\n"

Test(config, defaults_are_the_tables) {
    const char *faults;
    struct sg_config *config = parse(DATABASE, NULL, 0, &faults);
    cr_assert(config, "%s", faults);
    cr_assert_str_eq(config->listen_addr, "127.0.0.1");
    cr_assert_eq(config->listen_port, 6432);
    cr_assert_eq(config->client_login_timeout, 60000);
    cr_assert_eq(config->plan_cache_bytes, 16 << 20);
    cr_assert_str_eq(config->databases[0].conninfo, "host=127.0.0.1");
    sg_config_free(config);
}

Test(config, units) {
    static const struct {
        const char *line;
        int64_t ms;
    } times[] = {{"2", 2000},     {"2.5", 2500},   {"250ms", 250}, {"250 ms", 250},
                 {"1min", 60000}, {"1h", 3600000}, {"0", 0}};
    const char *faults;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        const char *text = sg_arena_printf(&arena, DATABASE "[segue]\nserver_connect_timeout = %s\n", times[i].line);
        struct sg_config *config = parse(text, NULL, 0, &faults);
        cr_assert(config, "%s: %s", times[i].line, faults);
        cr_expect_eq(config->server_connect_timeout, times[i].ms, "%s", times[i].line);
        sg_config_free(config);
    }
    struct sg_config *config = parse(DATABASE "[segue]\nmax_packet_size = 64kB\nbackfill_max_p99_ratio=1.25\n"
                                              "log_connections = off\n",
                                     NULL, 0, &faults);
    cr_assert(config, "%s", faults);
    cr_expect_eq(config->max_packet_size, 65536);
    cr_expect_float_eq(config->backfill_max_p99_ratio, 1.25, 1e-9);
    cr_expect_not(config->log_connections);
    sg_config_free(config);
}

Test(config, the_command_line_wins) {
    const struct sg_config_override overrides[] = {{"listen_port", "1234", "--listen"},
                                                   {SG_CONFIG_UPSTREAM, "host=/run port=5", "--upstream"},
                                                   {"listen_port", "1235", "--set"}};
    const char *faults;
    struct sg_config *config = parse(DATABASE "[segue]\nlisten_port = 7\n", overrides, 3, &faults);
    cr_assert(config, "%s", faults);
    cr_expect_eq(config->listen_port, 1235);
    cr_expect_eq(config->databases_len, 1u);
    cr_expect_str_eq(config->databases[0].conninfo, "host=/run port=5");
    sg_config_free(config);
}

Test(config, faults_of_the_command_line_name_the_option) {
    const struct sg_config_override overrides[] = {{"worker", "2", "--set"},
                                                   {"workers", "many", "--workers"},
                                                   {SG_CONFIG_UPSTREAM, "hots=x", "--upstream"},
                                                   {"guard", "off", "--set"}};
    const char *faults;
    cr_assert_null(parse("", overrides, 4, &faults));
    cr_expect_str_eq(faults, "command line: --set: unknown key \"worker\"; did you mean \"workers\"?\n"
                             "command line: --workers: workers: \"many\" is not a number\n"
                             "command line: --upstream: *: unknown key \"hots\"; did you mean \"host\"?\n"
                             "command line: guard = off is not supported yet; leave it out "
                             "(default \"on\")\n");
}

Test(config, entries_of_databases) {
    const char *faults, *ini = text_file_read(&arena, "tests/proxy/config/databases.ini");
    struct sg_config *config = parse(ini, NULL, 0, &faults);
    cr_assert(config, "%s", faults);
    cr_expect_eq(config->databases_len, 6u);
    const struct sg_config_database *shop = sg_config_database_find(config, "shop");
    cr_expect_str_eq(shop->hostaddr, "10.0.0.1,10.0.0.2,/run/pg");
    cr_expect_str_eq(shop->port, "5432,,5434");
    cr_expect_str_eq(shop->load_balance_hosts, "round-robin");
    cr_expect_str_eq(sg_config_database_find(config, "old_name")->dbname, "sh'op");
    cr_expect_eq(sg_config_database_find(config, "old_name")->connect_timeout, 2000);
    cr_expect_str_eq(sg_config_database_find(config, "uri")->host, "db1,db2");
    cr_expect_str_eq(sg_config_database_find(config, "uri")->port, "1,2");
    cr_expect_str_eq(sg_config_database_find(config, "uri")->target_session_attrs, "read-write");
    cr_expect_str_eq(sg_config_database_find(config, "settings")->options, "-c work_mem='1 MB'");
    cr_expect_not(sg_config_database_find(config, "elsewhere")->rewrite);
    cr_expect_str_eq(sg_config_database_find(config, "never heard of")->name, "*");
    cr_expect_str_eq(sg_config_database_find(config, "never heard of")->host, "");
    sg_config_free(config);
}

Test(config, a_database_on_the_command_line_is_its_users_business) {
    const struct sg_config_override upstream = {SG_CONFIG_UPSTREAM, "host=x dbname=shop user=a", "--upstream"};
    const char *faults;
    struct sg_config *config = parse("", &upstream, 1, &faults);
    cr_expect(config, "%s", faults);
    sg_config_free(config);
}

Test(config, passwords_are_not_shown) {
    const char *faults;
    char value[256];
    struct sg_config *config =
        parse(DATABASE "[segue]\ncontrol_conninfo = host=h password='se ;cret' dbname=d\n", NULL, 0, &faults);
    cr_assert(config, "%s", faults);
    sg_config_value(config, (size_t)sg_config_key_find("control_conninfo"), value, sizeof(value));
    cr_expect_null(strstr(value, "cret"), "%s", value);
    cr_expect_not_null(strstr(value, "password=****"), "%s", value);
    cr_expect_not_null(strstr(config->control_conninfo, "se ;cret"), "an inline comment was cut off");
    sg_config_free(config);
}

/* What SHOW CONFIG prints can stand in the file and means the same. */
Test(config, values_read_back_as_they_are_shown) {
    const char *faults;
    struct sg_config *config = parse(DATABASE "[segue]\nclient_login_timeout = 1500ms\nmax_packet_size = 1MB\n"
                                              "log_connections = no\nlog_format = json\n",
                                     NULL, 0, &faults);
    char text[16384] = DATABASE "[segue]\n";
    cr_assert(config, "%s", faults);
    for (size_t i = 0; i < sg_config_keys(); i++) {
        char value[256];
        sg_config_value(config, i, value, sizeof(value));
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s = %s\n", sg_config_key_name(i), value);
    }
    struct sg_config *again = parse(text, NULL, 0, &faults);
    cr_assert(again, "%s", faults);
    for (size_t i = 0; i < sg_config_keys(); i++)
        cr_expect(sg_config_same(config, again, i), "%s", sg_config_key_name(i));
    sg_config_free(again);
    sg_config_free(config);
}

Test(config, rules_for_clients) {
    const char *faults;
    struct sg_config *config = parse(DATABASE "[clients]\nuser a b = new\ndatabase x=old\n", NULL, 0, &faults);
    cr_assert(config, "%s", faults);
    cr_assert_eq(config->clients_len, 2u);
    cr_expect_eq(config->clients[0].key, SG_CLIENT_USER);
    cr_expect_str_eq(config->clients[0].value, "a b");
    cr_expect_eq(config->clients[0].star, SG_STAR_NEW);
    cr_expect_eq(config->clients[1].key, SG_CLIENT_DATABASE);
    sg_config_free(config);
}

Test(config, addresses) {
    static const struct {
        const char *address, *host, *port; /* host NULL: refused */
    } cases[] = {{"127.0.0.1:6432", "127.0.0.1", "6432"},
                 {"[::1]:6432", "::1", "6432"},
                 {"[::1]", "::1", ""},
                 {":6432", "", "6432"},
                 {"*:0", "*", "0"},
                 {"localhost", "localhost", ""},
                 {"::1", NULL, NULL},
                 {"", NULL, NULL},
                 {":", NULL, NULL},
                 {"h:port", NULL, NULL},
                 {"[::1]x", NULL, NULL},
                 {"[::1", NULL, NULL},
                 {"h:123456", NULL, NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *host = NULL, *port = NULL;
        bool good = sg_config_split_address(&arena, cases[i].address, &host, &port);
        cr_expect_eq(good, cases[i].host != NULL, "%s", cases[i].address);
        if (good && cases[i].host) {
            cr_expect_str_eq(host, cases[i].host);
            cr_expect_str_eq(port, cases[i].port);
        }
    }
}

/* Every prefix and every single byte changed of a file ends in a config or in faults, never in neither. */
Test(config, damaged_files) {
    const char *ini = text_file_read(&arena, "tests/proxy/config/everything_wrong.ini");
    size_t len = strlen(ini);
    for (size_t cut = 0; cut <= len; cut++) {
        struct sg_config_faults faults = {0};
        struct sg_config *config = sg_config_parse("x", (struct sg_span){ini, cut}, NULL, 0, &faults);
        cr_expect_eq(config == NULL, faults.len > 0);
        sg_config_free(config);
        sg_config_faults_free(&faults);
    }
    char *damaged = sg_arena_strdup(&arena, ini);
    for (size_t i = 0; i < len; i++) {
        struct sg_config_faults faults = {0};
        damaged[i] = (char)(i % 3 ? i * 37 : 0);
        struct sg_config *config = sg_config_parse("x", (struct sg_span){damaged, len}, NULL, 0, &faults);
        cr_expect_eq(config == NULL, faults.len > 0);
        sg_config_free(config);
        sg_config_faults_free(&faults);
        damaged[i] = ini[i];
    }
}
