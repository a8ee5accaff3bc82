#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void guard_map(struct guard *guard, size_t len) {
    size_t page = page_bytes();
    size_t readable = (len / page + 1) * page;
    uint8_t *base = mmap(NULL, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + readable, page, PROT_NONE) != 0) {
        abort();
    }
    *guard = (struct guard){base, readable};
}

const uint8_t *guard_place(struct guard *guard, const void *bytes, size_t len) {
    if (len > guard->bytes || !guard->base) {
        guard_free(guard);
        guard_map(guard, len);
    }
    uint8_t *at = guard->base + (guard->bytes - len);
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at;
}

void guard_free(struct guard *guard) {
    if (guard->base) {
        (void)munmap(guard->base, guard->bytes + page_bytes());
    }
    *guard = (struct guard){0};
}
