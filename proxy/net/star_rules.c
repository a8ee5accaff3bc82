#include "star_rules.h"

#include <stdlib.h>
#include <string.h>

static bool fits(const char *wanted, struct sg_span given) {
    return !wanted || sg_span_eq_cstr(given, wanted);
}

enum sg_star sg_star_rules_choose(const struct sg_star_rule *rules, size_t len, struct sg_span user,
                                  struct sg_span database, struct sg_span application_name, enum sg_star otherwise) {
    for (size_t i = 0; i < len; i++) {
        if (fits(rules[i].user, user) && fits(rules[i].database, database) &&
            fits(rules[i].application_name, application_name)) {
            return rules[i].star;
        }
    }
    return otherwise;
}

static const char *copy(const char *text) {
    char *copied = text ? strdup(text) : NULL;
    if (text && !copied) {
        abort();
    }
    return copied;
}

struct sg_star_rule *sg_star_rules_copy(const struct sg_star_rule *rules, size_t len) {
    struct sg_star_rule *own = calloc(len ? len : 1, sizeof(*own));
    if (!own) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        own[i] = (struct sg_star_rule){copy(rules[i].user), copy(rules[i].database), copy(rules[i].application_name),
                                       rules[i].star};
    }
    return own;
}

void sg_star_rules_free(struct sg_star_rule *rules, size_t len) {
    for (size_t i = 0; i < len; i++) {
        free((char *)rules[i].user);
        free((char *)rules[i].database);
        free((char *)rules[i].application_name);
    }
    free(rules);
}
