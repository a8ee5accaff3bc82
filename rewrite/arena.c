#include "segue/arena.h"

#include <stdio.h>
#include <stdlib.h>

struct sg_arena_block {
    struct sg_arena_block *next; /* older */
    size_t size, used;           /* of data[] */
    _Alignas(max_align_t) char data[];
};

enum { ALIGN = _Alignof(max_align_t), DEFAULT_BLOCK_BYTES = 4096, MAX_BLOCK_BYTES = 1 << 20 };

void sg_arena_init(struct sg_arena *arena, size_t block_bytes) {
    arena->head = NULL;
    arena->block_bytes = block_bytes ? block_bytes : DEFAULT_BLOCK_BYTES;
}

void sg_arena_free(struct sg_arena *arena) {
    while (arena->head) {
        struct sg_arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
}

void sg_arena_reset(struct sg_arena *arena) {
    if (!arena->head)
        return;
    /* The newest ordinary block is the largest: keeping it makes the next statement of this size free of malloc. */
    struct sg_arena_block *kept = arena->head;
    arena->head = kept->next;
    sg_arena_free(arena);
    if (kept->size > MAX_BLOCK_BYTES) {
        free(kept);
        return;
    }
    kept->next = NULL;
    kept->used = 0;
    arena->head = kept;
}

size_t sg_arena_bytes(const struct sg_arena *arena) {
    size_t bytes = 0;
    for (const struct sg_arena_block *block = arena->head; block; block = block->next)
        bytes += sizeof *block + block->size;
    return bytes;
}

static struct sg_arena_block *add_block(struct sg_arena *arena, size_t need) {
    size_t size = need > arena->block_bytes ? need : arena->block_bytes;
    struct sg_arena_block *block = malloc(sizeof *block + size);
    if (!block)
        abort();
    block->size = size;
    block->used = 0;
    block->next = arena->head;
    arena->head = block;
    if (arena->block_bytes < MAX_BLOCK_BYTES)
        arena->block_bytes *= 2;
    return block;
}

void *sg_arena_alloc(struct sg_arena *arena, size_t bytes) {
    size_t need = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct sg_arena_block *block = arena->head;
    if (!block || block->size - block->used < need)
        block = add_block(arena, need);
    void *p = block->data + block->used;
    block->used += need;
    return memset(p, 0, bytes);
}

void *sg_arena_copy(struct sg_arena *arena, const void *src, size_t bytes) {
    void *p = sg_arena_alloc(arena, bytes);
    return bytes ? memcpy(p, src, bytes) : p;
}

char *sg_arena_strndup(struct sg_arena *arena, const char *ptr, size_t len) {
    char *p = sg_arena_alloc(arena, len + 1);
    if (len)
        memcpy(p, ptr, len);
    return p;
}

char *sg_arena_strdup(struct sg_arena *arena, const char *cstr) {
    return sg_arena_strndup(arena, cstr, strlen(cstr));
}

char *sg_arena_vprintf(struct sg_arena *arena, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    if (len < 0)
        abort();
    char *p = sg_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(p, (size_t)len + 1, fmt, again);
    va_end(again);
    return p;
}

char *sg_arena_printf(struct sg_arena *arena, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *p = sg_arena_vprintf(arena, fmt, args);
    va_end(args);
    return p;
}
