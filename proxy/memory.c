#include "proxy/memory.h"

#include <malloc.h>

#define LARGE_BYTES (1 << 20)
#define MANY        64 /* fewer do not matter */

void sg_memory_setup(void) {
    /* By itself the threshold follows the largest block ever freed, up to 32 MB, and twice that is kept in reserve. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

void sg_memory_left(struct sg_crowd *crowd, size_t left) {
    if (left > crowd->most) {
        crowd->most = left;
    } else if (crowd->most >= MANY && left <= crowd->most / 2) {
        crowd->most = left;
        malloc_trim(0);
    }
}
