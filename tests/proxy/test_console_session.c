/*
 * A console session over a socket pair, without a database: what it answers to each message, in the order of the wire.
 * Answers are compared as text: a letter for each message, with what matters of its body in brackets.
 */
#include "proxy/admin/console.h"
#include "proxy/config/config.h"
#include "proxy/log.h"
#include "proxy/net/hub.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sg_config *config;
static struct sg_hub *hub;
static struct sg_console *console;
static int client = -1;
static _Atomic int requests;
static struct sg_buf sent;
static char answer[65536];
static uint32_t console_pid;
static uint8_t console_key[4];

static void on_request(void *arg, enum sg_console_request request) {
    (void)arg;
    requests |= 1 << request;
}

static void setup(void) {
    struct sg_config_faults faults = {0};
    struct sg_log_config quiet = {.min_level = SG_LOG_ERROR};
    struct sg_error err;
    sg_log_open(&quiet, &err);
    config = sg_config_parse("segue.ini",
                             SG_SPAN_LIT("[databases]\n* = host=127.0.0.1 port=1\n[segue]\n"
                                         "admin_users = postgres, alice ,bob\nstats_users = watcher\n"),
                             NULL, 0, &faults);
    cr_assert_not_null(config);
    hub = sg_hub_new("shop");
    struct sg_console_config console_config = {.control_conninfo = "host=127.0.0.1 port=1 dbname=shop",
                                               .database = "shop",
                                               .control_user = "owner",
                                               .on_request = on_request,
                                               .config = config,
                                               .hub = hub};
    console = sg_console_new(&console_config);
}

static void teardown(void) {
    if (client >= 0)
        close(client);
    sg_console_free(console);
    sg_hub_free(hub);
    sg_config_free(config);
    sg_buf_free(&sent);
}

TestSuite(console_session, .init = setup, .fini = teardown, .timeout = 60);

/* ---- The client's side ---- */

static void read_exactly(void *out, size_t len) {
    for (size_t have = 0; have < len;) {
        ssize_t n = read(client, (char *)out + have, len - have);
        cr_assert_gt(n, 0, "the console has closed; so far: %s", answer);
        have += (size_t)n;
    }
}

static void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *fmt, ...) {
    size_t len = strlen(answer);
    va_list args;
    va_start(args, fmt);
    vsnprintf(answer + len, sizeof(answer) - len, fmt, args);
    va_end(args);
}

static void tell_row(const uint8_t *body, size_t len) {
    size_t cursor = 0;
    struct sg_span value;
    for (const char *comma = ""; sg_data_value_next(body, len, &cursor, &value); comma = ",")
        tell(value.ptr ? "%s%.*s" : "%sNULL", comma, (int)value.len, value.ptr);
}

static void tell_columns(const uint8_t *body, size_t len) {
    size_t cursor = 0;
    struct sg_row_field field;
    for (const char *comma = ""; sg_row_field_next(body, len, &cursor, &field); comma = ",") {
        tell("%s%.*s", comma, (int)field.name.len, field.name.ptr);
        cr_expect_eq(field.type_oid, 25u); /* text */
        cr_expect_eq(field.format, 0);
    }
}

/* One message, as text; its type. */
static char read_message(void) {
    uint8_t header[5], *body;
    read_exactly(header, sizeof(header));
    size_t len = ((size_t)header[1] << 24 | (size_t)header[2] << 16 | (size_t)header[3] << 8 | header[4]) - 4;
    body = malloc(len + 1);
    read_exactly(body, len);
    tell("%c", header[0]);
    if (header[0] == 'T' || header[0] == 'D' || header[0] == 'C' || header[0] == 'E' || header[0] == 'N')
        tell("(");
    if (header[0] == 'T')
        tell_columns(body, len);
    else if (header[0] == 'D')
        tell_row(body, len);
    else if (header[0] == 'C')
        tell("%s", (char *)body);
    else if (header[0] == 'E' || header[0] == 'N') {
        struct sg_span severity = sg_error_field(body, len, 'S'), state = sg_error_field(body, len, 'C');
        tell("%.*s %.*s", (int)severity.len, severity.ptr, (int)state.len, state.ptr);
    } else if (header[0] == 'K') {
        console_pid = (uint32_t)body[0] << 24 | (uint32_t)body[1] << 16 | (uint32_t)body[2] << 8 | body[3];
        memcpy(console_key, body + 4, 4);
    } else if (header[0] == 'Z')
        tell("%c", body[0]);
    if (strchr("TDCEN", header[0]))
        tell(")");
    tell(" ");
    free(body);
    return (char)header[0];
}

