/* Statements of clients in other encodings than UTF-8: where characters end, what names mean, what is inserted. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(encoding, names_as_the_server_takes_them) {
    static const struct {
        const char *name;
        enum sg_encoding encoding;
    } cases[] = {
        {"UTF8", SG_ENCODING_UTF8},
        {"unicode", SG_ENCODING_UTF8},
        {"Latin-1", SG_ENCODING_LATIN1},
        {"iso_8859_1", SG_ENCODING_LATIN1},
        {"ISO 8859-15", SG_ENCODING_LATIN9},
        {"win1252", SG_ENCODING_WIN1252},
        {"Shift_JIS", SG_ENCODING_SJIS},
        {"windows-932", SG_ENCODING_SJIS},
        {"GB18030", SG_ENCODING_GB18030},
        {"EUC_JIS_2004", SG_ENCODING_EUC_JIS_2004},
        {"koi8", SG_ENCODING_KOI8R},
        {"LATIN11", SG_ENCODING_OTHER},
        {"", SG_ENCODING_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(sg_encoding_from_name(sg_span_of(cases[i].name)), cases[i].encoding, "%s", cases[i].name);
    }
    for (unsigned i = 0; i < SG_ENCODING_OTHER; i++) {
        struct sg_span name = sg_span_of(sg_encoding_name((enum sg_encoding)i));
        cr_expect_eq(sg_encoding_from_name(name), (enum sg_encoding)i, "%s", name.ptr);
    }
}

Test(encoding, where_characters_end) {
    static const struct {
        enum sg_encoding encoding;
        const char *text;
        int characters; /* -1: not valid */
    } cases[] = {
        {SG_ENCODING_UTF8, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 4},
        {SG_ENCODING_UTF8, "\xc3", -1},
        {SG_ENCODING_UTF8, "\xc0\x80", -1},
        {SG_ENCODING_UTF8, "\xed\xa0\x80", -1},
        {SG_ENCODING_LATIN1, "a\xc3\xa9", 3},
        {SG_ENCODING_SJIS, "\x95\x5c\xb1'", 3},
        {SG_ENCODING_SJIS, "\x95'", -1},
        {SG_ENCODING_GB18030, "\x81\x30\x81\x30\x95\x5c", 2},
        {SG_ENCODING_GB18030, "\x81\x30\x81", -1},
        {SG_ENCODING_EUC_JP, "\x8f\xa2\xc3\x8e\xb1\xc9\xbd", 3},
        {SG_ENCODING_EUC_TW, "\x8e\xa2\xa1\xa1", 1},
        {SG_ENCODING_EUC_TW, "\x8f\xa1\xa1", -1},
        {SG_ENCODING_BIG5, "\xa5\x5c", 1},
        {SG_ENCODING_BIG5, "\xa5\x27", -1},
        {SG_ENCODING_SHIFT_JIS_2004, "\x82\xf5", 2}, /* a letter and a mark, to a server of UTF8 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sg_span text = sg_span_of(cases[i].text);
        bool is_valid = sg_encoding_is_valid(cases[i].encoding, text);
        cr_expect_eq(is_valid, cases[i].characters >= 0, "case %zu", i);
        if (is_valid) {
            size_t n = sg_encoding_count(cases[i].encoding, text, text.len);
            cr_expect_eq(n, (size_t)cases[i].characters, "case %zu: %zu", i, n);
            cr_expect_eq(sg_encoding_offset(cases[i].encoding, text, n), text.len);
        }
    }
}

/* ---- A table that only some encodings can name ---- */

/* "表é" (id, "能", note), renamed to "予", on a server of this encoding that has told what the characters are. */
static struct sg_snapshot *snapshot_on(enum sg_encoding server) {
    static const char *const codes[][4] = {
        /* UTF-8, SJIS, LATIN1, EUC_JP */
        {"表", "\x95\x5c", NULL, "\xc9\xbd"}, {"能", "\x94\x5c", NULL, "\xc7\xbd"},
        {"予", "\x97\x5c", NULL, "\xcd\xbd"}, {"é", NULL, "\xe9", "\x8f\xab\xb1"},
        {"É", NULL, "\xc9", "\x8f\xaa\xb1"},
    };
    static const enum sg_encoding encodings[] = {SG_ENCODING_SJIS, SG_ENCODING_LATIN1, SG_ENCODING_EUC_JP};
    static const struct sg_column columns[] = {
        {.name = "id", .type = "integer"}, {.name = "能", .type = "text"}, {.name = "note", .type = "text"}};
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    size_t relation = sg_catalog_add_relation(catalog, "public", "表", 'r');
    for (size_t i = 0; i < 3; i++) {
        sg_catalog_add_column(catalog, relation, &columns[i]);
    }
    relation = sg_catalog_add_relation(catalog, "public", "café", 'r');
    sg_catalog_add_column(catalog, relation, &columns[0]);
    sg_catalog_add_column(catalog, relation, &(struct sg_column){.name = "nickname", .type = "text"});
    sg_catalog_set_encoding(catalog, server);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        bool folds = server == SG_ENCODING_LATIN1 && strcmp(codes[i][0], "É") == 0;
        sg_catalog_add_character(catalog, codes[i][0], server == SG_ENCODING_LATIN1 ? 1 : 3, folds ? "é" : NULL);
        for (size_t k = 0; k < 3; k++) {
            if (codes[i][k + 1]) {
                sg_catalog_add_code(catalog, encodings[k], codes[i][0], sg_span_of(codes[i][k + 1]));
            }
        }
    }
    struct sg_mapping mappings[] = {
        {.migration = "m",
         .schema = "public",
         .table = "表",
         .old_name = "能",
         .new_name = "予",
         .phase = SG_PHASE_DUAL_WRITE,
         .shape = columns,
         .shape_len = 3},
        {.migration = "n",
         .schema = "public",
         .table = "café",
         .old_name = "nickname",
         .new_name = "nom",
         .phase = SG_PHASE_NEW_ONLY,
         .shape = columns,
         .shape_len = 1},
    };
    sg_catalog_add_column(catalog, 0, &(struct sg_column){.name = "予", .type = "text"});
    sg_catalog_add_column(catalog, 1, &(struct sg_column){.name = "nom", .type = "text"});
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, mappings, 2, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    return snapshot;
}

