/* SQL that makes, runs and ends prepared statements: what a text does, in its order. */
#include "segue/prepared.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* "make:s run:s end:s all" of the text, and how many statements it has. */
static const char *read_as(const char *sql) {
    static char out[4096];
    static const char *const kinds[] = {[SG_PREPARED_MAKE] = "make",
                                        [SG_PREPARED_RUN] = "run",
                                        [SG_PREPARED_END] = "end",
                                        [SG_PREPARED_END_ALL] = "all"};
    struct sg_arena arena;
    struct sg_prepared_ops ops;
    sg_arena_init(&arena, 1024);
    sg_prepared_read(&arena, sg_span_of(sql), SG_ENCODING_UTF8, false, &ops);
    size_t len = (size_t)snprintf(out, sizeof out, "%zu", ops.statements);
    for (size_t i = 0; i < ops.n; i++) {
        const struct sg_prepared_op *op = &ops.v[i];
        len += (size_t)snprintf(out + len, sizeof out - len, " %s:%s", kinds[op->kind], op->name ? op->name : "?");
    }
    cr_assert(ops.n == 0 || sg_prepared_may_match(sg_span_of(sql)), "%s", sql);
    sg_arena_free(&arena);
    return out;
}

Test(prepared, one_statement) {
    static const struct {
        const char *sql, *ops;
    } cases[] = {
        {"prepare S as select 1", "1 make:s"},
        {" PREPARE \"S 1\"(int, numeric(10,2)) AS\nselect $1 ;\n", "1 make:S 1"},
        {"prepare s(int)as(select 1)", "1 make:s"},
        {"/* a */ PREPARE -- b\n s /* c */ AS SELECT 1 -- d", "1 make:s"},
        {"prepare transaction as select 1", "1 make:transaction"},
        {"prepare transaction 'x'", "1"},
        {"prepare U&\"\\0061\" as select 1", "1 make:a"},
        {"execute S(1, 'a')", "1 run:s"},
        {"--\nEXECUTE \"S\";", "1 run:S"},
        {"explain execute s", "1 run:s"},
        {"explain analyze verbose execute s(1)", "1 run:s"},
        {"explain (analyze, costs off) execute s(1)", "1 run:s"},
        {"explain analyze create temp table t as execute s", "1 run:s"},
        {"create table t as execute s(1) with no data", "1 run:s"},
        {"create unlogged table if not exists \"as\" (a, b) with (fillfactor = 70) tablespace x as execute s",
         "1 run:s"},
        {"create table t as select 1 as execute", "1"},
        {"create function f() returns int as 'execute s' language sql", "1"},
        {"create trigger t after insert on t execute function execute()", "1"},
        {"grant execute on function f to public", "1"},
        {"select 'execute s', \"prepare\", $$ deallocate all $$ -- discard all", "1"},
        {"deallocate s1", "1 end:s1"},
        {"DEALLOCATE PREPARE S1;", "1 end:s1"},
        {"  deallocate\n\t\"S 1\" ; ;", "1 end:S 1"},
        {"deallocate \"a\"\"b\"", "1 end:a\"b"},
        {"deallocate\"x\"", "1 end:x"},
        {"deallocate prepare", "1 end:prepare"},
        {"deallocate prepare prepare", "1 end:prepare"},
        {"deallocate prepare \"all\"", "1 end:all"},
        {"deallocate all", "1 all:?"},
        {"DEALLOCATE PREPARE ALL ;", "1 all:?"},
        {"discard all", "1 all:?"},
        {"discard plans", "1"},
        {"deallocate", "1"},
        {"deallocate \"\"", "1"},
        {"deallocated a", "1"},
        {"executes a", "1"},
        {"prepare", "1"},
        {"prepare s", "1"},
        {"explain", "1"},
        {"create", "1"},
        {"", "0"},
        {" ; -- execute a", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(read_as(cases[i].sql), cases[i].ops, "%s is read as %s", cases[i].sql, read_as(cases[i].sql));
}

Test(prepared, several_statements) {
    cr_assert_str_eq(read_as("deallocate p; prepare p as select 1;; execute p; select 2; discard all"),
                     "5 end:p make:p run:p all:?");
    cr_assert_str_eq(read_as("create function f() returns int begin atomic select 1; select 2; end; execute p"),
                     "4 run:p");
    cr_assert_str_eq(read_as("create rule r as on insert to t do also (select 1; select 2); execute p"), "2 run:p");
    cr_assert_str_eq(read_as("execute a; execute b; execute c; execute d; execute e; execute f"),
                     "6 run:a run:b run:c run:d run:e run:f");
}

Test(prepared, the_statement_is_cut_out_of_the_text) {
    struct sg_arena arena;
    struct sg_prepared_ops ops;
    sg_arena_init(&arena, 1024);
    sg_prepared_read(&arena, sg_span_of("select 1; /* a */ prepare p as select ';' /* b */ ; -- c\nexecute p"),
                     SG_ENCODING_UTF8, false, &ops);
    cr_assert(sg_span_eq_cstr(ops.v[0].sql, "prepare p as select ';'"));
    cr_assert(sg_span_eq_cstr(ops.v[1].sql, "execute p"));
    sg_prepared_read(&arena, sg_span_of(" /* a */ prepare p as select 1;"), SG_ENCODING_UTF8, false, &ops);
    cr_assert(sg_span_eq_cstr(ops.v[0].sql, " /* a */ prepare p as select 1;"), "one statement is the whole text");
    sg_arena_free(&arena);
}

Test(prepared, a_long_name_is_cut_as_the_server_cuts_it) {
    char sql[200] = "deallocate ";
    memset(sql + strlen(sql), 'n', 100);
    cr_assert_eq(strlen(read_as(sql)), strlen("1 end:") + 63);
    char wide[200] = "deallocate ";
    memset(wide + strlen(wide), 'n', 62);
    strcat(wide, "\xc3\xa9");
    cr_assert_eq(strlen(read_as(wide)), strlen("1 end:") + 62);
}

/* Every word at every place, in either case, with nothing or something behind it. */
Test(prepared, the_words_are_found_wherever_they_stand) {
    static const char *const words[] = {"prepare", "EXECUTE", "Discard", "dealLOCate"};
    char text[128];
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        for (size_t at = 0; at < 70; at++) {
            for (size_t behind = 0; behind < 30; behind++) {
                size_t len = strlen(words[w]);
                memset(text, '.', sizeof text);
                memcpy(text + at, words[w], len);
                struct sg_span span = {text, at + len + behind};
                cr_assert(sg_prepared_may_match(span));
                span.len = at + len - 1;
                cr_assert_not(sg_prepared_may_match(span));
            }
        }
    }
    cr_assert_not(
        sg_prepared_may_match(sg_span_of("SELECT preparation, executor, disc, deal FROM expected WHERE d = e")));
    cr_assert_not(sg_prepared_may_match(sg_span_of("")));
}

Test(prepared, read_as_the_session_is_set) {
    struct sg_arena arena;
    struct sg_prepared_ops ops;
    sg_arena_init(&arena, 1024);
    struct sg_span quoted = sg_span_of("select 'it\\'; execute p; --'; execute q");
    sg_prepared_read(&arena, quoted, SG_ENCODING_UTF8, false, &ops);
    cr_assert(ops.n == 1 && strcmp(ops.v[0].name, "p") == 0);
    sg_prepared_read(&arena, quoted, SG_ENCODING_UTF8, true, &ops);
    cr_assert(ops.n == 1 && strcmp(ops.v[0].name, "q") == 0);
    /* What the server makes of it depends on its own encoding. */
    struct sg_span latin = sg_span_of("prepare \"\xe9\" as select 1");
    sg_prepared_read(&arena, latin, SG_ENCODING_LATIN1, false, &ops);
    cr_assert(ops.n == 1 && !ops.v[0].name);
    sg_prepared_read(&arena, latin, SG_ENCODING_UTF8, false, &ops);
    cr_assert(ops.n == 0 && ops.statements == 0, "no server takes this");
    sg_arena_free(&arena);
}
