/* The files that hba files name, on the disk. */
#include "hba_tokens.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (4u << 20)

static enum sg_hba_found failure(int error, char *why, size_t why_size) {
    snprintf(why, why_size, "%s", strerror(error));
    return error == ENOENT ? SG_HBA_FILE_MISSING : SG_HBA_FILE_BAD;
}

static enum sg_hba_found read_disk(void *arg, const char *path, struct sg_arena *arena, struct sg_span *ret_text,
                                   char *why, size_t why_size) {
    (void)arg;
    FILE *file = fopen(path, "re");
    if (!file) {
        return failure(errno, why, why_size);
    }
    char *text = malloc(FILE_MAX_BYTES);
    if (!text) {
        abort();
    }
    errno = 0;
    size_t len = fread(text, 1, FILE_MAX_BYTES, file);
    int error = ferror(file) ? errno : len == FILE_MAX_BYTES ? EFBIG : 0;
    fclose(file);
    if (error == 0) {
        *ret_text = (struct sg_span){sg_arena_copy(arena, text, len), len};
    }
    free(text);
    return error == 0 ? SG_HBA_FILE_FOUND : failure(error, why, why_size);
}

static int is_wanted(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum sg_hba_found list_disk(void *arg, const char *path, struct sg_arena *arena, const char *const **ret_paths,
                                   size_t *ret_len, char *why, size_t why_size) {
    (void)arg;
    struct dirent **entries;
    int len = scandir(path, &entries, is_wanted, by_bytes);
    if (len < 0) {
        return failure(errno, why, why_size);
    }
    const char **paths = sg_arena_array(arena, const char *, len + 1);
    for (int i = 0; i < len; i++) {
        paths[i] = sg_arena_printf(arena, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    *ret_paths = paths;
    *ret_len = (size_t)len;
    return SG_HBA_FILE_FOUND;
}

const struct sg_hba_files sg_hba_disk = {read_disk, list_disk, NULL};
