#include "case_file.h"

#include <stdio.h>
#include <stdlib.h>

/* What the reader has seen so far. */
struct reader {
    struct golden_file *file;
    struct golden_case *current; /* NULL before the first "## " heading */
    struct golden_case **tail;
    int line;
};

static _Noreturn void fault(const struct reader *reader, const char *what, const char *detail) {
    fprintf(stderr, "%s:%d: %s: %s\n", reader->file->path, reader->line, what, detail);
    exit(1);
}

static char *read_whole(const char *path) {
    FILE *stream = fopen(path, "rb");
    if (!stream || fseek(stream, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long bytes = ftell(stream);
    rewind(stream);
    char *text = malloc((size_t)bytes + 1);
    if (!text || fread(text, 1, (size_t)bytes, stream) != (size_t)bytes) {
        perror(path);
        exit(1);
    }
    text[bytes] = '\0';
    fclose(stream);
    return text;
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The next line, NUL-terminated in place; NULL at the end. */
static char *next_line(struct reader *reader, char **cursor) {
    char *line = *cursor;
    if (*line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *cursor = end ? end + 1 : line + strlen(line);
    if (end) {
        *end = '\0';
    }
    reader->line++;
    return line;
}

static void expect_in(struct reader *reader, const char *phase_name, enum golden_expects kind, const char *text,
                      int line) {
    enum sg_phase phase;
    if (!sg_phase_from_name(phase_name, &phase) || phase >= GOLDEN_PHASES) {
        fault(reader, "not a phase", phase_name);
    }
    struct golden_expect *expect = &reader->current->expect[phase];
    if (expect->kind != GOLDEN_NOTHING) {
        fault(reader, "the case answers twice for phase", phase_name);
    }
    *expect = (struct golden_expect){kind, text, line};
}

/* "planned, read_new and new_only", "dual_write read_new", or "every phase". */
static void expect_in_phases(struct reader *reader, const char *list, enum golden_expects kind, const char *text,
                             int line) {
    if (!reader->current || !reader->current->sql) {
        fault(reader, "an expectation before the sql block", list);
    }
    if (starts_with(list, "every")) {
        list = "planned dual_write read_new new_only";
    }
    char *copy = sg_arena_strdup(&reader->file->arena, list);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ,.", &save); word; word = strtok_r(NULL, " ,.", &save)) {
        if (strcmp(word, "and") != 0) {
            expect_in(reader, word, kind, text, line);
        }
    }
}

static void set_option(struct reader *reader, struct golden_options *options, char *line) {
    char *equals = strstr(line, " = ");
    if (!equals) {
        fault(reader, "an option is NAME = VALUE", line);
    }
    *equals = '\0';
    const char *value = sg_arena_strdup(&reader->file->arena, equals + 3);
    if (strcmp(line, "star") == 0) {
        if (!sg_star_from_name(value, &options->star)) {
            fault(reader, "not a star", value);
        }
    } else if (strcmp(line, "search_path") == 0) {
        options->search_path = strcmp(value, "unknown") == 0 ? NULL : value;
    } else if (strcmp(line, "standard_conforming_strings") == 0) {
        options->backslash_quotes = strcmp(value, "off") == 0;
    } else if (strcmp(line, "extended") == 0) {
        options->extended = strcmp(value, "on") == 0;
    } else {
        fault(reader, "unknown option", line);
    }
}

static void set_options(struct reader *reader, char *text) {
    struct golden_options *options = reader->current ? &reader->current->options : &reader->file->options;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        set_option(reader, options, line);
    }
}

/* A name of a mapping: up to `.`, ` ` or the end, or in double quotes. */
static const char *take_name(struct reader *reader, char **cursor) {
    char *from = *cursor;
    if (*from != '"') {
        size_t len = strcspn(from, ". ");
        *cursor = from + len;
        return sg_arena_strndup(&reader->file->arena, from, len);
    }
    char *name = sg_arena_strdup(&reader->file->arena, "");
    for (char *end = from; *end == '"'; from = end) {
        end = strchr(++from, '"');
        if (!end) {
            fault(reader, "unclosed quote", from);
        }
        /* A doubled quote goes on; it stands for one. */
        bool doubled = *++end == '"';
        name = sg_arena_printf(&reader->file->arena, "%s%.*s", name, (int)(end - from) - !doubled, from);
        *cursor = end;
    }
    return name;
}

/* public.users.nickname = username */
static void add_mapping(struct reader *reader, char *line) {
    struct golden_file *file = reader->file;
    if (file->mappings_len == GOLDEN_MAPPINGS) {
        fault(reader, "too many mappings", line);
    }
    struct golden_mapping *mapping = &file->mappings[file->mappings_len++];
    const char **names[] = {&mapping->schema, &mapping->table, &mapping->old_name, &mapping->new_name};
    const char *separators[] = {".", ".", " = ", ""};
    char *cursor = line;
    for (int i = 0; i < 4; i++) {
        *names[i] = take_name(reader, &cursor);
        if (!starts_with(cursor, separators[i]) || (i == 3 && *cursor != '\0')) {
            fault(reader, "a mapping is SCHEMA.TABLE.OLD = NEW", line);
        }
        cursor += strlen(separators[i]);
    }
}

/* Text between the fences, without the last newline. */
static char *take_block(struct reader *reader, char **cursor) {
    char *text = *cursor;
    char *line;
    while ((line = next_line(reader, cursor))) {
        if (strcmp(line, "```") == 0) {
            if (line == text) {
                return sg_arena_strdup(&reader->file->arena, "");
            }
            line[-1] = '\0';
            return sg_arena_strdup(&reader->file->arena, text);
        }
        /* The line is part of the block: put its end back. */
        if (line > text) {
            line[-1] = '\n';
        }
    }
    fault(reader, "block without an end", text);
}

static void take_sql(struct reader *reader, const char *text, int line) {
    if (!reader->current || reader->current->sql) {
        fault(reader, "an sql block outside a case, or a second one", text);
    }
    reader->current->sql = text;
    reader->current->line = line;
}

/* Blocks that only execute.py reads. */
static bool is_for_execution(const char *info) {
    static const char *const names[] = {"rows", "oracle", "parameters", "setup", "then"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(info, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_block(struct reader *reader, const char *info, char **cursor) {
    int line = reader->line;
    char *text = take_block(reader, cursor);
    if (strcmp(info, "sql") == 0) {
        take_sql(reader, text, line);
    } else if (strcmp(info, "schema") == 0) {
        reader->file->schema = text;
    } else if (strcmp(info, "options") == 0) {
        set_options(reader, text);
    } else if (strcmp(info, "mappings") == 0) {
        char *save = NULL;
        for (char *each = strtok_r(text, "\n", &save); each; each = strtok_r(NULL, "\n", &save)) {
            add_mapping(reader, each);
        }
    } else if (starts_with(info, "refused ")) {
        expect_in_phases(reader, info + strlen("refused "), GOLDEN_REFUSED, text, line);
    } else if (!is_for_execution(info)) {
        expect_in_phases(reader, info, GOLDEN_TEXT, text, line);
    }
}

static void end_case(struct reader *reader) {
    if (!reader->current) {
        return;
    }
    for (int phase = 0; phase < GOLDEN_PHASES; phase++) {
        if (reader->current->expect[phase].kind == GOLDEN_NOTHING) {
            fault(reader, reader->current->title, "the case above ends without an answer for every phase");
        }
    }
}

static void begin_case(struct reader *reader, const char *title) {
    end_case(reader);
    struct golden_case *made = sg_arena_new(&reader->file->arena, struct golden_case);
    made->title = sg_arena_strdup(&reader->file->arena, title);
    made->options = reader->file->options;
    *reader->tail = reader->current = made;
    reader->tail = &made->next;
}

struct golden_file *golden_file_read(const char *path) {
    struct golden_file *file = calloc(1, sizeof *file);
    sg_arena_init(&file->arena, 1u << 16);
    file->path = sg_arena_strdup(&file->arena, path);
    struct reader reader = {.file = file, .tail = &file->cases};
    char *text = read_whole(path);
    char *cursor = text;
    char *line;
    while ((line = next_line(&reader, &cursor))) {
        if (starts_with(line, "## ")) {
            begin_case(&reader, line + 3);
        } else if (starts_with(line, "```")) {
            on_block(&reader, line + 3, &cursor);
        } else if (starts_with(line, "Untouched in ")) {
            expect_in_phases(&reader, line + strlen("Untouched in "), GOLDEN_UNTOUCHED, NULL, reader.line);
        }
    }
    end_case(&reader);
    if (!file->schema || file->mappings_len == 0 || !file->cases) {
        fault(&reader, "a file needs", "a schema, mappings and cases");
    }
    free(text);
    return file;
}

void golden_file_free(struct golden_file *file) {
    sg_arena_free(&file->arena);
    free(file);
}
