/*
 * A configuration file of any bytes, and its first line as settings of the command line as well.
 *
 * Properties: reading ends, and tells the same twice; nothing is accepted with a fault, nor refused without one; a
 * fault's line is one of the file; what was read, written as SHOW CONFIG shows it, is read as the same.
 */
#include "check.h"
#include "proxy/config/config.h"

#include <string.h>

#define VALUE_BYTES 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sg_config *parse(struct sg_span text, const struct sg_config_override *overrides, size_t overrides_len,
                               size_t *ret_faults) {
    struct sg_config_faults faults = {0};
    int lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
    }
    struct sg_config *config = sg_config_parse("segue.ini", text, overrides, overrides_len, &faults);
    CHECK((config == NULL) == (faults.len > 0));
    for (size_t i = 0; i < faults.len; i++) {
        CHECK(faults.list[i].line >= 0 && faults.list[i].line <= lines && faults.list[i].message[0]);
        CHECK(i == 0 || !faults.list[i].line || faults.list[i - 1].line);
    }
    *ret_faults = faults.len;
    sg_config_faults_free(&faults);
    return config;
}

/* A connection string is shown without its password: it would be another one. */
static bool is_shown_whole(const struct sg_config *config, size_t i) {
    return strcmp(sg_config_key_name(i), "control_conninfo") != 0 || !strstr(config->control_conninfo, "password");
}

static void check_written(const struct sg_config *config) {
    struct sg_config_override *overrides = calloc(sg_config_keys() + 1, sizeof(*overrides));
    char *values = malloc(sg_config_keys() * VALUE_BYTES);
    size_t len = 0, faults;
    CHECK(overrides && values);
    for (size_t i = 0; i < sg_config_keys(); i++) {
        char *value = values + i * VALUE_BYTES;
        sg_config_value(config, i, value, VALUE_BYTES);
        if (is_shown_whole(config, i)) {
            overrides[len++] = (struct sg_config_override){sg_config_key_name(i), value, "--set"};
        }
    }
    overrides[len++] = (struct sg_config_override){SG_CONFIG_UPSTREAM, "host=h", "--upstream"};
    struct sg_config *again = parse(SG_SPAN_LIT(""), overrides, len, &faults);
    CHECK(again);
    for (size_t i = 0; i < sg_config_keys(); i++) {
        CHECK(sg_config_same(config, again, i) || !is_shown_whole(config, i) ||
              strcmp(sg_config_key_name(i), "control_conninfo") == 0); /* its spaces and quotes may differ */
    }
    sg_config_free(again);
    free(values);
    free(overrides);
}

static void check_command_line(struct sg_span text) {
    char line[300], *equals;
    struct sg_arena arena;
    const char *host, *port;
    size_t len = 0, faults;
    while (len < text.len && len < sizeof(line) - 1 && text.ptr[len] != '\n' && text.ptr[len]) {
        len++;
    }
    memcpy(line, text.ptr, len);
    line[len] = '\0';
    sg_arena_init(&arena, 512);
    if (sg_config_split_address(&arena, line, &host, &port)) {
        CHECK(strlen(host) + strlen(port) <= len && strlen(port) <= 5);
    }
    sg_arena_free(&arena);
    if ((equals = strchr(line, '='))) {
        *equals = '\0';
        const struct sg_config_override overrides[] = {{line, equals + 1, "--set"},
                                                       {SG_CONFIG_UPSTREAM, "host=h", "--upstream"}};
        sg_config_free(parse(SG_SPAN_LIT(""), overrides, 2, &faults));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    CHECK(text);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct sg_span span = {text, size};
    size_t faults, faults_again;
    struct sg_config *config = parse(span, NULL, 0, &faults);
    sg_config_free(parse(span, NULL, 0, &faults_again));
    CHECK(faults == faults_again);
    if (config) {
        check_written(config);
        sg_config_free(config);
    }
    check_command_line(span);
    free(text);
    return 0;
}