static void expect(struct sg_snapshot *snapshot, enum sg_encoding encoding, const char *sql, const char *wanted) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_request request = world_request(sql);
    request.encoding = encoding;
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    const char *got = !plan || plan->action == SG_PASS ? sql
                      : plan->action == SG_REWRITE     ? plan->sql.ptr
                                                       : plan->error->message;
    cr_expect_str_eq(got, wanted, "%s: %s\n  became %s", sg_encoding_name(encoding), sql, got);
    sg_rewriter_free(rewriter);
}

Test(encoding, names_are_found_and_written_in_the_clients_encoding) {
    struct sg_snapshot *s = snapshot_on(SG_ENCODING_UTF8);
    expect(s, SG_ENCODING_UTF8, "UPDATE 表 SET 能 = 'x'", "UPDATE 表 SET 能 = 'x', \"予\" = 'x'");
    expect(s, SG_ENCODING_SJIS, "UPDATE \x95\x5c SET \x94\x5c = E'\x95\x5c'",
           "UPDATE \x95\x5c SET \x94\x5c = E'\x95\x5c', \"\x97\x5c\" = E'\x95\x5c'");
    expect(s, SG_ENCODING_EUC_JP, "UPDATE \xc9\xbd SET \xc7\xbd = 'x'",
           "UPDATE \xc9\xbd SET \xc7\xbd = 'x', \"\xcd\xbd\" = 'x'");
    /* The same bytes in another encoding are another name. */
    expect(s, SG_ENCODING_LATIN1, "UPDATE \xc9\xbd SET \xc7\xbd = 'x'", "UPDATE \xc9\xbd SET \xc7\xbd = 'x'");
    expect(s, SG_ENCODING_LATIN1, "SELECT nickname FROM caf\xe9", "SELECT nom AS nickname FROM caf\xe9");
    expect(s, SG_ENCODING_LATIN1, "SELECT nickname \xb5 FROM \"caf\xe9\" \xc9",
           "SELECT nom \xb5 FROM \"caf\xe9\" \xc9");
    /* A name by its code points, where the encoding has no such characters: found, but nothing can be inserted. */
    expect(s, SG_ENCODING_LATIN1, "DELETE FROM U&\"\\8868\" WHERE U&\"!80fd\" UESCAPE '!' = '1'",
           "DELETE FROM U&\"\\8868\" WHERE U&\"!80fd\" UESCAPE '!' = '1'");
    expect(s, SG_ENCODING_LATIN1, "UPDATE U&\"\\8868\" SET U&\"\\80fd\" = '1'",
           "segue cannot rewrite this with \"?\": client_encoding LATIN1 has no character for it");
    sg_snapshot_unref(s);
}

Test(encoding, a_server_of_one_byte_folds_other_letters) {
    struct sg_snapshot *s = snapshot_on(SG_ENCODING_LATIN1);
    expect(s, SG_ENCODING_LATIN1, "SELECT NickName FROM CAF\xc9", "SELECT nom AS nickname FROM CAF\xc9");
    expect(s, SG_ENCODING_LATIN1, "SELECT nickname FROM \"caf\xc9\"", "SELECT nickname FROM \"caf\xc9\"");
    sg_snapshot_unref(s);
    s = snapshot_on(SG_ENCODING_UTF8);
    expect(s, SG_ENCODING_LATIN1, "SELECT nickname FROM CAF\xc9", "SELECT nickname FROM CAF\xc9");
    sg_snapshot_unref(s);
}

