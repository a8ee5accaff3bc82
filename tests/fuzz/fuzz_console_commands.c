/*
 * Any text through the console's parser.
 *
 * Properties: it ends and moves on; an error points into the text; a command written anew from its parts, with every
 * name and value quoted, is read as the same command.
 */
#include "check.h"
#include "proxy/admin/command.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *quoted(struct sg_arena *arena, const char *text, char quote) {
    char *out = sg_arena_alloc(arena, 2 * strlen(text) + 3), *at = out;
    *at++ = quote;
    for (; *text; *at++ = *text++)
        if (*text == quote)
            *at++ = quote;
    *at++ = quote;
    return out;
}

static bool same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *options_anew(struct sg_arena *arena, const struct sg_command *command) {
    const char *text = "";
    for (size_t i = 0; i < command->options_len; i++)
        text = sg_arena_printf(arena, "%s%s%s = %s", text, i ? ", " : "", quoted(arena, command->options[i].name, '"'),
                               quoted(arena, command->options[i].value, '\''));
    return text;
}

/* NULL for the commands that this does not write. */
static const char *written_anew(struct sg_arena *arena, const struct sg_command *command) {
    const char *migration = command->migration ? quoted(arena, command->migration, '"') : "";
    const char *database =
        command->database ? sg_arena_printf(arena, " IN %s", quoted(arena, command->database, '"')) : "";
    switch (command->id) {
    case SG_COMMAND_CREATE_RENAME:
        return sg_arena_printf(arena, "CREATE MIGRATION %s%s ON %s%s%s RENAME COLUMN %s TO %s %s%s%s;", migration,
                               database, command->schema ? quoted(arena, command->schema, '"') : "",
                               command->schema ? "." : "", quoted(arena, command->table, '"'),
                               quoted(arena, command->old_name, '"'), quoted(arena, command->new_name, '"'),
                               command->options_len ? "WITH (" : "", options_anew(arena, command),
                               command->options_len ? ")" : "");
    case SG_COMMAND_SET_BACKFILL:
        return sg_arena_printf(arena, "SET BACKFILL %s %s", migration, options_anew(arena, command));
    case SG_COMMAND_RETIRE:
        return sg_arena_printf(arena, "RETIRE %s%s", migration, command->flag ? " FORCE" : "");
    case SG_COMMAND_WAIT:
        return sg_arena_printf(arena, "WAIT %s FOR %s", migration, command->state);
    case SG_COMMAND_EXPLAIN_REWRITE:
        return sg_arena_printf(arena, "EXPLAIN REWRITE%s %s", database, quoted(arena, command->sql, '\''));
    default:
        return NULL;
    }
}

static void check_same(const struct sg_command *a, const struct sg_command *b) {
    CHECK(a->id == b->id && a->role == b->role && a->flag == b->flag);
    CHECK(same(a->migration, b->migration) && same(a->database, b->database) && same(a->schema, b->schema));
    CHECK(same(a->table, b->table) && same(a->old_name, b->old_name) && same(a->new_name, b->new_name));
    CHECK(same(a->state, b->state) && same(a->sql, b->sql));
    CHECK(a->options_len == b->options_len);
    for (size_t i = 0; i < a->options_len; i++)
        CHECK(same(a->options[i].name, b->options[i].name) && same(a->options[i].value, b->options[i].value));
}

static void check_command(struct sg_arena *arena, const struct sg_command *command) {
    struct sg_command again;
    struct sg_error err;
    size_t cursor = 0;
    const char *text = written_anew(arena, command);
    if (!text)
        return;
    CHECK(sg_command_next(arena, sg_span_of(text), &cursor, &again, &err) == SG_COMMAND_OK);
    check_same(command, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sg_arena arena;
    struct sg_command command;
    struct sg_error err;
    char *text = malloc(size ? size : 1); /* of its own size: an over-read shows */
    size_t cursor = 0, before = 0;
    enum sg_command_read read;
    if (size > 65536) /* the arena keeps every statement's words */
        size = 65536;
    memcpy(text, data, size);
    sg_arena_init(&arena, 65536);
    while ((read = sg_command_next(&arena, (struct sg_span){text, size}, &cursor, &command, &err)) == SG_COMMAND_OK) {
        CHECK(cursor > before && cursor <= size);
        before = cursor;
        check_command(&arena, &command);
    }
    if (read == SG_COMMAND_BAD) {
        CHECK(strlen(err.sqlstate) == 5 && err.message[0]);
        CHECK(err.position >= 0 && err.position <= (int)size + 1);
    }
    sg_arena_free(&arena);
    free(text);
    return 0;
}