/* Reads up to the n-th ReadyForQuery; what came is in answer. */
static const char *read_ready(int n) {
    answer[0] = '\0';
    while (n)
        n -= read_message() == 'Z';
    answer[strlen(answer) - 1] = '\0';
    return answer;
}

static const char *read_to_end(void) {
    char more;
    answer[0] = '\0';
    while (recv(client, &more, 1, MSG_PEEK) == 1)
        read_message();
    return answer;
}

static void connect_as(const char *user, struct sg_span pending) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    client = pair[0];
    sg_console_adopt(console, pair[1], NULL, user, pending);
}

static void log_in(void) {
    connect_as("alice", (struct sg_span){NULL, 0});
    cr_assert_str_eq(read_ready(1), "R S S S S S S S S S S K ZI");
    sent.len = 0;
}

static void send_all(void) {
    cr_assert_eq(send(client, sent.data, sent.len, MSG_NOSIGNAL), (ssize_t)sent.len);
    sent.len = 0;
}

static const char *ask(const char *sql) {
    sg_msg_query(&sent, sg_span_of(sql));
    send_all();
    return read_ready(1);
}

static void put_bind(const char *portal, const char *statement) {
    sg_msg_begin(&sent, 'B');
    sg_buf_put_cstr(&sent, portal);
    sg_buf_put_cstr(&sent, statement);
    sg_buf_put_u16(&sent, 0);
    sg_buf_put_u16(&sent, 0);
    sg_buf_put_u16(&sent, 1);
    sg_buf_put_u16(&sent, 1); /* binary results: text is the same in both */
    sg_msg_end(&sent);
}

static void put_target(uint8_t type, uint8_t kind, const char *name) {
    sg_msg_begin(&sent, type);
    sg_buf_put_u8(&sent, kind);
    sg_buf_put_cstr(&sent, name);
    sg_msg_end(&sent);
}

static void put_execute(const char *portal, uint32_t max_rows) {
    sg_msg_begin(&sent, 'E');
    sg_buf_put_cstr(&sent, portal);
    sg_buf_put_u32(&sent, max_rows);
    sg_msg_end(&sent);
}

static void put_plain(uint8_t type) {
    sg_msg_begin(&sent, type);
    sg_msg_end(&sent);
}

static void put_parse(const char *name, const char *sql) {
    sg_msg_parse(&sent, sg_span_of(name), sg_span_of(sql), 0, NULL);
}

#define VERSION "segue " SEGUE_VERSION

/* ---- Simple protocol ---- */

Test(console_session, a_query) {
    log_in();
    cr_expect_str_eq(ask("show version"), "T(version) D(" VERSION ") C(SHOW) ZI");
}

Test(console_session, several_commands_in_one_query) {
    log_in();
    cr_expect_str_eq(ask("show version; begin; ; show version"),
                     "T(version) D(" VERSION ") C(SHOW) N(WARNING 00000) C(BEGIN) T(version) D(" VERSION
                     ") C(SHOW) ZI");
}

