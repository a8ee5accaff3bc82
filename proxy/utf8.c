#include "proxy/utf8.h"

size_t sg_utf8_bytes(const unsigned char *p) {
    size_t len = *p < 0x80                 ? 1
                 : *p >= 0xc2 && *p < 0xe0 ? 2
                 : *p >= 0xe0 && *p < 0xf0 ? 3
                 : *p >= 0xf0 && *p < 0xf5 ? 4
                                           : 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
    bool outside = (*p == 0xed && p[1] >= 0xa0) || (*p == 0xf4 && p[1] >= 0x90);
    return len > 2 && (overlong || outside) ? 0 : len;
}

const char *sg_utf8_clean(struct sg_arena *arena, const char *text) {
    char *copy = sg_arena_strdup(arena, text);
    for (unsigned char *p = (unsigned char *)copy; *p;) {
        size_t len = sg_utf8_bytes(p);
        if (!len)
            *p = '?';
        p += len ? len : 1;
    }
    return copy;
}
