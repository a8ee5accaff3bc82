/* The log's lines: whole, escaped, bounded. */
#include "proxy/log.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/segue-test-log-XXXXXX";

static void setup(void) {
    close(mkstemp(path));
}

static void teardown(void) {
    sg_log_close();
    unlink(path);
}

TestSuite(log, .init = setup, .fini = teardown);

static void open_log(enum sg_log_format format, enum sg_log_level min_level) {
    struct sg_log_config config = {.format = format, .min_level = min_level, .file = path};
    struct sg_error err;
    cr_assert(sg_log_open(&config, &err), "%s", err.message);
}

/* The whole file; the caller frees it. */
static char *logged(void) {
    char *text = calloc(1, 1u << 20);
    FILE *file = fopen(path, "re");
    cr_assert_lt(fread(text, 1, (1u << 20) - 1, file), (1u << 20) - 1);
    fclose(file);
    return text;
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

Test(log, a_client_cannot_forge_a_line) {
    open_log(SG_LOG_TEXT, SG_LOG_INFO);
    sg_log(SG_LOG_INFO, "user \"%s\" failed", "x\n2026-01-01 ERROR forged\r\x1b[2J");
    char *text = logged();
    cr_expect_eq(count(text, "\n"), 1u, "%s", text);
    cr_expect_null(strpbrk(text, "\r\x1b"));
    free(text);
}

Test(log, json_lines_are_json) {
    open_log(SG_LOG_JSON, SG_LOG_DEBUG);
    sg_log(SG_LOG_WARN, "a \"quoted\" \\ and\ttabbed\nline");
    char *text = logged();
    json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    cr_assert_not_null(line, "%s", text);
    cr_expect_str_eq(json_string_value(json_object_get(line, "message")), "a \"quoted\" \\ and\ttabbed\nline");
    cr_expect_str_eq(json_string_value(json_object_get(line, "level")), "warning");
    json_decref(line);
    free(text);
}

Test(log, long_messages_are_cut_and_end_the_line) {
    char *message = malloc(20000);
    memset(message, '"', 19999);
    message[19999] = '\0';
    open_log(SG_LOG_JSON, SG_LOG_INFO);
    sg_log(SG_LOG_INFO, "%s", message);
    sg_log(SG_LOG_INFO, "next");
    char *text = logged();
    cr_expect_eq(count(text, "\n"), 2u);
    cr_expect_not_null(strstr(text, "\"next\"}\n"));
    json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    cr_expect_not_null(line, "the cut line is no JSON");
    json_decref(line);
    free(text);
    free(message);
}

/* A user name in LATIN1, half a character, an overlong NUL, a surrogate: JSON has to stay JSON. */
Test(log, bytes_that_are_not_utf8) {
    static const char *const names[] = {("gr\xf6\xdf"
                                         "e"),
                                        "\xe2\x82", "\xc0\x80", "\xed\xa0\x80", "gr\u00f6\u00dfe \u20ac"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(truncate(path, 0), 0);
        open_log(SG_LOG_JSON, SG_LOG_INFO);
        sg_log(SG_LOG_INFO, "user %s", names[i]);
        char *text = logged();
        json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
        cr_expect_not_null(line, "%s", text);
        json_decref(line);
        free(text);
    }
}

Test(log, levels) {
    open_log(SG_LOG_TEXT, SG_LOG_WARN);
    sg_log(SG_LOG_DEBUG, "no");
    sg_log(SG_LOG_INFO, "no");
    sg_log(SG_LOG_WARN, "yes");
    sg_log(SG_LOG_ERROR, "yes");
    char *text = logged();
    cr_expect_eq(count(text, "yes"), 2u);
    cr_expect_eq(count(text, "no"), 0u);
    free(text);
}

Test(log, events_have_fields) {
    const char *name = "a\"b\\c\n2026-01-01T00:00:00Z [1] ERROR forged user=\"root\" x=\x01";
    open_log(SG_LOG_TEXT, SG_LOG_INFO);
    sg_log_event(SG_LOG_INFO, "login", SG_LOG_TEXTUAL("user", name), SG_LOG_WORD("client", "127.0.0.1:5"),
                 SG_LOG_WORD("tls", "not a word"), SG_LOG_NUMBER("id", 7));
    char *text = logged();
    cr_expect_eq(count(text, "\n"), 1u, "%s", text);
    cr_expect_not_null(strstr(text, "INFO login user=\"a\\\"b\\\\c\\n2026-01-01T00:00:00Z [1] ERROR forged "
                                    "user=\\\"root\\\" x=\\x01\" client=127.0.0.1:5 tls=\"not a word\" id=7\n"),
                       "%s", text);
    free(text);
    cr_assert_eq(truncate(path, 0), 0);
    open_log(SG_LOG_JSON, SG_LOG_INFO);
    sg_log_event(SG_LOG_INFO, "login", SG_LOG_TEXTUAL("user", name), SG_LOG_NUMBER("id", -7));
    text = logged();
    json_t *line = json_loads(text, 0, NULL);
    cr_assert_not_null(line, "%s", text);
    cr_expect_str_eq(json_string_value(json_object_get(line, "event")), "login");
    cr_expect_str_eq(json_string_value(json_object_get(line, "user")), name);
    cr_expect_eq(json_integer_value(json_object_get(line, "id")), -7);
    cr_expect(json_is_string(json_object_get(line, "ts")) && json_is_integer(json_object_get(line, "pid")));
    json_decref(line);
    free(text);
}

Test(log, errors_have_fields) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT, "no \"route\"");
    sg_error_hint(&err, "try again");
    open_log(SG_LOG_JSON, SG_LOG_INFO);
    sg_log_error(SG_LOG_WARN, &err, "control %s", "connection");
    char *text = logged();
    json_t *line = json_loads(text, 0, NULL);
    cr_assert_not_null(line, "%s", text);
    cr_expect_str_eq(json_string_value(json_object_get(line, "event")), "error");
    cr_expect_str_eq(json_string_value(json_object_get(line, "message")), "control connection");
    cr_expect_str_eq(json_string_value(json_object_get(line, "error")), "no \"route\"");
    cr_expect_str_eq(json_string_value(json_object_get(line, "hint")), "try again");
    cr_expect_null(json_object_get(line, "detail"));
    json_decref(line);
    free(text);
}

