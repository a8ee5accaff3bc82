/*
 * The console's parser against console/commands.md: each fenced block holds statements on lines that begin with "> ",
 * and below them what they are read as. SEGUE_UPDATE=1 writes the file anew, to be judged in the diff.
 */
#include "proxy/admin/command.h"
#include "proxy/admin/lexer.h"
#include "text_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sg_arena arena;

static void setup(void) {
    sg_arena_init(&arena, 1u << 20);
}

static void teardown(void) {
    sg_arena_free(&arena);
}

TestSuite(console_commands, .init = setup, .fini = teardown);

static void print_slot(FILE *out, const char *name, const char *value) {
    if (value)
        fprintf(out, " %s=<%s>", name, value);
}

static void print_command(FILE *out, const struct sg_command *command) {
    static const char *const roles[] = {"stats", "admin", "hidden", "later"};
    fprintf(out, "%s [%s]", command->id == SG_COMMAND_LATER ? "LATER" : sg_command_tag(command), roles[command->role]);
    print_slot(out, "migration", command->migration);
    print_slot(out, "database", command->database);
    print_slot(out, "schema", command->schema);
    print_slot(out, "table", command->table);
    print_slot(out, "old", command->old_name);
    print_slot(out, "new", command->new_name);
    print_slot(out, "state", command->state);
    print_slot(out, "sql", command->sql);
    print_slot(out, "parameter", command->parameter);
    if (command->timeout_seconds >= 0)
        fprintf(out, " timeout=%g", command->timeout_seconds);
    if (command->client_id)
        fprintf(out, " id=%llu", (unsigned long long)command->client_id);
    if (command->flag)
        fprintf(out, " flag");
    for (size_t i = 0; i < command->options_len; i++)
        fprintf(out, " %s:<%s>", command->options[i].name, command->options[i].value);
    fprintf(out, "\n");
}

static void print_reading(FILE *out, struct sg_span text) {
    struct sg_command command;
    struct sg_error err;
    enum sg_command_read read;
    size_t cursor = 0;
    while ((read = sg_command_next(&arena, text, &cursor, &command, &err)) == SG_COMMAND_OK)
        print_command(out, &command);
    if (read == SG_COMMAND_BAD)
        fprintf(out, "ERROR %s at %d: %s%s%s\n", err.sqlstate, err.position, err.message, err.detail[0] ? " / " : "",
                err.detail);
    else if (cursor == 0)
        fprintf(out, "(nothing)\n");
}

/* The file with every block's reading as it is now. */
static const char *read_anew(const char *text) {
    char *fresh, *statement = sg_arena_alloc(&arena, strlen(text) + 1);
    size_t size, statement_len = 0;
    bool in_block = false, in_reading = false;
    FILE *out = open_memstream(&fresh, &size);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        int len = (int)strcspn(line, "\n");
        bool fence = strncmp(line, "```", 3) == 0;
        if (in_block && strncmp(line, "> ", 2) == 0) {
            if (statement_len)
                statement[statement_len++] = '\n';
            memcpy(statement + statement_len, line + 2, (size_t)len - 2);
            statement_len += (size_t)len - 2;
            in_reading = false;
        } else if (in_block && !in_reading) {
            print_reading(out, (struct sg_span){statement, statement_len});
            statement_len = 0;
            in_reading = true;
        }
        if (fence)
            in_block = !in_block;
        if (!in_block || fence || !in_reading)
            fprintf(out, "%.*s\n", len, line);
        if (fence)
            in_reading = in_block ? false : in_reading;
    }
    fclose(out);
    const char *kept = sg_arena_strdup(&arena, fresh);
    free(fresh);
    return kept;
}

