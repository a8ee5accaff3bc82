#include "proxy/http/api.h"

#include "proxy/http/asking.h"
#include "proxy/utf8.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

/* "clients" -> SHOW CLIENTS; "references/m" -> SHOW REFERENCES "m". NULL: no name of a command. */
static const char *command_of(struct sg_arena *arena, const char *path) {
    size_t word = strspn(path, "abcdefghijklmnopqrstuvwxyz_");
    if (word == 0 || (path[word] != '\0' && path[word] != '/'))
        return NULL;
    if (path[word] == '\0')
        return sg_arena_printf(arena, "SHOW %s", path);
    const char *name = path + word + 1;
    char *quoted = sg_arena_alloc(arena, 2 * strlen(name) + 1), *to = quoted;
    for (; *name; name++) {
        *to++ = *name;
        if (*name == '"')
            *to++ = '"';
    }
    return sg_arena_printf(arena, "SHOW %.*s \"%s\"", (int)word, path, quoted);
}

static json_t *text_of(struct sg_arena *arena, const char *text) {
    return json_string(sg_utf8_clean(arena, text));
}

/* A number stays one only if JSON can say it as it is. */
static json_t *value_of(struct sg_arena *arena, const char *cell, char kind) {
    if (!cell)
        return json_null();
    if (kind == 'b')
        return json_boolean(*cell == 't');
    if (kind == 'n' && *cell) {
        json_error_t ignored;
        json_t *number = json_loads(cell, JSON_DECODE_ANY, &ignored);
        if (json_is_number(number))
            return number;
        json_decref(number);
    }
    return text_of(arena, cell);
}

static json_t *rows_of(struct sg_arena *arena, const struct sg_result *result) {
    json_t *rows = json_array();
    for (size_t r = 0; r < result->rows; r++) {
        json_t *row = json_object();
        for (uint16_t c = 0; c < result->columns; c++)
            json_object_set_new(
                row, result->names[c],
                value_of(arena, result->cells[r * result->columns + c], result->kinds ? result->kinds[c] : 's'));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *error_of(struct sg_arena *arena, const struct sg_error *err) {
    json_t *error = json_object();
    json_object_set_new(error, "sqlstate", json_string(err->sqlstate));
    json_object_set_new(error, "message", text_of(arena, err->message));
    if (err->detail[0])
        json_object_set_new(error, "detail", text_of(arena, err->detail));
    if (err->hint[0])
        json_object_set_new(error, "hint", text_of(arena, err->hint));
    return error;
}

static unsigned status_of(const struct sg_error *err) {
    static const struct {
        enum sg_sqlstate state;
        unsigned status;
    } known[] = {{SG_SQLSTATE_SYNTAX_ERROR, 404},
                 {SG_SQLSTATE_UNDEFINED_OBJECT, 404},
                 {SG_SQLSTATE_INSUFFICIENT_PRIVILEGE, 403},
                 {SG_SQLSTATE_FEATURE_NOT_SUPPORTED, 501}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(err->sqlstate, sg_sqlstate_code(known[i].state)) == 0)
            return known[i].status;
    return 503; /* starting, or without a control connection */
}

struct sg_api_answer sg_api_answer(struct sg_console *console, const char *path) {
    struct sg_asking asking;
    struct sg_result result;
    struct sg_error err = {0};
    struct sg_api_answer answer = {.status = 200};
    sg_asking_begin(&asking, console);
    struct sg_arena *arena = &asking.session.arena;
    const char *sql = command_of(arena, path);
    bool good = sql && sg_asking_show(&asking, sql, &result, &err);
    if (!sql)
        sg_error_set(&err, SG_SQLSTATE_SYNTAX_ERROR, "no command is called so: /api/help lists them");
    if (!good)
        answer.status = status_of(&err);
    json_t *body = json_object();
    json_object_set_new(body, good ? "rows" : "error", good ? rows_of(arena, &result) : error_of(arena, &err));
    answer.body = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    sg_asking_end(&asking);
    return answer;
}
