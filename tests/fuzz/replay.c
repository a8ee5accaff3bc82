/* Without libFuzzer: gives every file of the directories named to the target. No file at all is a failure, since a test
 * that ran on nothing would pass for ever. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED_MAX_BYTES (4u << 20)

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    uint8_t *bytes = malloc(SEED_MAX_BYTES);
    size_t len = bytes ? fread(bytes, 1, SEED_MAX_BYTES, file) : 0;
    int failed = !bytes || ferror(file);
    (void)fclose(file);
    /* A copy of the exact size, so that the address sanitizer sees an over-read by one byte. */
    uint8_t *exact = malloc(len ? len : 1);
    if (failed || !exact) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    memcpy(exact, bytes, len);
    free(bytes);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 0;
}

/* How many files ran; -1 when one could not be read. */
static int replay_directory(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return -1;
    }
    int ran = 0;
    for (struct dirent *entry = readdir(directory); entry && ran >= 0; entry = readdir(directory)) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        fprintf(stderr, "%s\n", name); /* the last one printed is the one that crashed */
        ran = replay_file(name) == 0 ? ran + 1 : -1;
    }
    (void)closedir(directory);
    return ran;
}

int main(int argc, char **argv) {
    int ran = 0;
    for (int i = 1; i < argc; i++) {
        int here = replay_directory(argv[i]);
        if (here <= 0) {
            fprintf(stderr, "%s: %s\n", argv[i], here == 0 ? "holds no seed" : "failed");
            return 1;
        }
        ran += here;
    }
    printf("%d inputs replayed\n", ran);
    return ran > 0 ? 0 : 1;
}
