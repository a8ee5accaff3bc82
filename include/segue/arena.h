/*
 * Memory with one lifespan: everything taken from an arena is given back at once.
 *
 * One arena per statement in the rewriter; a published snapshot or plan owns its arena and never changes after it
 * is published. Not thread-safe: an arena belongs to one thread until what it holds is published as immutable.
 * An allocation that fails ends the process (abort): there is no half-built plan to recover to.
 */
#ifndef SEGUE_ARENA_H
#define SEGUE_ARENA_H

#include "segue/span.h"

#include <stdarg.h>
#include <stddef.h>

struct sg_arena_block;

struct sg_arena {
    struct sg_arena_block *head; /* newest block; NULL while empty */
    size_t block_bytes;          /* size of the next ordinary block */
};

void sg_arena_init(struct sg_arena *arena, size_t block_bytes);
/* Gives everything back; the arena may be used again. */
void sg_arena_free(struct sg_arena *arena);
/* Keeps one block for reuse, so that a hot loop does not call malloc. */
void sg_arena_reset(struct sg_arena *arena);
size_t sg_arena_bytes(const struct sg_arena *arena);

/* Zeroed, aligned for any type. */
void *sg_arena_alloc(struct sg_arena *arena, size_t bytes);
void *sg_arena_copy(struct sg_arena *arena, const void *src, size_t bytes);
/* NUL-terminated copies. */
char *sg_arena_strdup(struct sg_arena *arena, const char *cstr);
char *sg_arena_strndup(struct sg_arena *arena, const char *ptr, size_t len);
char *sg_arena_printf(struct sg_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *sg_arena_vprintf(struct sg_arena *arena, const char *fmt, va_list args);

#define sg_arena_new(arena, type)      ((type *)sg_arena_alloc((arena), sizeof(type)))
#define sg_arena_array(arena, type, n) ((type *)sg_arena_alloc((arena), sizeof(type) * (size_t)(n)))

#endif