/* Fields that do not fit are left out whole; one that is too long is cut. */
Test(log, too_many_fields_stay_json) {
    char *value = malloc(3000);
    memset(value, '"', 2999);
    value[2999] = '\0';
    for (size_t cut = 0; cut < 2999; cut += 37) {
        cr_assert_eq(truncate(path, 0), 0);
        open_log(SG_LOG_JSON, SG_LOG_INFO);
        sg_log_event(SG_LOG_INFO, "many", SG_LOG_TEXTUAL("a", value + cut), SG_LOG_TEXTUAL("b", value + cut),
                     SG_LOG_TEXTUAL("c", value + cut), SG_LOG_NUMBER("d", 1));
        char *text = logged();
        json_t *line = json_loads(text, 0, NULL);
        cr_assert_not_null(line, "%s", text);
        json_decref(line);
        free(text);
    }
    free(value);
}

/* The test may run across the end of a second, or of several: what is counted is that nothing is lost. */
Test(log, floods_are_counted) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(3);
    open_log(SG_LOG_TEXT, SG_LOG_INFO);
    for (int i = 0; i < 1000; i++)
        sg_log_limited(&limit, SG_LOG_INFO, "flood");
    char *text = logged();
    size_t lines = count(text, "flood"), left_out = atomic_load(&limit.dropped);
    for (const char *at = text; (at = strstr(at, "flood (")); at++)
        left_out += strtoul(at + strlen("flood ("), NULL, 10);
    cr_expect_geq(lines, 3u);
    cr_expect_eq(lines + left_out, 1000u);
    free(text);
}

Test(log, a_file_that_cannot_be_opened_changes_nothing) {
    struct sg_log_config config = {.file = "/nonexistent/segue.log", .min_level = SG_LOG_INFO};
    struct sg_error err;
    open_log(SG_LOG_TEXT, SG_LOG_INFO);
    cr_expect_not(sg_log_open(&config, &err));
    cr_expect_not_null(strstr(err.message, "/nonexistent/segue.log"));
    sg_log(SG_LOG_INFO, "still here");
    char *text = logged();
    cr_expect_not_null(strstr(text, "still here"));
    free(text);
}
