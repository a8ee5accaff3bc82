#include "base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sg_base64_encode(const uint8_t *bytes, size_t len, char *out) {
    for (; len > 0; bytes += 3) {
        size_t n = len < 3 ? len : 3;
        uint32_t group = (uint32_t)bytes[0] << 16;
        group |= n > 1 ? (uint32_t)bytes[1] << 8 : 0;
        group |= n > 2 ? bytes[2] : 0;
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = n > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = n > 2 ? alphabet[group & 63] : '=';
        len -= n;
    }
    *out = '\0';
}

static int value_of(char c) {
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool sg_base64_decode(struct sg_span text, uint8_t *out, size_t size, size_t *ret_len) {
    size_t len = 0, padding = 0;
    if (text.len % 4 != 0) {
        return false;
    }
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=') {
        padding++;
    }
    if (text.len / 4 * 3 - padding > size) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        size_t signs = i + 4 == text.len ? 4 - padding : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j < signs ? value_of(text.ptr[i + j]) : 0;
            if (value < 0) {
                return false;
            }
            group = group << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j + 1 < signs; j++) {
            out[len++] = (uint8_t)(group >> (16 - 8 * j));
        }
    }
    *ret_len = len;
    return true;
}
