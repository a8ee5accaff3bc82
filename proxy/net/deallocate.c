#include "deallocate.h"

#include <stdbool.h>
#include <strings.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

static void skip_space(struct sg_span *rest) {
    while (rest->len > 0 && is_space(rest->ptr[0])) {
        rest->ptr++;
        rest->len--;
    }
}

static struct sg_span take_word(struct sg_span *rest) {
    skip_space(rest);
    struct sg_span word = {rest->ptr, 0};
    while (word.len < rest->len && is_word(rest->ptr[word.len])) {
        word.len++;
    }
    rest->ptr += word.len;
    rest->len -= word.len;
    return word;
}

static bool is_keyword(struct sg_span word, const char *keyword) {
    return word.len == strlen(keyword) && strncasecmp(word.ptr, keyword, word.len) == 0;
}

static bool is_end(struct sg_span rest) {
    skip_space(&rest);
    while (rest.len > 0 && rest.ptr[0] == ';') {
        rest.ptr++;
        rest.len--;
        skip_space(&rest);
    }
    return rest.len == 0;
}

static void put(char name[SG_NAME_BYTES], size_t *len, char c) {
    if (*len < SG_NAME_BYTES - 1u) {
        name[(*len)++] = c;
    }
}

/* Behind the opening quote. */
static bool take_quoted(struct sg_span *rest, char name[SG_NAME_BYTES], size_t *len) {
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == '"') {
            if (i + 1 == rest->len || rest->ptr[i + 1] != '"') {
                rest->ptr += i + 1;
                rest->len -= i + 1;
                return true;
            }
            i++;
        }
        put(name, len, rest->ptr[i]);
    }
    return false;
}

/* Only ASCII is folded: what the server does with other letters depends on its locale, and then the name is simply not
 * found here. */
static void fold(struct sg_span word, char name[SG_NAME_BYTES], size_t *len) {
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        put(name, len, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/* word: what was taken, empty before a quote. */
static bool take_name(struct sg_span word, struct sg_span *rest, char name[SG_NAME_BYTES]) {
    size_t len = 0;
    if (word.len > 0) {
        fold(word, name, &len);
    } else if (rest->len > 0 && rest->ptr[0] == '"') {
        rest->ptr++;
        rest->len--;
        if (!take_quoted(rest, name, &len)) {
            return false;
        }
    }
    return len > 0;
}

enum sg_deallocation sg_deallocation_of(struct sg_span sql, char ret_name[SG_NAME_BYTES]) {
    struct sg_span rest = sql;
    struct sg_span verb = take_word(&rest);
    bool is_discard = is_keyword(verb, "discard");
    if (!is_discard && !is_keyword(verb, "deallocate")) {
        return SG_DEALLOCATE_NONE;
    }
    struct sg_span word = take_word(&rest);
    struct sg_span after = rest;
    if (is_keyword(word, "all")) {
        return is_end(rest) ? SG_DEALLOCATE_ALL : SG_DEALLOCATE_NONE;
    }
    if (is_discard) {
        return SG_DEALLOCATE_NONE;
    }
    skip_space(&after);
    if (is_keyword(word, "prepare") && !is_end(after)) { /* alone, it is a name */
        word = take_word(&rest);
        if (is_keyword(word, "all")) {
            return is_end(rest) ? SG_DEALLOCATE_ALL : SG_DEALLOCATE_NONE;
        }
    }
    char name[SG_NAME_BYTES] = {0};
    if (!take_name(word, &rest, name) || !is_end(rest)) {
        return SG_DEALLOCATE_NONE;
    }
    memcpy(ret_name, name, sizeof(name));
    return SG_DEALLOCATE_ONE;
}

/* Up to the bracket that closes the first one: types have no quotes worth the name. */
static bool skip_types(struct sg_span *rest) {
    size_t depth = 0;
    while (rest->len > 0) {
        char c = rest->ptr[0];
        rest->ptr++;
        rest->len--;
        depth += c == '(';
        depth -= c == ')';
        if (depth == 0) {
            return true;
        }
    }
    return false;
}

static struct sg_span without_end(struct sg_span sql) {
    while (sql.len > 0 && (is_space(sql.ptr[sql.len - 1]) || sql.ptr[sql.len - 1] == ';')) {
        sql.len--;
    }
    return sql;
}

struct sg_sql_statement sg_sql_statement_of(struct sg_span sql) {
    struct sg_sql_statement found = {0};
    struct sg_span rest = without_end(sql);
    struct sg_span verb = take_word(&rest);
    bool is_prepare = is_keyword(verb, "prepare");
    if ((!is_prepare && !is_keyword(verb, "execute")) || memchr(rest.ptr, ';', rest.len)) {
        return found;
    }
    if (!take_name(take_word(&rest), &rest, found.name)) {
        return found;
    }
    skip_space(&rest);
    if (!is_prepare) {
        found.kind = SG_SQL_EXECUTE;
        return found;
    }
    found.has_types = rest.len > 0 && rest.ptr[0] == '(';
    if ((found.has_types && !skip_types(&rest)) || !is_keyword(take_word(&rest), "as")) {
        return found; /* PREPARE TRANSACTION 'x' is one of these */
    }
    skip_space(&rest);
    found.inner = rest;
    found.kind = rest.len > 0 ? SG_SQL_PREPARE : SG_SQL_OTHER;
    return found;
}