Test(console_session, nothing_is_done_when_a_later_command_cannot_be_read) {
    log_in();
    cr_expect_str_eq(ask("reload; shwo"), "E(ERROR 42601) ZI");
    cr_expect_eq(requests, 0);
    cr_expect_str_eq(ask("reload"), "C(RELOAD) ZI");
    cr_expect_eq(requests, 1 << SG_CONSOLE_RELOAD);
}

Test(console_session, a_command_that_fails_stops_the_query) {
    log_in();
    cr_expect_str_eq(ask("show version; show blockers m; reload"),
                     "T(version) D(" VERSION ") C(SHOW) E(ERROR 0A000) ZI");
    cr_expect_eq(requests, 0);
}

Test(console_session, empty_queries) {
    log_in();
    cr_expect_str_eq(ask(""), "I ZI");
    cr_expect_str_eq(ask(" ;; -- nothing"), "I ZI");
}

Test(console_session, shutdown_asks_for_what_was_said) {
    log_in();
    cr_expect_str_eq(ask("shutdown wait_for_clients"), "C(SHUTDOWN) ZI");
    cr_expect_eq(requests, 1 << SG_CONSOLE_LEAVE);
    cr_expect_str_eq(ask("shutdown wait_for_servers"), "C(SHUTDOWN) ZI");
    cr_expect_eq(requests, 1 << SG_CONSOLE_LEAVE | 1 << SG_CONSOLE_DRAIN);
    cr_expect_str_eq(ask("shutdown"), "C(SHUTDOWN) ZI");
    cr_expect_eq(requests, 1 << SG_CONSOLE_LEAVE | 1 << SG_CONSOLE_DRAIN | 1 << SG_CONSOLE_SHUTDOWN);
}

Test(console_session, clients_are_paused_and_killed_only_where_there_is_a_server) {
    log_in();
    cr_expect_str_eq(ask("pause"), "E(ERROR 57P03) ZI");
    cr_expect_str_eq(ask("resume shop"), "E(ERROR 57P03) ZI");
    cr_expect_str_eq(ask("kill"), "E(ERROR 57P03) ZI");
    cr_expect_str_eq(ask("kill_client 7"), "E(ERROR 57P03) ZI");
}

Test(console_session, migrations_need_the_engine) {
    log_in();
    cr_expect_str_eq(ask("show migrations"), "E(ERROR 55000) ZI");
    cr_expect_str_eq(ask("explain rewrite 'select 1'"), "E(ERROR 55000) ZI");
    cr_expect_str_eq(ask("explain rewrite in other 'select 1'"), "E(ERROR 42704) ZI");
}

/* A proxy that was just started again is waited for, as a control database is that is away for a moment. */
Test(console_session, wait_waits_for_the_engine) {
    log_in();
    cr_expect_str_eq(ask("wait m for verified timeout 0.2"), "E(ERROR 57014) ZI");
}

Test(console_session, settings) {
    log_in();
    cr_expect_str_eq(ask("set application_name = 'x'; set workers = 3"), "C(SET) E(ERROR 0A000) ZI");
    cr_expect_str_eq(ask("set nonsense = 3"), "E(ERROR 42704) ZI");
}

/* ---- Extended protocol ---- */

Test(console_session, extended_query) {
    log_in();
    put_parse("", "show version");
    put_target('D', 'S', "");
    put_bind("", "");
    put_target('D', 'P', "");
    put_execute("", 0);
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(1), "1 t T(version) 2 T(version) D(" VERSION ") C(SHOW) ZI");
}

Test(console_session, a_command_without_rows_has_no_data) {
    log_in();
    put_parse("s", "reload");
    put_target('D', 'S', "s");
    put_bind("p", "s");
    put_target('D', 'P', "p");
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(1), "1 t n 2 n ZI");
    cr_expect_eq(requests, 0, "Describe must not run a command that changes something");
    put_bind("p", "s");
    put_execute("p", 0);
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(1), "2 C(RELOAD) ZI");
    cr_expect_eq(requests, 1 << SG_CONSOLE_RELOAD);
}

