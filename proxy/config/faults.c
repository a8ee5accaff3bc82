#include "proxy/config/faults.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void sg_config_faults_add(struct sg_config_faults *faults, const char *file, int line, const char *fmt, ...) {
    if (faults->len == faults->cap) {
        size_t cap = faults->cap ? faults->cap * 2 : 8;
        struct sg_config_fault *list = realloc(faults->list, cap * sizeof(*list));
        if (!list)
            abort();
        faults->list = list;
        faults->cap = cap;
    }
    struct sg_config_fault *f = &faults->list[faults->len++];
    f->file = file ? strdup(file) : NULL;
    if (file && !f->file)
        abort();
    f->line = line;
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->message, sizeof(f->message), fmt, args);
    va_end(args);
}

void sg_config_faults_free(struct sg_config_faults *faults) {
    for (size_t i = 0; i < faults->len; i++)
        free(faults->list[i].file);
    free(faults->list);
    *faults = (struct sg_config_faults){0};
}

void sg_config_faults_print(const struct sg_config_faults *faults, FILE *out) {
    for (size_t i = 0; i < faults->len; i++) {
        const struct sg_config_fault *f = &faults->list[i];
        if (f->file && f->line)
            fprintf(out, "%s:%d: %s\n", f->file, f->line, f->message);
        else
            fprintf(out, "%s: %s\n", f->file ? f->file : "command line", f->message);
    }
}

static bool is_same_file(const struct sg_config_fault *a, const struct sg_config_fault *b) {
    return a->file && b->file && strcmp(a->file, b->file) == 0;
}

/* The first fault of each file keeps its rank; insertion keeps equals in their order. */
static size_t rank_of(const struct sg_config_fault *list, size_t len, const struct sg_config_fault *fault) {
    for (size_t i = 0; i < len; i++)
        if (is_same_file(&list[i], fault))
            return i;
    return len;
}

struct place {
    size_t rank; /* of the file; the command line and faults without a line come after all of them */
    int line;
    struct sg_config_fault fault;
};

static int compare(const void *a, const void *b) {
    const struct place *left = a, *right = b;
    bool has_line[] = {left->line > 0, right->line > 0};
    if (has_line[0] != has_line[1])
        return has_line[0] ? -1 : 1;
    if (has_line[0] && left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return has_line[0] ? (left->line > right->line) - (left->line < right->line) : 0;
}

void sg_config_faults_sort(struct sg_config_faults *faults, size_t from) {
    if (faults->len == from)
        return;
    struct sg_config_fault *list = faults->list + from;
    size_t len = faults->len - from;
    struct place *places = calloc(len, sizeof(*places));
    if (!places)
        abort();
    for (size_t i = 0; i < len; i++) {
        struct place place = {rank_of(list, len, &list[i]), list[i].line, list[i]};
        size_t j = i;
        for (; j > 0 && compare(&place, &places[j - 1]) < 0; j--)
            places[j] = places[j - 1];
        places[j] = place;
    }
    for (size_t i = 0; i < len; i++)
        list[i] = places[i].fault;
    free(places);
}

void sg_fault_tell(struct sg_fault_listener *listener, const char *fmt, ...) {
    char message[sizeof(((struct sg_config_fault *)NULL)->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    listener->has_heard = true;
    listener->tell(listener->arg, message);
}
