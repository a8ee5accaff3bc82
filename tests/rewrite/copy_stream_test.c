/* The COPY transformer: what becomes of data, however they are cut. */
#include "segue/copy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct output {
    char *bytes;
    size_t len, cap;
};

static void put(void *owner, const uint8_t *bytes, size_t len) {
    struct output *out = owner;
    cr_assert_gt(len, 0, "an empty piece");
    if (out->len + len > out->cap) {
        out->cap = (out->len + len) * 2;
        out->bytes = realloc(out->bytes, out->cap);
    }
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

/* Each piece in memory of its own size, gone before the next comes: nothing may be read outside of it, or later. */
static void feed(struct sg_copy_stream *stream, const char *bytes, size_t len) {
    uint8_t *chunk = malloc(len ? len : 1);
    memcpy(chunk, bytes, len);
    sg_copy_stream_feed(stream, chunk, len);
    memset(chunk, 'Z', len);
    free(chunk);
}

/* cuts: 0: whole; 1: in two at `at`; 2: byte by byte. */
static struct output run(const struct sg_copy *copy, struct sg_span in, int cuts, size_t at) {
    struct output out = {0};
    struct sg_copy_stream *stream = sg_copy_stream_new(copy, put, &out);
    if (cuts == 1) {
        feed(stream, in.ptr, at);
        feed(stream, in.ptr + at, in.len - at);
    } else if (cuts == 2) {
        for (size_t i = 0; i < in.len; i++)
            feed(stream, in.ptr + i, 1);
    } else {
        feed(stream, in.ptr, in.len);
    }
    sg_copy_stream_end(stream);
    sg_copy_stream_free(stream);
    return out;
}

static void check_once(const struct sg_copy *copy, struct sg_span in, struct sg_span want, int cuts, size_t at) {
    struct output out = run(copy, in, cuts, at);
    bool same = out.len == want.len && (want.len == 0 || memcmp(out.bytes, want.ptr, want.len) == 0);
    cr_assert(same, "%.*s\ncut %d at %zu became\n%.*s\nnot\n%.*s", (int)in.len, in.ptr, cuts, at, (int)out.len,
              out.bytes ? out.bytes : "", (int)want.len, want.ptr);
    free(out.bytes);
}

static void check_bytes(const struct sg_copy *copy, struct sg_span in, struct sg_span want) {
    check_once(copy, in, want, 0, 0);
    check_once(copy, in, want, 2, 0);
    for (size_t at = 0; at <= in.len; at++)
        check_once(copy, in, want, 1, at);
}

static void check(const struct sg_copy *copy, const char *in, const char *want) {
    check_bytes(copy, sg_span_of(in), sg_span_of(want));
}

#define CHECK_LIT(copy, in, want) check_bytes((copy), SG_SPAN_LIT(in), SG_SPAN_LIT(want))

#define NAMES .old_name = "nickname", .new_name = "username"

static const struct sg_copy_mark second_twice[] = {
    {.column = 1, .change = SG_COPY_REPEAT, NAMES, .here = {"nickname", 8}, .repeated = {"username", 8}}};
static const struct sg_copy_mark first_twice[] = {{.column = 0, .change = SG_COPY_REPEAT, NAMES}};
static const struct sg_copy_mark first_dropped[] = {{.column = 0, .change = SG_COPY_DROP, NAMES}};
static const struct sg_copy_mark second_dropped[] = {{.column = 1, .change = SG_COPY_DROP, NAMES}};
static const struct sg_copy_mark last_dropped[] = {{.column = 2, .change = SG_COPY_DROP, NAMES}};
static const struct sg_copy_mark two_dropped[] = {{.column = 0, .change = SG_COPY_DROP, NAMES},
                                                  {.column = 1, .change = SG_COPY_DROP, NAMES}};
static const struct sg_copy_mark mixed[] = {{.column = 0, .change = SG_COPY_REPEAT, NAMES},
                                            {.column = 1, .change = SG_COPY_DROP, NAMES},
                                            {.column = 2, .change = SG_COPY_REPEAT, NAMES}};
static const struct sg_copy_mark renamed[] = {
    {.column = 1, .change = SG_COPY_RENAME, NAMES, .here = {"\"username\"", 10}, .repeated = {"", 0}}};

static struct sg_copy text(uint16_t columns, const struct sg_copy_mark *marks, uint16_t n) {
    struct sg_copy copy = {.format = SG_COPY_TEXT, .delimiter = '\t', .columns = columns, .marks = marks};
    copy.marks_len = n;
    for (size_t i = 0; i < n; i++) {
        copy.repeats += marks[i].change == SG_COPY_REPEAT;
        copy.drops += marks[i].change == SG_COPY_DROP;
    }
    return copy;
}

static struct sg_copy csv(uint16_t columns, const struct sg_copy_mark *marks, uint16_t n) {
    struct sg_copy copy = text(columns, marks, n);
    copy.format = SG_COPY_CSV;
    copy.delimiter = ',';
    copy.quote = copy.escape = '"';
    return copy;
}

static struct sg_copy binary(uint16_t columns, const struct sg_copy_mark *marks, uint16_t n) {
    struct sg_copy copy = text(columns, marks, n);
    copy.format = SG_COPY_BINARY;
    return copy;
}

/* ---- Text ---- */

Test(copy_text, repeats_a_field_at_the_end_of_its_row) {
    struct sg_copy copy = text(3, second_twice, 1);
    check(&copy, "1\tann\ta@x\n2\t\\N\t\n", "1\tann\ta@x\tann\n2\t\\N\t\t\\N\n");
    copy = text(2, second_twice, 1);
    check(&copy, "1\tann\n2\t\n", "1\tann\tann\n2\t\t\n");
    copy = text(1, first_twice, 1);
    check(&copy, "ann\n\nb\n", "ann\tann\n\t\nb\tb\n");
}

Test(copy_text, nothing_at_all) {
    struct sg_copy copy = text(2, second_twice, 1);
    check(&copy, "", "");
    check(&copy, "\\.\n", "\\.\n");
    check(&copy, "\\.", "\\.");
}

Test(copy_text, other_line_ends) {
    struct sg_copy copy = text(2, second_twice, 1);
    check(&copy, "1\tann\r\n2\tbob\r\n", "1\tann\tann\r\n2\tbob\tbob\r\n");
    check(&copy, "1\tann\r2\tbob\r", "1\tann\tann\r2\tbob\tbob\r");
    check(&copy, "1\tann\n2\tbob", "1\tann\tann\n2\tbob\tbob");
}

Test(copy_text, a_field_alone_and_carriage_returns) {
    struct sg_copy copy = text(1, first_twice, 1);
    check(&copy, "ann\r\nbob\r\n", "ann\tann\r\nbob\tbob\r\n");
}

Test(copy_text, escapes_are_left_alone) {
    struct sg_copy copy = text(2, second_twice, 1);
    check(&copy, "1\ta\\\tb\n", "1\ta\\\tb\ta\\\tb\n");
    check(&copy, "1\ta\\\nb\n", "1\ta\\\nb\ta\\\nb\n");
    check(&copy, "1\ta\\\\\n", "1\ta\\\\\ta\\\\\n");
    check(&copy, "1\\\\\tb\n", "1\\\\\tb\tb\n");
    check(&copy, "1\ta\\\\.b\n", "1\ta\\\\.b\ta\\\\.b\n");
}

Test(copy_text, the_end_marker_ends_the_rows) {
    struct sg_copy copy = text(2, second_twice, 1);
    check(&copy, "1\tann\n\\.\n2\tbob\n", "1\tann\tann\n\\.\n2\tbob\n");
    /* To the server what stands before the marker on its line is a row. */
    check(&copy, "1\tann\\.\n2\tbob\n", "1\tann\tann\\.\n2\tbob\n");
}

Test(copy_text, a_backslash_at_the_very_end_escapes_nothing) {
    struct sg_copy copy = text(2, second_twice, 1);
    check(&copy, "1\tann\\", "1\tann\tann");
    check(&copy, "\\", "\\");
    copy = text(1, first_twice, 1);
    check(&copy, "\\", "\t");
}

Test(copy_text, a_row_of_the_wrong_length_keeps_being_wrong) {
    struct sg_copy copy = text(3, second_twice, 1); /* the server expects four */
    check(&copy, "1\tann\n", "1\tann\n");
    check(&copy, "1\n\n", "1\n\n");
    check(&copy, "1\tann\tx\ty\n", "1\tann\tx\ty\tann\n");
}

Test(copy_text, another_delimiter) {
    struct sg_copy copy = text(2, second_twice, 1);
    copy.delimiter = '|';
    check(&copy, "1|ann\n2|b\\|c\n", "1|ann|ann\n2|b\\|c|b\\|c\n");
}

Test(copy_text, a_dropped_field_takes_one_delimiter_along) {
    struct sg_copy first = text(3, first_dropped, 1), second = text(3, second_dropped, 1),
                   last = text(3, last_dropped, 1);
    struct sg_copy two = text(3, two_dropped, 2);
    check(&first, "a\tb\tc\nd\te\tf\n", "b\tc\ne\tf\n");
    check(&second, "a\tb\tc\nd\te\tf", "a\tc\nd\tf");
    check(&last, "a\tb\tc\r\nd\te\tf\r\n", "a\tb\r\nd\te\r\n");
    check(&two, "a\tb\tc\nd\te\tf\n", "c\nf\n");
}

Test(copy_text, a_short_row_does_not_become_right_by_dropping) {
    struct sg_copy last = text(3, last_dropped, 1), first = text(2, first_dropped, 1);
    check(&last, "a\tb\n", "a\tb\t\n");
    check(&last, "a\n", "a\n");
    check(&last, "a\tb\tc\td\n", "a\tb\td\n");
    check(&first, "a\n\n", "\t\n\t\n");
}

Test(copy_text, a_last_line_of_dropped_fields_only_is_still_seen) {
    struct sg_copy first = text(3, first_dropped, 1), two = text(3, two_dropped, 2);
    check(&first, "a", "\n");
    check(&first, "a\\.", "\n\\.");
    check(&two, "a\tb", "\t");
    check(&two, "\\", "\t");
    check(&first, "\\", "\\");
}

Test(copy_text, repeated_and_dropped_in_one_row) {
    struct sg_copy copy = text(4, mixed, 3);
    check(&copy, "a\tb\tc\td\ne\tf\tg\th\n", "a\tc\td\ta\tc\ne\tg\th\te\tg\n");
    check(&copy, "a\tb\tc\n", "a\tc\n");
}

Test(copy_text, a_header_is_passed_or_gets_names) {
    struct sg_copy copy = text(2, second_twice, 1);
    copy.header = SG_COPY_HEADER;
    check(&copy, "what\tever\tis\there\n1\tann\n", "what\tever\tis\there\n1\tann\tann\n");
    copy.header = SG_COPY_HEADER_MATCH;
    check(&copy, "id\tnickname\n1\tann\n", "id\tnickname\tusername\n1\tann\tann\n");
    check(&copy, "id\tusername\n1\tann\n", "id\tnickname\tusername\n1\tann\tann\n");
    check(&copy, "id\tother\n1\tann\n", "id\tother\tusername\n1\tann\tann\n");
    check(&copy, "id\n1\tann\n", "id\n1\tann\tann\n");
    /* A line feed, and no name. */
    check(&copy, "id\t\\nickname\n1\tann\n", "id\t\\nickname\tusername\n1\tann\tann\n");
    check(&copy, "id\tnick\\name\n1\tann\n", "id\tnick\\name\tusername\n1\tann\tann\n");
    check(&copy, "id\tnic\\kname\n1\tann\n", "id\tnickname\tusername\n1\tann\tann\n");
}

Test(copy_text, second_bytes_that_look_like_a_backslash) {
    struct sg_copy copy = text(2, second_twice, 1);
    copy.encoding = SG_COPY_SJIS; /* 0x95 0x5c is one character */
    check(&copy, "1\t\x95\x5c\n2\t\xb1\\\\\n", "1\t\x95\x5c\t\x95\x5c\n2\t\xb1\\\\\t\xb1\\\\\n");
    check(&copy, "1\t\\\x95\x5c\n2\tb\n", "1\t\\\x95\x5c\t\\\x95\x5c\n2\tb\tb\n");
    copy.encoding = SG_COPY_DOUBLE;
    check(&copy, "1\t\xb3\x5c\n", "1\t\xb3\x5c\t\xb3\x5c\n");
    copy.encoding = SG_COPY_GB18030;
    check(&copy, "1\t\x81\x30\x81\x30\n2\t\x81\x5c\n",
          "1\t\x81\x30\x81\x30\t\x81\x30\x81\x30\n2\t\x81\x5c\t\x81\x5c\n");
    copy.encoding = SG_COPY_JOHAB;
    check(&copy, "1\t\x8f\x5c\x5c\n", "1\t\x8f\x5c\x5c\t\x8f\x5c\x5c\n");
    copy.encoding = SG_COPY_SINGLE;
    check(&copy, "1\t\xe5\x90\x8d\n", "1\t\xe5\x90\x8d\t\xe5\x90\x8d\n");
}

/* ---- CSV ---- */

Test(copy_csv, quoted_fields) {
    struct sg_copy copy = csv(3, second_twice, 1);
    check(&copy, "1,\"a,\"\"b\"\"\nc\",x\n2,,\n", "1,\"a,\"\"b\"\"\nc\",x,\"a,\"\"b\"\"\nc\"\n2,,,\n");
    check(&copy, "1,a\"b,\"c,\"d,e\",x\r\n", "1,a\"b,\"c,\"d,e\",x,a\"b,\"c\r\n");
}

Test(copy_csv, another_escape) {
    struct sg_copy copy = csv(2, second_twice, 1);
    copy.escape = '\\';
    check(&copy, "1,\"a\\\"\n,b\"\n2,\"\\\\\"\n3,a\\,b\n",
          "1,\"a\\\"\n,b\",\"a\\\"\n,b\"\n2,\"\\\\\",\"\\\\\"\n3,a\\,b,a\\\n");
    copy.quote = copy.escape = '\'';
    check(&copy, "1,'a''\n,\"'\n", "1,'a''\n,\"','a''\n,\"'\n");
}

Test(copy_csv, the_end_marker_only_alone_on_a_line) {
    struct sg_copy copy = csv(2, second_twice, 1), one = csv(1, first_twice, 1);
    check(&copy, "1,ann\n\\.\n2,bob\n", "1,ann,ann\n\\.\n2,bob\n");
    check(&copy, "1,\\.\n2,bob\n", "1,\\.,\\.\n2,bob,bob\n");
    check(&copy, "\\.,ann\n", "\\.,ann,ann\n");
    check(&one, "a\n\\.x\n\"\\.\"\n\\.\nb\n", "a,a\n\\.x,\\.x\n\"\\.\",\"\\.\"\n\\.\nb\n");
    check(&one, "\\.", "\\.,\\.");
    one = csv(2, first_dropped, 1);
    check(&one, "a,b\n\\.\nc\n", "b\n\\.\nc\n");
}

Test(copy_csv, quotes_that_do_not_end_are_left_to_the_server) {
    struct sg_copy copy = csv(2, second_twice, 1);
    check(&copy, "1,\"ann\n2,bob\n", "1,\"ann\n2,bob\n");
}

Test(copy_csv, quotes_that_do_not_end_in_a_field_that_is_held_back) {
    struct sg_copy copy = csv(3, last_dropped, 1);
    check(&copy, "1,x,\"ann\n2,y,z\n", "1,x,\"");
    copy.header = SG_COPY_HEADER_MATCH;
    check(&copy, "id,\"nick", "id,\"nick");
    copy = csv(2, second_twice, 1);
    copy.header = SG_COPY_HEADER_MATCH;
    check(&copy, "id,\"nickname", "id,\"nickname");
}

Test(copy_csv, unfinished_last_line) {
    struct sg_copy copy = csv(2, second_twice, 1);
    check(&copy, "1,ann\n2,\"b\"", "1,ann,ann\n2,\"b\",\"b\"");
}

Test(copy_csv, headers) {
    struct sg_copy copy = csv(2, renamed, 1);
    copy.header = SG_COPY_HEADER_MATCH;
    check(&copy, "id,nickname\n1,ann\n", "id,\"username\"\n1,ann\n");
    check(&copy, "id,\"user\"\"name\"\n1,ann\n", "id,\"user\"\"name\"\n1,ann\n");
    check(&copy, "id,\"nick\"name\n1,ann\n", "id,\"username\"\n1,ann\n");
    copy = csv(2, second_twice, 1);
    copy.header = SG_COPY_HEADER;
    check(&copy, "\"a\nb\",c\n1,ann\n", "\"a\nb\",c\n1,ann,ann\n");
    copy = csv(3, second_dropped, 1);
    copy.header = SG_COPY_HEADER_MATCH;
    check(&copy, "id,username,x\n1,ann,y\n", "id,x\n1,y\n");
}

Test(copy_csv, second_bytes_that_look_like_a_quote) {
    struct sg_copy copy = csv(2, second_twice, 1);
    copy.encoding = SG_COPY_DOUBLE;
    copy.quote = copy.escape = '|';
    check(&copy, "1,\xa1|x\n2,|\xa1|,|\n", "1,\xa1|x,\xa1|x\n2,|\xa1|,|,|\xa1|,|\n");
}

/* ---- Binary ---- */

#define HEAD "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"

Test(copy_binary, repeats_and_counts_anew) {
    struct sg_copy copy = binary(2, second_twice, 1);
    CHECK_LIT(&copy,
              HEAD "\0\2\0\0\0\1a\0\0\0\2bc"
                   "\0\2\0\0\0\0\377\377\377\377"
                   "\377\377",
              HEAD "\0\3\0\0\0\1a\0\0\0\2bc\0\0\0\2bc"
                   "\0\3\0\0\0\0\377\377\377\377\377\377\377\377"
                   "\377\377");
}

Test(copy_binary, a_header_extension_is_passed) {
    struct sg_copy copy = binary(1, first_twice, 1);
    CHECK_LIT(&copy, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\3xyz\0\1\0\0\0\1a\377\377",
              "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\3xyz\0\2\0\0\0\1a\0\0\0\1a\377\377");
}

Test(copy_binary, drops) {
    struct sg_copy first = binary(3, first_dropped, 1), last = binary(3, last_dropped, 1), all = binary(4, mixed, 3);
    CHECK_LIT(&first, HEAD "\0\3\0\0\0\1a\0\0\0\1b\0\0\0\1c\377\377", HEAD "\0\2\0\0\0\1b\0\0\0\1c\377\377");
    CHECK_LIT(&last, HEAD "\0\3\0\0\0\1a\0\0\0\1b\377\377\377\377\377\377", HEAD "\0\2\0\0\0\1a\0\0\0\1b\377\377");
    CHECK_LIT(&all, HEAD "\0\4\0\0\0\1a\0\0\0\1b\0\0\0\1c\0\0\0\1d\377\377",
              HEAD "\0\5\0\0\0\1a\0\0\0\1c\0\0\0\1d\0\0\0\1a\0\0\0\1c\377\377");
}

Test(copy_binary, what_is_wrong_stays_wrong) {
    struct sg_copy copy = binary(2, second_twice, 1), drop = binary(3, last_dropped, 1);
    CHECK_LIT(&copy, "PGCOPY\n\377\r\nX\0\0\0\0\0\0\0\0\0\2", "PGCOPY\n\377\r\nX\0\0\0\0\0\0\0\0\0\2");
    CHECK_LIT(&copy, "PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0\0\2", "PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0\0\2");
    CHECK_LIT(&copy, HEAD "\0\1\0\0\0\1a\377\377", HEAD "\0\1\0\0\0\1a\377\377");
    /* Three are what the server expects, but not of this client. */
    CHECK_LIT(&copy, HEAD "\0\3\0\0\0\1a\0\0\0\1b\0\0\0\1c", HEAD "\0\2\0\0\0\1a\0\0\0\1b\0\0\0\1c");
    CHECK_LIT(&copy, HEAD "\377\376\0\0", HEAD "\377\376\0\0");
    CHECK_LIT(&copy, HEAD "\0\2\377\377\377\376xyz", HEAD "\0\3\377\377\377\376xyz");
    CHECK_LIT(&drop, HEAD "\0\3\0\0\0\0\0\0\0\0\377\377\377\376xyz", HEAD "\0\2\0\0\0\0\0\0\0\0\377\377\377\376xyz");
    /* An end inside of a field that the server never sees. */
    CHECK_LIT(&drop, HEAD "\0\3\0\0\0\0\0\0\0\0\0\0\0\2x", HEAD "\0\2\0\0\0\0\0\0\0\0\0\0");
}

Test(copy_binary, rows_behind_the_trailer_are_none) {
    struct sg_copy copy = binary(1, first_twice, 1);
    CHECK_LIT(&copy, HEAD "\377\377\0\1\0\0\0\1a", HEAD "\377\377\0\1\0\0\0\1a");
}
