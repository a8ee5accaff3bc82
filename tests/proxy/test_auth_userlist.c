/* auth_file: what PgBouncer writes and reads, and what is wrong with one that cannot be used. */
#include "proxy/auth/userlist.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void salt_of(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]) {
    snprintf(ret_salt, SG_SCRAM_SALT_TEXT, "AAAAAAAAAAAAAAAAAAAAAA==");
}

static struct sg_userlist *parse(const char *text, struct sg_config_faults *faults) {
    return sg_userlist_parse("users.txt", sg_span_of(text), salt_of, faults);
}

Test(userlist, reads_what_pgbouncer_reads) {
    struct sg_config_faults faults = {0};
    struct sg_userlist *list = parse("; a comment\n"
                                     "# another\n"
                                     "\n"
                                     "  \"alice\"   \"pass word\"\n"
                                     "\"b\"\"ob\"\t\"quo\"\"te\" \"ignored\" further\r\n"
                                     "\"carol\" \"md5d41d8cd98f00b204e9800998ecf8427e\"\n"
                                     "\"dave\" \"\"\n"
                                     "\"\xc3\xa4\" \"x\"",
                                     &faults);
    cr_assert_not_null(list);
    cr_assert_eq(faults.len, 0);
    const struct sg_secret *alice = sg_userlist_find(list, "alice");
    cr_assert_eq(alice->kind, SG_SECRET_PLAIN);
    cr_assert_str_eq(alice->password, "pass word");
    cr_assert_eq(alice->scram.iterations, SG_SCRAM_ITERATIONS); /* ready for SCRAM */
    cr_assert_str_eq(sg_userlist_find(list, "b\"ob")->password, "quo\"te");
    cr_assert_eq(sg_userlist_find(list, "carol")->kind, SG_SECRET_MD5);
    cr_assert_eq(sg_userlist_find(list, "dave")->kind, SG_SECRET_NONE);
    cr_assert_not_null(sg_userlist_find(list, "\xc3\xa4"));
    cr_assert_null(sg_userlist_find(list, "Alice"));
    cr_assert_null(sg_userlist_find(list, ""));
    sg_userlist_free(list);
}

Test(userlist, tells_every_fault_and_no_secret) {
    struct sg_config_faults faults = {0};
    cr_assert_null(parse("\"a\" \"hush1\"\n"
                         "b \"hush2\"\n"
                         "\"c\" \"hush3\n"
                         "\"d\"\n"
                         "\"\" \"hush4\"\n"
                         "\"a\" \"hush5\"\n"
                         "\"e\" \"SCRAM-SHA-256$4096:hush6\"\n",
                         &faults));
    static const struct {
        int line;
        const char *says;
    } expected[] = {{2, "double quotes"}, {3, "double quotes"}, {4, "double quotes"},
                    {5, "empty"},         {6, "on line 1"},     {7, "damaged"}};
    cr_assert_eq(faults.len, 6);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(faults.list[i].line, expected[i].line);
        cr_assert(strstr(faults.list[i].message, expected[i].says), "%s", faults.list[i].message);
        cr_assert_null(strstr(faults.list[i].message, "hush"));
    }
    sg_config_faults_free(&faults);
}

Test(userlist, tells_of_a_nul_byte_and_a_file_that_is_not_there) {
    struct sg_config_faults faults = {0};
    cr_assert_null(sg_userlist_parse("users.txt", SG_SPAN_LIT("\"a\0b\" \"x\"\n"), salt_of, &faults));
    cr_assert_null(sg_userlist_read("/nowhere/users.txt", salt_of, &faults));
    cr_assert_eq(faults.len, 2);
    cr_assert_not_null(strstr(faults.list[1].message, "No such file"));
    sg_config_faults_free(&faults);
}

Test(userlist, an_empty_one_has_nobody) {
    struct sg_config_faults faults = {0};
    struct sg_userlist *list = parse("", &faults);
    cr_assert_not_null(list);
    cr_assert_null(sg_userlist_find(list, "a"));
    sg_userlist_free(list);
}
