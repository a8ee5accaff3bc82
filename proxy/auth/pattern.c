/*
 * PostgreSQL docs, 9.7.3: an advanced regular expression is an extended one but for escapes (\d), non-capturing and
 * looking groups ((?...), (*...)), non-greedy quantifiers (x*?) and directors at its beginning (***:). Escapes for
 * classes of characters are put in POSIX's words; a backslash in brackets is an escape there and a character here, so
 * it is put in words, too.
 */
#include "pattern.h"

#include "segue/protocol.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_MAX_BYTES 2000
#define BOUND_MAX         255   /* PostgreSQL's */
#define REPEATS_MAX       10000 /* of all bounds, multiplied: the compiled pattern has a state for each */

struct translation {
    struct sg_buf out;
    unsigned long repeats;
    const char *error;
};

static void put(struct translation *t, const char *text) {
    sg_buf_put(&t->out, text, strlen(text));
}

static const char *class_of(char escape) {
    switch (escape) {
    case 'd':
        return "[:digit:]";
    case 's':
        return "[:space:]";
    case 'w':
        return "[:alnum:]_";
    default:
        return NULL;
    }
}

/* Behind a backslash, outside of brackets. */
static const char *put_escape(struct translation *t, const char *p) {
    const char *chars = class_of((char)tolower((unsigned char)*p));
    if (chars) {
        put(t, isupper((unsigned char)*p) ? "[^" : "[");
        put(t, chars);
        put(t, "]");
    } else if (*p && !isalnum((unsigned char)*p)) {
        sg_buf_put(&t->out, (char[]){'\\', *p}, 2);
    } else {
        t->error = *p ? "this escape" : "a backslash at the end";
        return p;
    }
    return p + 1;
}

/* From behind the opening bracket to behind the closing one. */
static const char *put_brackets(struct translation *t, const char *p) {
    put(t, "[");
    for (const char *first = p + (*p == '^'); *p && (*p != ']' || p <= first);) {
        const char *chars = *p == '\\' ? class_of(p[1]) : NULL;
        const char *end;
        if (p[0] == '[' && p[1] && strchr(":.=", p[1]) && (end = strstr(p + 2, (char[]){p[1], ']', 0}))) {
            sg_buf_put(&t->out, p, (size_t)(end + 2 - p));
            p = end + 2;
        } else if (chars) {
            put(t, chars);
            p += 2;
        } else if (*p == '\\') {
            t->error = "this escape in brackets";
            return p;
        } else {
            sg_buf_put(&t->out, p++, 1);
        }
    }
    put(t, "]");
    if (!*p) {
        t->error = "a bracket without its end";
        return p;
    }
    return p + 1;
}

/* {n}, {n,} or {n,m}: from behind the brace. What it is otherwise, the compiler says. */
static void count_repeats(struct translation *t, const char *p) {
    unsigned long most = 1;
    for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) {
        char *end;
        unsigned long bound = strtoul(p, &end, 10);
        most = bound > most ? bound : most;
        p = *end == ',' ? end + 1 : end;
    }
    t->repeats *= most;
    if (most > BOUND_MAX || t->repeats > REPEATS_MAX) {
        t->error = "so large a bound";
    }
}

static void translate(struct translation *t, const char *p) {
    if (strncmp(p, "***", 3) == 0) {
        t->error = "a director";
    }
    for (const char *begin = p; *p && !t->error;) {
        bool is_quantified = p > begin && strchr("*+?}", p[-1]) && !(p - begin > 1 && p[-2] == '\\');
        if (*p == '\\') {
            p = put_escape(t, p + 1);
        } else if (*p == '[') {
            p = put_brackets(t, p + 1);
        } else if (*p == '(' && (p[1] == '?' || p[1] == '*')) {
            t->error = "a group that does not capture";
        } else if (is_quantified && strchr("*+?", *p)) {
            t->error = "a quantifier of a quantifier";
        } else {
            if (*p == '{') {
                count_repeats(t, p + 1);
            }
            sg_buf_put(&t->out, p++, 1);
        }
    }
    sg_buf_put_u8(&t->out, 0);
}

struct sg_hba_pattern *sg_hba_pattern_new(const char *text, char *why, size_t why_size) {
    struct translation t = {.repeats = 1, .error = strlen(text) > PATTERN_MAX_BYTES ? "so long a pattern" : NULL};
    if (!t.error) {
        translate(&t, text);
    }
    if (t.error) {
        snprintf(why, why_size, "%s is not supported", t.error);
        sg_buf_free(&t.out);
        return NULL;
    }
    struct sg_hba_pattern *pattern = calloc(1, sizeof(*pattern));
    if (!pattern) {
        abort();
    }
    int rc = regcomp(&pattern->compiled, (char *)t.out.data, REG_EXTENDED);
    sg_buf_free(&t.out);
    if (rc == 0) {
        return pattern;
    }
    regerror(rc, &pattern->compiled, why, why_size);
    free(pattern);
    return NULL;
}

void sg_hba_pattern_free(struct sg_hba_pattern *pattern) {
    if (pattern) {
        regfree(&pattern->compiled);
        free(pattern);
    }
}

bool sg_hba_pattern_matches(const struct sg_hba_pattern *pattern, const char *text, struct sg_span *ret_group) {
    regmatch_t found[2];
    if (regexec(&pattern->compiled, text, 2, found, 0) != 0) {
        return false;
    }
    if (ret_group) {
        *ret_group = found[1].rm_so < 0
                         ? (struct sg_span){NULL, 0}
                         : (struct sg_span){text + found[1].rm_so, (size_t)(found[1].rm_eo - found[1].rm_so)};
    }
    return true;
}