/* 0xfab1 is a character that has another code in SJIS, too. */
Test(encoding, characters_with_two_codes_are_doubtful) {
    struct sg_snapshot *s = snapshot_on(SG_ENCODING_UTF8);
    expect(s, SG_ENCODING_SJIS, "SELECT \x94\x5c AS \"\xfa\xb1\" FROM \x95\x5c",
           "segue cannot rewrite a name with characters that have two codes in client_encoding SJIS");
    expect(s, SG_ENCODING_SJIS, "SELECT \x97\x5c, '\xfa\xb1' FROM \x95\x5c",
           "SELECT \"\x94\x5c\" AS \"\x97\x5c\", '\xfa\xb1' FROM \x95\x5c");
    sg_snapshot_unref(s);
}

Test(encoding, what_is_no_text_is_for_the_server_to_refuse) {
    struct sg_snapshot *s = snapshot_on(SG_ENCODING_UTF8);
    expect(s, SG_ENCODING_UTF8, "SELECT nickname FROM \"café\" WHERE '\xff'",
           "SELECT nickname FROM \"café\" WHERE '\xff'");
    expect(s, SG_ENCODING_EUC_JP, "SELECT nickname, '\xc9' FROM caf\x8f\xab\xb1",
           "SELECT nickname, '\xc9' FROM caf\x8f\xab\xb1");
    sg_snapshot_unref(s);
}

/* ---- What the parser stumbles over ---- */

Test(encoding, comments_may_stand_where_the_grammar_looks_ahead) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *users = world_users(SG_PHASE_NEW_ONLY, 1);
    static const char *const cases[][2] = {
        {"SELECT 1 FROM users WHERE nickname NOT /* a */ IN ('b')",
         "SELECT 1 FROM users WHERE username NOT /* a */ IN ('b')"},
        {"SELECT 1 FROM users ORDER BY nickname NULLS -- a\n FIRST",
         "SELECT 1 FROM users ORDER BY username NULLS -- a\n FIRST"},
        {"UPDATE users SET nickname = U&'d!0061' /* a */ UESCAPE '!'",
         "UPDATE users SET username = U&'d!0061' /* a */ UESCAPE '!'"},
        {"UPDATE users SET nickname = 'a' -- b\n'c'", "UPDATE users SET username = 'a' -- b\n'c'"},
        {"UPDATE users SET nickname=-1", "UPDATE users SET username=-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = world_rewrite(rewriter, users, cases[i][0]);
        cr_expect_str_eq(got ? got : "refused", cases[i][1]);
    }
    /* Two strings with only a comment between are two, and no statement. */
    cr_expect_null(world_rewrite(rewriter, users, "UPDATE users SET nickname = 'a' /* b\n */ 'c'"));
    sg_snapshot_unref(users);
    sg_rewriter_free(rewriter);
}

Test(encoding, backslashes_in_plain_strings) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *users = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_request request = world_request("UPDATE users SET nickname = 'it\\'s', email = '\\\\' WHERE user_id=1");
    request.backslash_quotes = true;
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, users, &request);
    cr_assert_eq(plan->action, SG_REWRITE);
    cr_assert_str_eq(plan->sql.ptr,
                     "UPDATE users SET nickname = 'it\\'s', username = 'it\\'s', email = '\\\\' WHERE user_id=1");
    request.sql = sg_span_of("COPY users FROM STDIN (DELIMITER '\\t')");
    plan = sg_rewriter_plan(rewriter, users, &request);
    cr_assert_eq(plan->action, SG_REWRITE);
    cr_assert_str_eq(plan->sql.ptr, "COPY users (user_id, nickname, email, username) FROM STDIN (DELIMITER '\\t')");
    request.sql = sg_span_of("UPDATE users SET nickname = 'a\\', email = ' WHERE true; --'");
    plan = sg_rewriter_plan(rewriter, users, &request);
    cr_assert_str_eq(plan->sql.ptr,
                     "UPDATE users SET nickname = 'a\\', email = ', username = 'a\\', email = ' WHERE true; --'");
    request.sql = sg_span_of("UPDATE users SET nickname = 'a\\'");
    plan = sg_rewriter_plan(rewriter, users, &request);
    cr_assert_eq(plan->action, SG_REFUSE);
    cr_assert_str_eq(plan->error->message, "unterminated quoted string at or near \"'a\\'\"");
    sg_snapshot_unref(users);
    sg_rewriter_free(rewriter);
}
