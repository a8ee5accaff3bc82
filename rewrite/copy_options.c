#include "copy_options.h"

#include <strings.h>

static bool is(const struct sg_copy_option *option, const char *name) {
    return strcmp(option->name, name) == 0;
}

static enum sg_copy_header header_of(const char *value) {
    if (!value || strcasecmp(value, "true") == 0 || strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0)
        return SG_COPY_HEADER;
    return strcasecmp(value, "match") == 0 ? SG_COPY_HEADER_MATCH : SG_COPY_NO_HEADER;
}

enum sg_copy_encoding sg_copy_encoding_of(enum sg_encoding encoding) {
    switch (encoding) {
    case SG_ENCODING_BIG5:
    case SG_ENCODING_GBK:
    case SG_ENCODING_UHC:
        return SG_COPY_DOUBLE;
    case SG_ENCODING_SJIS:
    case SG_ENCODING_SHIFT_JIS_2004:
        return SG_COPY_SJIS;
    case SG_ENCODING_GB18030:
        return SG_COPY_GB18030;
    case SG_ENCODING_JOHAB:
        return SG_COPY_JOHAB;
    default:
        return SG_COPY_SINGLE;
    }
}

static void read_format(const struct sg_statement *statement, struct sg_copy_options *ret) {
    for (size_t i = 0; i < statement->options_len; i++) {
        const struct sg_copy_option *option = &statement->options[i];
        if (!is(option, "format") || !option->value)
            continue;
        ret->format = strcmp(option->value, "csv") == 0      ? SG_COPY_CSV
                      : strcmp(option->value, "binary") == 0 ? SG_COPY_BINARY
                                                             : SG_COPY_TEXT;
    }
}

struct sg_copy_options sg_copy_options_read(const struct sg_statement *statement, enum sg_encoding client) {
    struct sg_copy_options options = {.format = SG_COPY_TEXT, .encoding = client, .quote = '"'};
    read_format(statement, &options);
    options.delimiter = options.format == SG_COPY_CSV ? ',' : '\t';
    for (size_t i = 0; i < statement->options_len; i++) {
        const struct sg_copy_option *option = &statement->options[i];
        if (is(option, "header"))
            options.header = header_of(option->value);
        if (!option->value)
            continue;
        if (is(option, "encoding")) {
            options.encoding = sg_encoding_from_name(sg_span_of(option->value));
        } else if (strlen(option->value) != 1) {
            continue;
        } else if (is(option, "delimiter")) {
            options.delimiter = (uint8_t)option->value[0];
        } else if (is(option, "quote")) {
            options.quote = (uint8_t)option->value[0];
        } else if (is(option, "escape")) {
            options.escape = (uint8_t)option->value[0];
        }
    }
    options.escape = options.escape ? options.escape : options.quote;
    return options;
}

static char *put_text_char(char *at, const struct sg_copy_options *options, char c) {
    static const char plain[] = "\b\f\n\r\t\v", letters[] = "bfnrtv";
    const char *control = strchr(plain, c);
    if (control || c == '\\' || (uint8_t)c == options->delimiter)
        *at++ = '\\';
    *at++ = control ? letters[control - plain] : c;
    return at;
}

static char *put_csv_char(char *at, const struct sg_copy_options *options, char c) {
    if ((uint8_t)c == options->quote || (uint8_t)c == options->escape)
        *at++ = (char)options->escape;
    *at++ = c;
    return at;
}

struct sg_span sg_copy_header_name(struct sg_arena *arena, const struct sg_copy_options *options, const char *name) {
    bool is_csv = options->format == SG_COPY_CSV;
    char *text = sg_arena_alloc(arena, 2 * strlen(name) + 3), *at = text;
    if (is_csv)
        *at++ = (char)options->quote;
    for (; *name; name++)
        at = is_csv ? put_csv_char(at, options, *name) : put_text_char(at, options, *name);
    if (is_csv)
        *at++ = (char)options->quote;
    return (struct sg_span){text, (size_t)(at - text)};
}