Test(console_session, rows_in_portions) {
    log_in();
    put_parse("", "show version; ");
    put_bind("", "");
    put_execute("", 1);
    put_execute("", 1);
    put_plain('S');
    put_parse("", "show help");
    put_bind("", "");
    put_execute("", 2);
    put_plain('H');
    send_all();
    cr_expect_str_eq(read_ready(1), "1 2 D(" VERSION ") C(SHOW) C(SHOW) ZI");
    answer[0] = '\0';
    while (read_message() != 's')
        ;
    cr_expect_eq(strncmp(answer, "1 2 D(CREATE MIGRATION", 22), 0, "%s", answer);
    put_plain('S');
    put_execute("", 1);
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(2), "ZI E(ERROR 34000) ZI");
}

/* pgjdbc with a fetch size: each portion has a Sync of its own, in what the driver takes for a transaction. */
Test(console_session, a_named_portal_outlives_sync) {
    log_in();
    put_parse("s", "show version");
    put_bind("c1", "s");
    put_execute("c1", 1);
    put_plain('S');
    put_execute("c1", 1);
    put_plain('S');
    put_target('C', 'P', "c1");
    put_execute("c1", 1);
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(3), "1 2 D(" VERSION ") C(SHOW) ZI C(SHOW) ZI 3 E(ERROR 34000) ZI");
}

Test(console_session, an_error_skips_to_sync) {
    log_in();
    put_parse("bad", "shwo");
    put_bind("", "bad");
    put_execute("", 0);
    put_parse("good", "show version");
    put_plain('S');
    put_bind("", "good");
    put_plain('S');
    put_parse("good", "show version");
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(3), "E(ERROR 42601) ZI E(ERROR 26000) ZI 1 ZI");
}

Test(console_session, names) {
    log_in();
    put_parse("s", "show version");
    put_parse("s", "show version");
    put_plain('S');
    put_target('C', 'S', "s");
    put_target('C', 'S', "never there");
    put_parse("s", "");
    put_bind("p", "s");
    put_target('D', 'P', "p");
    put_execute("p", 0);
    put_plain('S');
    put_parse("two", "show version; show version");
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(3), "1 E(ERROR 42P05) ZI 3 3 1 2 n I ZI E(ERROR 42601) ZI");
}

Test(console_session, commands_take_no_parameters) {
    log_in();
    put_parse("s", "show version");
    sg_msg_begin(&sent, 'B');
    sg_buf_put_cstr(&sent, "");
    sg_buf_put_cstr(&sent, "s");
    sg_buf_put_u16(&sent, 0);
    sg_buf_put_u16(&sent, 1);
    sg_buf_put_u32(&sent, 1);
    sg_buf_put_u8(&sent, 'x');
    sg_buf_put_u16(&sent, 0);
    sg_msg_end(&sent);
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(1), "1 E(ERROR 08P01) ZI");
}

Test(console_session, prepared_statements_are_bounded) {
    log_in();
    char name[16];
    for (int i = 0; i < 1001; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        put_parse(name, "show version");
    }
    put_plain('S');
    send_all();
    const char *got = read_ready(1);
    cr_expect_not_null(strstr(got, "E(ERROR 54000) ZI"), "%s", got);
    cr_expect_str_eq(ask("deallocate all"), "C(DEALLOCATE ALL) ZI");
    put_parse("s0", "show version");
    put_plain('S');
    send_all();
    cr_expect_str_eq(read_ready(1), "1 ZI");
}

Test(console_session, messages_in_single_bytes) {
    log_in();
    put_parse("", "show version");
    put_bind("", "");
    put_execute("", 0);
    put_plain('S');
    for (size_t i = 0; i < sent.len; i++)
        cr_assert_eq(send(client, sent.data + i, 1, MSG_NOSIGNAL), 1);
    cr_expect_str_eq(read_ready(1), "1 2 D(" VERSION ") C(SHOW) ZI");
}

