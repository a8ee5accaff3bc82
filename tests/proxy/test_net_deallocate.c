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
