#include "transcript.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where in a line the reader is. */
struct line {
    const char *at;
    struct transcript *transcript;
    int number;
};

static bool fail(const struct line *line, const char *what) {
    (void)snprintf(line->transcript->error, sizeof line->transcript->error, "line %d: %s: %.80s", line->number, what,
                   line->at);
    return false;
}

static void skip_blanks(struct line *line) {
    while (*line->at == ' ' || *line->at == '\t') {
        line->at++;
    }
}

/* One character of a quoted field; an escape is one byte. */
static bool read_char(struct line *line, uint8_t *ret_byte) {
    static const char names[] = "nrt0\\\"'", bytes[] = "\n\r\t\0\\\"'";
    if (*line->at != '\\') {
        *ret_byte = (uint8_t)*line->at++;
        return true;
    }
    char escape = line->at[1];
    if (escape == 'x' && isxdigit((unsigned char)line->at[2]) && isxdigit((unsigned char)line->at[3])) {
        char digits[] = {line->at[2], line->at[3], 0};
        *ret_byte = (uint8_t)strtoul(digits, NULL, 16);
        line->at += 4;
        return true;
    }
    const char *found = escape ? strchr(names, escape) : NULL;
    if (!found) {
        return fail(line, "unknown escape");
    }
    *ret_byte = (uint8_t)bytes[found - names];
    line->at += 2;
    return true;
}

static bool read_quoted(struct line *line, struct sg_buf *out) {
    char quote = *line->at++;
    while (*line->at && *line->at != quote) {
        uint8_t byte;
        if (!read_char(line, &byte)) {
            return false;
        }
        sg_buf_put_u8(out, byte);
    }
    if (*line->at != quote) {
        return fail(line, "quote not closed");
    }
    line->at++;
    if (quote == '\'') {
        sg_buf_put_u8(out, 0);
    }
    return true;
}

static bool read_number(struct line *line, long long *ret) {
    char *end;
    errno = 0;
    *ret = strtoll(line->at, &end, 0);
    if (end == line->at || errno != 0) {
        return fail(line, "a number is expected");
    }
    line->at = end;
    return true;
}

/* i8=N, i16=N, i32=N: big-endian, signed or unsigned. */
static bool read_integer(struct line *line, struct sg_buf *out) {
    char *end;
    long bits = strtol(line->at + 1, &end, 10);
    long long value;
    if (*line->at != 'i' || *end != '=' || (bits != 8 && bits != 16 && bits != 32)) {
        return fail(line, "unknown field");
    }
    line->at = end + 1;
    if (!read_number(line, &value)) {
        return false;
    }
    if (value < -(1LL << (bits - 1)) || value >= 1LL << bits) {
        return fail(line, "number out of range before");
    }
    for (long shift = bits - 8; shift >= 0; shift -= 8) {
        sg_buf_put_u8(out, (uint8_t)((unsigned long long)value >> shift));
    }
    return true;
}

/* FIELD or FIELD*N. */
static bool read_field(struct line *line, struct sg_buf *out) {
    size_t from = out->len;
    bool quoted = *line->at == '"' || *line->at == '\'';
    if (!(quoted ? read_quoted(line, out) : read_integer(line, out))) {
        return false;
    }
    if (*line->at != '*') {
        return true;
    }
    line->at++;
    long long times;
    size_t once = out->len - from;
    if (!read_number(line, &times) || times < 1 || times > 1000000) {
        return fail(line, "bad repeat count");
    }
    sg_buf_reserve(out, once * (size_t)times);
    for (long long i = 1; i < times; i++) {
        sg_buf_put(out, out->data + from, once);
    }
    return true;
}

static bool read_fields(struct line *line, struct sg_buf *out) {
    for (skip_blanks(line); *line->at; skip_blanks(line)) {
        if (!read_field(line, out)) {
            return false;
        }
    }
    return true;
}

static bool take_word(struct line *line, const char *word) {
    size_t len = strlen(word);
    if (strncmp(line->at, word, len) != 0 || (line->at[len] && line->at[len] != ' ')) {
        return false;
    }
    line->at += len;
    return true;
}

/* What follows F or B. */
static bool read_message(struct line *line, struct sg_buf *out) {
    skip_blanks(line);
    if (take_word(line, "raw")) {
        return read_fields(line, out);
    }
    if (take_word(line, "start-raw")) {
        line->transcript->begins_with_startup = true;
        return read_fields(line, out);
    }
    if (take_word(line, "byte")) {
        line->transcript->bytes_first++;
        return read_fields(line, out);
    }
    if (take_word(line, "start")) {
        line->transcript->begins_with_startup = true;
        sg_msg_begin(out, 0);
    } else if (*line->at && (line->at[1] == ' ' || !line->at[1])) {
        sg_msg_begin(out, (uint8_t)*line->at++);
    } else {
        return fail(line, "a message is expected");
    }
    if (!read_fields(line, out)) {
        return false;
    }
    sg_msg_end(out);
    return true;
}

static bool read_line(struct line *line, enum side *side) {
    struct transcript *transcript = line->transcript;
    switch (*line->at) {
    case 0:
    case '#':
        return true;
    case 'F':
    case 'B':
        *side = *line->at++ == 'F' ? SIDE_FRONTEND : SIDE_BACKEND;
        return read_message(line, &transcript->stream[*side]);
    case ' ':
        skip_blanks(line);
        if (line->at[0] == '=' && line->at[1] == ' ') {
            sg_buf_put(&transcript->expected[*side], line->at + 2, strlen(line->at + 2));
            sg_buf_put_u8(&transcript->expected[*side], '\n');
            return true;
        }
        return fail(line, "an indented line begins with =");
    default:
        return fail(line, "a line begins with #, F, B, or blanks and =");
    }
}

bool transcript_read(struct transcript *transcript, const char *path) {
    *transcript = (struct transcript){0};
    FILE *file = fopen(path, "r");
    if (!file) {
        (void)snprintf(transcript->error, sizeof transcript->error, "%s", strerror(errno));
        return false;
    }
    enum side side = SIDE_FRONTEND;
    char text[8192];
    bool ok = true;
    for (int number = 1; ok && fgets(text, sizeof text, file); number++) {
        text[strcspn(text, "\n")] = 0;
        struct line line = {text, transcript, number};
        ok = read_line(&line, &side);
    }
    (void)fclose(file);
    return ok;
}

void transcript_free(struct transcript *transcript) {
    for (int side = 0; side < 2; side++) {
        sg_buf_free(&transcript->stream[side]);
        sg_buf_free(&transcript->expected[side]);
    }
}
