#include "text_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

const char *text_file_path(struct sg_arena *arena, const char *path) {
    const char *top = getenv("SEGUE_SOURCE_DIR");
    cr_assert_not_null(top, "SEGUE_SOURCE_DIR is not set");
    return sg_arena_printf(arena, "%s/%s", top, path);
}

char *text_file_read(struct sg_arena *arena, const char *path) {
    const char *full = text_file_path(arena, path);
    FILE *file = fopen(full, "re");
    cr_assert_not_null(file, "cannot read %s", full);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = sg_arena_alloc(arena, (size_t)size + 1);
    cr_assert_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return text;
}
