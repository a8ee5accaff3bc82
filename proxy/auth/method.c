#include "method.h"

#include <stddef.h>
#include <string.h>

static const char *const words[] = {
#define X(name, word) [SG_AUTH_##name] = (word),
    SG_AUTH_METHODS(X)
#undef X
};

const char *sg_auth_method_name(enum sg_auth_method method) {
    return words[method];
}

bool sg_auth_method_from_name(const char *name, enum sg_auth_method *ret_method) {
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(words[i], name) == 0) {
            *ret_method = (enum sg_auth_method)i;
            return true;
        }
    }
    return false;
}