Test(console_session, bytes_that_came_with_the_password) {
    sg_msg_query(&sent, SG_SPAN_LIT("show version"));
    connect_as("bob", (struct sg_span){(const char *)sent.data, sent.len});
    cr_expect_str_eq(read_ready(2), "R S S S S S S S S S S K ZI T(version) D(" VERSION ") C(SHOW) ZI");
}

/* ---- Ends ---- */

Test(console_session, terminate) {
    log_in();
    put_plain('X');
    send_all();
    cr_expect_str_eq(read_to_end(), "");
}

Test(console_session, bad_lengths_and_unknown_messages_end_it) {
    static const uint8_t cases[][5] = {
        {'Q', 0, 0, 0, 3}, {'Q', 0x7f, 0xff, 0xff, 0xff}, {'Q', 0, 0x20, 0, 0}, {'?', 0, 0, 0, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        log_in();
        cr_assert_eq(send(client, cases[i], 5, MSG_NOSIGNAL), 5);
        cr_expect_str_eq(read_to_end(), "E(FATAL 08P01) ", "case %zu", i);
        close(client);
        client = -1;
    }
}

Test(console_session, bodies_that_are_cut_short) {
    log_in();
    for (const char *type = "PBDEC"; *type; type++) {
        sg_msg_begin(&sent, (uint8_t)*type);
        sg_buf_put_u8(&sent, 'x');
        sg_msg_end(&sent);
        put_plain('S');
        send_all();
        cr_expect_str_eq(read_ready(1), "E(ERROR 08P01) ZI", "%c", *type);
    }
}

Test(console_session, roles) {
    connect_as("watcher", (struct sg_span){NULL, 0});
    read_ready(1);
    cr_expect_str_eq(ask("show version"), "T(version) D(" VERSION ") C(SHOW) ZI");
    cr_expect_str_eq(ask("reload"), "E(ERROR 42501) ZI");
    cr_expect_str_eq(ask("begin"), "N(WARNING 00000) C(BEGIN) ZI");
    cr_expect_eq(requests, 0);
}

Test(console_session, strangers_are_turned_away) {
    static const char *const strangers[] = {"mallory", "ali", "alice ", "", "postgres, alice", "watche"};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        connect_as(strangers[i], (struct sg_span){NULL, 0});
        cr_expect_str_eq(read_to_end(), "E(FATAL 42501) ", "\"%s\"", strangers[i]);
        close(client);
        client = -1;
    }
}

Test(console_session, sessions_are_bounded) {
    int others[100];
    for (int i = 0; i < 100; i++) {
        log_in();
        others[i] = client;
    }
    connect_as("alice", (struct sg_span){NULL, 0});
    cr_expect_str_eq(read_to_end(), "E(FATAL 53300) ");
    for (int i = 0; i < 100; i++)
        close(others[i]);
}

Test(console_session, ended_by_the_process) {
    log_in();
    sg_console_end_sessions(console);
    cr_expect_str_eq(read_to_end(), "E(FATAL 57P01) ");
}

Test(console_session, cancel_keys) {
    log_in();
    uint8_t wrong[4] = {console_key[0], console_key[1], console_key[2], (uint8_t)(console_key[3] + 1)};
    cr_expect_gt(console_pid, 4194304u, "a server may have a process of this id");
    cr_expect_not(sg_console_cancel(console, console_pid, (struct sg_span){(char *)wrong, 4}));
    cr_expect_not(sg_console_cancel(console, console_pid, (struct sg_span){(char *)console_key, 3}));
    cr_expect_not(sg_console_cancel(console, console_pid + 1, (struct sg_span){(char *)console_key, 4}));
    cr_expect(sg_console_cancel(console, console_pid, (struct sg_span){(char *)console_key, 4}));
    cr_expect_str_eq(ask("show version"), "T(version) D(" VERSION ") C(SHOW) ZI");
}
