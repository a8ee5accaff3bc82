/* text_file — whole files of the source tree, for tests whose cases are data. */
#ifndef SEGUE_TESTS_TEXT_FILE_H
#define SEGUE_TESTS_TEXT_FILE_H

#include "segue/arena.h"

/* path is relative to the source tree (SEGUE_SOURCE_DIR). A file that cannot be read fails the test. */
char *text_file_read(struct sg_arena *arena, const char *path);
const char *text_file_path(struct sg_arena *arena, const char *path);

#endif
