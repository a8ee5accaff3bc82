/*
 * docs/config.md, docs/databases.md and docs/console.md hold the tables that the program itself is made from, between
 * two marks. With SEGUE_UPDATE=1 the tables are written anew; otherwise they must be there word for word.
 */
#include "proxy/admin/command.h"
#include "proxy/config/config.h"
#include "text_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN "<!-- from the source -->\n"
#define END   "<!-- to here -->\n"

static struct sg_arena arena;

static void setup(void) {
    sg_arena_init(&arena, 1u << 16);
}

static void teardown(void) {
    sg_arena_free(&arena);
}

TestSuite(reference_docs, .init = setup, .fini = teardown);

/* A `|` would end the cell. */
static void print_cell(FILE *out, const char *text) {
    fprintf(out, " ");
    for (; *text; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
    fprintf(out, " |");
}

static void print_config(FILE *out) {
    static const char *const changes[] = {
        [SG_CHANGE_RELOAD] = "HUP, RELOAD", [SG_CHANGE_RESTART] = "next start", [SG_CHANGE_LATER] = "not served yet"};
    fprintf(out, "| key | default | what it may be | taken up at | what it does |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sg_config_keys(); i++) {
        char kind[128];
        const char *dflt = sg_config_key_default(i);
        sg_config_key_kind(i, kind, sizeof(kind));
        fprintf(out, "| `%s` | %s%s%s |", sg_config_key_name(i), dflt[0] ? "`" : "", dflt, dflt[0] ? "`" : "");
        print_cell(out, kind);
        fprintf(out, " %s |", changes[sg_config_key_change(i)]);
        print_cell(out, sg_config_key_doc(i));
        fprintf(out, "\n");
    }
}

static void print_databases(FILE *out) {
    fprintf(out, "| key | default | what it may be | what it does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sg_database_keys(); i++) {
        char kind[128];
        const char *dflt = sg_database_key_default(i);
        sg_database_key_kind(i, kind, sizeof(kind));
        fprintf(out, "| `%s` | %s%s%s |", sg_database_key_name(i), dflt[0] ? "`" : "", dflt, dflt[0] ? "`" : "");
        print_cell(out, kind);
        print_cell(out, sg_database_key_doc(i));
        fprintf(out, "\n");
    }
}

static void print_commands(FILE *out) {
    fprintf(out, "| command | role | what it does |\n|---|---|---|\n");
    for (size_t row = 0; row < sg_command_rows(); row++) {
        enum sg_command_role role = sg_command_role(row);
        if (role != SG_ROLE_ADMIN && role != SG_ROLE_STATS)
            continue;
        fprintf(out, "| `%s` | %s | %s |\n", sg_command_syntax(row), role == SG_ROLE_ADMIN ? "admin" : "stats",
                sg_command_doc(row));
    }
}

static void check(const char *path, void (*print)(FILE *out)) {
    char *text = text_file_read(&arena, path), *table;
    size_t len;
    FILE *out = open_memstream(&table, &len);
    print(out);
    fclose(out);
    char *begin = strstr(text, BEGIN), *end = strstr(text, END);
    cr_assert(begin && end && begin < end, "%s has no place for its table", path);
    begin += strlen(BEGIN);
    if (getenv("SEGUE_UPDATE")) {
        FILE *file = fopen(text_file_path(&arena, path), "we");
        fprintf(file, "%.*s%s%s", (int)(begin - text), text, table, end);
        fclose(file);
    } else {
        cr_expect(len == (size_t)(end - begin) && memcmp(table, begin, len) == 0,
                  "%s is not what the program does; run test_reference_docs with SEGUE_UPDATE=1", path);
    }
    free(table);
}

Test(reference_docs, config) {
    check("docs/config.md", print_config);
}

Test(reference_docs, databases) {
    check("docs/databases.md", print_databases);
}

Test(reference_docs, console) {
    check("docs/console.md", print_commands);
}
