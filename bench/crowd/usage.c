#include "bench/crowd/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind key in a file of /proc/PID/task/TID; key "": the first one. */
static uint64_t number_in(int pid, const char *thread, const char *file, const char *key) {
    char path[128], line[256];
    uint64_t number = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, thread, file);
    FILE *stream = fopen(path, "re");
    while (stream && fgets(line, sizeof(line), stream)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            number = strtoull(line + strlen(key), NULL, 10);
            break;
        }
    }
    if (stream) {
        fclose(stream);
    }
    return number;
}

struct sg_usage sg_usage_of(int pid) {
    struct sg_usage usage = {0};
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = pid > 0 ? opendir(path) : NULL;
    for (struct dirent *entry; threads && (entry = readdir(threads));) {
        if (entry->d_name[0] != '.') {
            usage.processor_ns += number_in(pid, entry->d_name, "schedstat", "");
            usage.switches += number_in(pid, entry->d_name, "status", "voluntary_ctxt_switches:");
        }
    }
    if (threads) {
        closedir(threads);
    }
    return usage;
}
