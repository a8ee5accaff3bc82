/* SQL that ends prepared statements. */
#include "proxy/net/deallocate.h"

#include <criterion/criterion.h>

static const char *read_as(const char *sql) {
    static char name[SG_NAME_BYTES];
    switch (sg_deallocation_of(sg_span_of(sql), name)) {
    case SG_DEALLOCATE_ONE:
        return name;
    case SG_DEALLOCATE_ALL:
        return "*";
    case SG_DEALLOCATE_NONE:
        break;
    }
    return "-";
}

Test(deallocate, what_a_text_ends) {
    static const struct {
        const char *sql, *name;
    } cases[] = {
        {"deallocate s1", "s1"},
        {"DEALLOCATE PREPARE S1;", "s1"},
        {"  deallocate\n\t\"S 1\" ; ;", "S 1"},
        {"deallocate \"a\"\"b\"", "a\"b"},
        {"deallocate\"x\"", "x"},
        {"deallocate prepare", "prepare"},
        {"deallocate prepare prepare", "prepare"},
        {"deallocate prepare \"all\"", "all"},
        {"deallocate all", "*"},
        {"DEALLOCATE PREPARE ALL ;", "*"},
        {"discard all", "*"},
        {"discard plans", "-"},
        {"deallocate", "-"},
        {"deallocate a; select 1", "-"},
        {"deallocate a, b", "-"},
        {"deallocate \"open", "-"},
        {"deallocate \"\"", "-"},
        {"deallocated a", "-"},
        {"select 1", "-"},
        {"", "-"},
        {";", "-"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_str_eq(read_as(cases[i].sql), cases[i].name, "%s is read as %s", cases[i].sql, read_as(cases[i].sql));
    }
}

Test(deallocate, a_long_name_is_cut_as_the_server_cuts_it) {
    char sql[200] = "deallocate ";
    memset(sql + strlen(sql), 'n', 100);
    cr_assert_eq(strlen(read_as(sql)), 63);
}

Test(deallocate, sql_that_makes_and_runs_statements) {
    static const struct {
        const char *sql;
        enum sg_sql_prepared kind;
        const char *name, *inner;
        bool has_types;
    } cases[] = {
        {"prepare S as select 1", SG_SQL_PREPARE, "s", "select 1", false},
        {" PREPARE \"S 1\"(int, numeric(10,2)) AS\nselect $1 ;\n", SG_SQL_PREPARE, "S 1", "select $1", true},
        {"prepare s(int)as(select 1)", SG_SQL_PREPARE, "s", "(select 1)", true},
        {"execute S(1, 'a')", SG_SQL_EXECUTE, "s", "", false},
        {"EXECUTE \"S\";", SG_SQL_EXECUTE, "S", "", false},
        {"prepare transaction 'x'", SG_SQL_OTHER, "", "", false},
        {"prepare s as", SG_SQL_OTHER, "", "", false},
        {"prepare s(int as select 1", SG_SQL_OTHER, "", "", false},
        {"prepare s as select 1; select 2", SG_SQL_OTHER, "", "", false},
        {"execute a; execute b", SG_SQL_OTHER, "", "", false},
        {"executes a", SG_SQL_OTHER, "", "", false},
        {"", SG_SQL_OTHER, "", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_sql_statement found = sg_sql_statement_of(sg_span_of(cases[i].sql));
        cr_assert_eq(found.kind, cases[i].kind, "%s", cases[i].sql);
        if (found.kind != SG_SQL_OTHER) {
            cr_assert_str_eq(found.name, cases[i].name);
            cr_assert(sg_span_eq_cstr(found.inner, cases[i].inner), "%s", cases[i].sql);
            cr_assert(found.kind == SG_SQL_EXECUTE || found.has_types == cases[i].has_types, "%s", cases[i].sql);
        }
    }
}
