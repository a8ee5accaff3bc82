#include "hba_tokens.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 10        /* of files in files, as PostgreSQL has it */
#define FILES_MAX 1000      /* a file may take itself in a hundred times, at every depth */
#define BYTES_MAX (8 << 20) /* of all of them */

struct reader {
    struct sg_arena *arena;
    const struct sg_hba_files *files;
    struct sg_config_faults *faults;
    size_t files_len, bytes;
};

/* Where the reader is. */
struct place {
    struct reader *reader;
    const char *file;
    int number;
    int depth;
};

static bool read_file(const struct place *from, const char *path, bool may_miss, struct sg_hba_lines *lines);

#define fault(place, ...) sg_config_faults_add((place)->reader->faults, (place)->file, (place)->number, __VA_ARGS__)

/* Room for one more in an array that lives in the arena. */
static void *grow(struct sg_arena *arena, void *list, size_t len, size_t *cap, size_t item_bytes) {
    if (len < *cap) {
        return list;
    }
    *cap = *cap ? *cap * 2 : 4;
    void *more = sg_arena_alloc(arena, *cap * item_bytes);
    if (len > 0) {
        memcpy(more, list, len * item_bytes);
    }
    return more;
}

/* ---- Tokens ---- */

struct field {
    struct sg_hba_field made;
    size_t cap;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static void add_token(const struct place *at, struct field *field, const char *text, bool is_quoted) {
    struct sg_arena *arena = at->reader->arena;
    field->made.tokens = grow(arena, field->made.tokens, field->made.len, &field->cap, sizeof(*field->made.tokens));
    field->made.tokens[field->made.len++] = (struct sg_hba_token){text, is_quoted, NULL};
}

/* The path as seen from the file that names it. */
static const char *beside(const struct place *at, const char *path) {
    const char *slash = strrchr(at->file, '/');
    if (path[0] == '/' || !slash) {
        return path;
    }
    return sg_arena_printf(at->reader->arena, "%.*s%s", (int)(slash + 1 - at->file), at->file, path);
}

/* @FILE: all the tokens of all its lines. */
static bool expand(const struct place *at, struct field *field, const char *path) {
    struct sg_hba_lines inner = {0};
    if (!read_file(at, beside(at, path), false, &inner)) {
        return false;
    }
    for (size_t l = 0; l < inner.len; l++) {
        for (size_t f = 0; f < inner.list[l].len; f++) {
            const struct sg_hba_field *from = &inner.list[l].fields[f];
            for (size_t t = 0; t < from->len; t++) {
                add_token(at, field, from->tokens[t].text, from->tokens[t].is_quoted);
            }
        }
    }
    return true;
}

enum next { NO_TOKEN, LAST_TOKEN, TOKEN_AND_COMMA, OPEN_QUOTE };

/* A line that is being read: what is left of it, and room for the tokens found: they are shorter than the text, each
 * with what ends it. */
struct source {
    const char *p;
    char *room;
};

/* A quote may begin and end anywhere in a token. */
static enum next next_token(struct source *source, const char **ret_text, bool *ret_is_quoted) {
    const char *c = source->p;
    while (is_blank(*c) || *c == ',') {
        c++;
    }
    char *text = source->room, *to = text;
    bool in_quote = false, has_quote = false;
    *ret_is_quoted = *c == '"';
    for (; *c && (in_quote || (!is_blank(*c) && *c != ',' && *c != '#')); c++) {
        if (*c != '"') {
            *to++ = *c;
        } else if (in_quote && c[1] == '"') {
            *to++ = *c++;
        } else {
            in_quote = !in_quote;
            has_quote = true;
        }
    }
    bool has_comma = *c == ',';
    bool is_there = has_quote || to > text;
    source->p = *c == '#' ? c + strlen(c) : c + has_comma;
    *to = '\0';
    source->room = is_there ? to + 1 : text;
    *ret_text = text;
    if (in_quote) {
        return OPEN_QUOTE;
    }
    if (!is_there) {
        return NO_TOKEN;
    }
    return has_comma ? TOKEN_AND_COMMA : LAST_TOKEN;
}

enum next_field { NO_FIELD, FIELD, BAD_FIELD };

static enum next_field next_field(const struct place *at, struct source *source, struct sg_hba_field *ret_field) {
    struct field field = {0};
    bool is_good = true, is_there = false;
    enum next next;
    do {
        const char *text;
        bool is_quoted;
        next = next_token(source, &text, &is_quoted);
        if (next == OPEN_QUOTE) {
            fault(at, "a quote is never closed");
            return BAD_FIELD;
        }
        if (next == NO_TOKEN) {
            break;
        }
        is_there = true;
        if (!is_quoted && text[0] == '@' && text[1]) {
            is_good &= expand(at, &field, text + 1);
        } else {
            add_token(at, &field, text, is_quoted);
        }
    } while (next == TOKEN_AND_COMMA);
    *ret_field = field.made;
    return !is_good ? BAD_FIELD : is_there ? FIELD : NO_FIELD;
}

/* ---- Lines ---- */

static bool has_one_token(const struct sg_hba_field *field) {
    return field->len == 1;
}

static bool include_directory(const struct place *at, const char *path, struct sg_hba_lines *lines) {
    const char *const *paths;
    size_t len;
    char why[200];
    if (at->reader->files->list(at->reader->files->arg, path, at->reader->arena, &paths, &len, why, sizeof(why)) !=
        SG_HBA_FILE_FOUND) {
        fault(at, "cannot read directory \"%s\": %s", path, why);
        return false;
    }
    bool is_good = true;
    for (size_t i = 0; i < len; i++) {
        is_good &= read_file(at, paths[i], false, lines);
    }
    return is_good;
}

/* A line that stands for others? */
static bool take_directive(const struct place *at, const struct sg_hba_line *line, struct sg_hba_lines *lines,
                           bool *ret_is_good) {
    if (line->len != 2 || !has_one_token(&line->fields[0]) || !has_one_token(&line->fields[1])) {
        return false;
    }
    const char *word = line->fields[0].tokens[0].text;
    const char *path = beside(at, line->fields[1].tokens[0].text);
    if (strcmp(word, "include") == 0) {
        *ret_is_good = read_file(at, path, false, lines);
    } else if (strcmp(word, "include_if_exists") == 0) {
        *ret_is_good = read_file(at, path, true, lines);
    } else if (strcmp(word, "include_dir") == 0) {
        *ret_is_good = include_directory(at, path, lines);
    } else {
        return false;
    }
    return true;
}

static bool read_line(const struct place *at, const char *text, struct sg_hba_lines *lines) {
    struct sg_arena *arena = at->reader->arena;
    struct sg_hba_line line = {.file = at->file, .number = at->number, .text = text};
    struct source source = {text, sg_arena_alloc(arena, strlen(text) + 2)};
    size_t cap = 0;
    for (;;) {
        struct sg_hba_field field;
        enum next_field next = next_field(at, &source, &field);
        if (next == BAD_FIELD) {
            return false;
        }
        if (next == NO_FIELD) {
            break;
        }
        line.fields = grow(arena, line.fields, line.len, &cap, sizeof(*line.fields));
        line.fields[line.len++] = field;
    }
    bool is_good = true;
    if (line.len > 0 && !take_directive(at, &line, lines, &is_good)) {
        lines->list = grow(arena, lines->list, lines->len, &lines->cap, sizeof(*lines->list));
        lines->list[lines->len++] = line;
    }
    return is_good;
}

/* One line without its end. *text moves behind it. */
static struct sg_span take_line(struct sg_span *text, bool *ret_goes_on) {
    const char *newline = memchr(text->ptr, '\n', text->len);
    size_t len = newline ? (size_t)(newline - text->ptr) : text->len;
    size_t taken = len + (newline ? 1 : 0);
    struct sg_span line = {text->ptr, len > 0 && text->ptr[len - 1] == '\r' ? len - 1 : len};
    *text = (struct sg_span){text->ptr + taken, text->len - taken};
    *ret_goes_on = line.len > 0 && line.ptr[line.len - 1] == '\\';
    line.len -= *ret_goes_on;
    return line;
}

/* A line and those it is continued by, joined. *text moves behind them, *number counts them. */
static const char *join_lines(struct sg_arena *arena, struct sg_span *text, int *number) {
    struct sg_span left = *text;
    bool goes_on = true;
    size_t most = 1, len = 0;
    while (goes_on && left.len > 0) {
        most += take_line(&left, &goes_on).len;
    }
    char *joined = sg_arena_alloc(arena, most);
    for (goes_on = true; goes_on && text->len > 0; ++*number) {
        struct sg_span line = take_line(text, &goes_on);
        memcpy(joined + len, line.ptr, line.len);
        len += line.len;
    }
    return joined;
}

static bool read_text(struct place *at, struct sg_span text, struct sg_hba_lines *lines) {
    bool is_good = true;
    for (int number = 0; text.len > 0;) {
        at->number = number + 1;
        const char *line = join_lines(at->reader->arena, &text, &number);
        is_good &= read_line(at, line, lines);
    }
    return is_good;
}

static bool is_within_bounds(const struct place *from, const char *path) {
    struct reader *reader = from->reader;
    if (from->depth + 1 > DEPTH_MAX) {
        fault(from, "cannot read \"%s\": files take in files more than %d deep", path, DEPTH_MAX);
        return false;
    }
    if (++reader->files_len > FILES_MAX) {
        if (reader->files_len == FILES_MAX + 1) {
            fault(from, "cannot read \"%s\": more than %d files", path, FILES_MAX);
        }
        return false;
    }
    return true;
}

/* from: whose line names it. */
static bool read_file(const struct place *from, const char *path, bool may_miss, struct sg_hba_lines *lines) {
    struct reader *reader = from->reader;
    struct sg_span text;
    char why[200];
    if (!is_within_bounds(from, path)) {
        return false;
    }
    enum sg_hba_found found = reader->files->read(reader->files->arg, path, reader->arena, &text, why, sizeof(why));
    if (found == SG_HBA_FILE_MISSING && may_miss) {
        return true;
    }
    if (found != SG_HBA_FILE_FOUND && from->depth == 0) {
        fault(from, "cannot read: %s", why);
        return false;
    }
    if (found != SG_HBA_FILE_FOUND) {
        fault(from, "cannot read \"%s\": %s", path, why);
        return false;
    }
    struct place at = {.reader = reader, .file = path, .depth = from->depth + 1};
    reader->bytes += text.len;
    if (reader->bytes > BYTES_MAX) {
        fault(from, "cannot read \"%s\": the files are longer than %d bytes in all", path, BYTES_MAX);
        return false;
    }
    if (text.len > 0 && memchr(text.ptr, '\0', text.len)) {
        fault(&at, "has a NUL byte");
        return false;
    }
    return read_text(&at, text, lines);
}

bool sg_hba_lines_read(struct sg_arena *arena, const char *path, const struct sg_hba_files *files,
                       struct sg_config_faults *faults, struct sg_hba_lines *lines) {
    struct reader reader = {.arena = arena, .files = files, .faults = faults};
    struct place nowhere = {.reader = &reader, .file = path};
    return read_file(&nowhere, path, false, lines);
}