Test(console_commands, cases) {
    const char *path = "tests/proxy/console/commands.md";
    const char *text = text_file_read(&arena, path), *fresh = read_anew(text);
    if (getenv("SEGUE_UPDATE")) {
        FILE *file = fopen(text_file_path(&arena, path), "we");
        fputs(fresh, file);
        fclose(file);
        return;
    }
    size_t blocks = 0;
    for (const char *at = text; (at = strstr(at, "\n> ")); at++)
        blocks++;
    cr_assert_gt(blocks, 40u);
    for (size_t line = 1; *text || *fresh; line++) {
        size_t wanted = strcspn(text, "\n"), got = strcspn(fresh, "\n");
        cr_assert(wanted == got && memcmp(text, fresh, got) == 0, "%s:%zu: wanted\n  %.*s\ngot\n  %.*s", path, line,
                  (int)wanted, text, (int)got, fresh);
        text += wanted + (text[wanted] == '\n');
        fresh += got + (fresh[got] == '\n');
    }
}

/* A syntax whose words are written out is read as that row of the table: no row hides another. */
Test(console_commands, every_syntax_is_reached) {
    for (size_t row = 0; row < sg_command_rows(); row++) {
        char statement[512] = "";
        const char *syntax = sg_command_syntax(row);
        while (*syntax) {
            size_t len = strcspn(syntax, " "), word = strcspn(syntax, " |");
            bool bracket = *syntax == '[' || *syntax == ']';
            char piece[64];
            snprintf(piece, sizeof(piece), "%.*s ", (int)word, syntax);
            if (strcmp(piece, "options ") == 0)
                strcpy(piece, "a = 1, b = 'x' ");
            else if (strcmp(piece, "state ") == 0)
                strcpy(piece, "verified ");
            else if (strcmp(piece, "seconds ") == 0)
                strcpy(piece, "1.5 ");
            else if (strcmp(piece, "id ") == 0)
                strcpy(piece, "17 ");
            else if (strcmp(piece, "sql ") == 0)
                strcpy(piece, "'select 1' ");
            else if (strcmp(piece, "... ") == 0)
                strcpy(piece, "what ever 1 ");
            if (!bracket)
                strcat(statement, piece);
            syntax += len + strspn(syntax + len, " ");
        }
        struct sg_command command;
        struct sg_error err;
        size_t cursor = 0;
        enum sg_command_read read = sg_command_next(&arena, sg_span_of(statement), &cursor, &command, &err);
        cr_assert_eq(read, SG_COMMAND_OK, "%s", statement);
        cr_expect_eq(command.role, sg_command_role(row), "%s", statement);
        cr_expect_str_eq(command.doc, sg_command_doc(row), "%s", statement);
    }
}

/* Whatever is typed, the parser ends, stays inside the text and points into it. */
Test(console_commands, damaged_statements) {
    static const char text[] =
        "CREATE MIGRATION \"m\"\"x\" ON s.t RENAME COLUMN a TO b WITH (k = 'v''w', n = -1.5); "
        "/* a /* b */ */ EXPLAIN REWRITE $q$ select $$1$$ $q$; WAIT m FOR verified TIMEOUT 3 --x";
    size_t len = sizeof(text) - 1;
    for (size_t i = 0; i < len * 4; i++) {
        char *damaged = malloc(len); /* not NUL-terminated: an over-read shows under the sanitizer */
        memcpy(damaged, text, len);
        size_t use = i < len ? i : len;
        if (i >= len)
            damaged[i % len] = "\"'$\x80"[i / len];
        struct sg_command command;
        struct sg_error err = {0};
        size_t cursor = 0;
        enum sg_command_read read;
        while ((read = sg_command_next(&arena, (struct sg_span){damaged, use}, &cursor, &command, &err)) ==
               SG_COMMAND_OK)
            cr_assert_leq(cursor, use);
        if (read == SG_COMMAND_BAD) {
            cr_expect_geq(err.position, 1);
            cr_expect_leq(err.position, (int)use + 1);
        }
        free(damaged);
        sg_arena_reset(&arena);
    }
}

Test(console_commands, positions_count_characters) {
    struct sg_command command;
    struct sg_error err;
    size_t cursor = 0;
    cr_assert_eq(sg_command_next(&arena, SG_SPAN_LIT("START \"größe\" x"), &cursor, &command, &err), SG_COMMAND_BAD);
    cr_expect_eq(err.position, 15);
}
