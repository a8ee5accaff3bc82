/*
 * hba_tokens — what pg_hba.conf and pg_ident.conf have in common: lines of fields, fields of tokens, quotes, comments,
 * continued lines, and other files taken in (PostgreSQL docs, 21.1 The pg_hba.conf File).
 *
 *      line    = field { blank field }        # a comment ends it; a backslash at its end continues it
 *      field   = token { "," token }
 *      token   = word | "anything ""quoted"" here" | @FILE, whose tokens stand in its place
 *      include, include_if_exists, include_dir PATH: a line that stands for the lines of other files
 *
 * Files come through the caller: nothing here opens one.
 */
#ifndef SEGUE_AUTH_HBA_TOKENS_H
#define SEGUE_AUTH_HBA_TOKENS_H

#include "pattern.h"
#include "proxy/config/faults.h"
#include "segue/arena.h"

struct sg_hba_token {
    const char *text;
    bool is_quoted;                 /* begins with a quote: no keyword, no +role, no @file */
    struct sg_hba_pattern *pattern; /* of a text that begins with a slash, where a pattern may stand; otherwise NULL */
};
struct sg_hba_field {
    struct sg_hba_token *tokens;
    size_t len; /* at least 1, unless it came from a file without tokens */
};
struct sg_hba_line {
    const char *file;
    int number;       /* of its first line in the file */
    const char *text; /* as written, continued lines joined */
    struct sg_hba_field *fields;
    size_t len; /* at least 1 */
};
struct sg_hba_lines {
    struct sg_hba_line *list;
    size_t len, cap;
};

enum sg_hba_found { SG_HBA_FILE_FOUND, SG_HBA_FILE_MISSING, SG_HBA_FILE_BAD };

struct sg_hba_files {
    /* The whole text of a file. Otherwise why has a reason. */
    enum sg_hba_found (*read)(void *arg, const char *path, struct sg_arena *arena, struct sg_span *ret_text, char *why,
                              size_t why_size);
    /* The paths of the files of a directory that end in .conf and do not begin with a dot, sorted by bytes. */
    enum sg_hba_found (*list)(void *arg, const char *path, struct sg_arena *arena, const char *const **ret_paths,
                              size_t *ret_len, char *why, size_t why_size);
    void *arg;
};

/* Those of the file system. */
extern const struct sg_hba_files sg_hba_disk;

/* Appends the lines of a file and of those it takes in. Lines with a fault are left out; false: there was one. What is
 * found lives in the arena. */
bool sg_hba_lines_read(struct sg_arena *arena, const char *path, const struct sg_hba_files *files,
                       struct sg_config_faults *faults, struct sg_hba_lines *lines);

#endif
