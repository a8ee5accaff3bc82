/*
 * A golden file, read into memory. The format is described in README.md.
 *
 * Everything a file holds lives in the file's arena and points at NUL-terminated text. A fault of the format ends the
 * program with file and line: a case that is not understood must not pass.
 */
#ifndef SEGUE_TESTS_CASE_FILE_H
#define SEGUE_TESTS_CASE_FILE_H

#include "segue/rewrite.h"

#define GOLDEN_PHASES   4
#define GOLDEN_MAPPINGS 8

enum golden_expects { GOLDEN_NOTHING, GOLDEN_UNTOUCHED, GOLDEN_TEXT, GOLDEN_REFUSED };

struct golden_expect {
    enum golden_expects kind;
    const char *text; /* the rewritten statement, or what the refusal must say */
    int line;
};

struct golden_mapping {
    const char *schema, *table, *old_name, *new_name; /* as stored in the catalog */
};

struct golden_options {
    enum sg_star star;
    const char *search_path; /* NULL: not known */
    bool backslash_quotes;
    bool extended;
};

struct golden_case {
    const char *title;
    int line; /* of the sql block */
    const char *sql;
    struct golden_options options;
    struct golden_expect expect[GOLDEN_PHASES];
    struct golden_case *next;
};

struct golden_file {
    struct sg_arena arena;
    const char *path;
    const char *schema; /* DDL of the tables before the migration */
    struct golden_mapping mappings[GOLDEN_MAPPINGS];
    size_t mappings_len;
    struct golden_options options; /* of every case that says nothing else */
    struct golden_case *cases;
};

struct golden_file *golden_file_read(const char *path);
void golden_file_free(struct golden_file *file);

#endif
