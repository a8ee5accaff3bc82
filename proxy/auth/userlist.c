#include "userlist.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (16u << 20)

struct user {
    char *name;
    struct sg_secret secret;
    int line;
};

struct sg_userlist {
    struct user *users; /* by name */
    size_t len, cap;
};

/* ---- Fields ---- */

/* "..." with doubled quotes, unquoted into out, which has room for the rest of the line. NULL: there is no such. */
static const char *read_field(const char *p, const char *end, char *out) {
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    if (p == end || *p++ != '"') {
        return NULL;
    }
    for (; p < end; p++) {
        if (*p == '"' && (p + 1 == end || p[1] != '"')) {
            *out = '\0';
            return p + 1;
        }
        p += *p == '"';
        *out++ = *p;
    }
    return NULL;
}

/* False: the secret is damaged. */
static bool add(struct sg_userlist *list, const char *name, const char *secret, int line) {
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 16;
        struct user *users = malloc(list->cap * sizeof(*users)); /* no realloc: it would leave secrets behind */
        if (!users) {
            abort();
        }
        if (list->users) {
            memcpy(users, list->users, list->len * sizeof(*users));
            OPENSSL_cleanse(list->users, list->len * sizeof(*users));
            free(list->users);
        }
        list->users = users;
    }
    struct user *user = &list->users[list->len++];
    *user = (struct user){.name = strdup(name), .line = line};
    if (!user->name) {
        abort();
    }
    return sg_secret_read(sg_span_of(secret), &user->secret);
}

static void read_line(struct sg_userlist *list, const char *file, struct sg_span text, int line,
                      struct sg_config_faults *faults) {
    const char *end = text.ptr + text.len;
    char *name = malloc(2 * text.len + 2), *secret = name + text.len + 1;
    if (!name) {
        abort();
    }
    const char *p = read_field(text.ptr, end, name);
    p = p ? read_field(p, end, secret) : NULL;
    if (!p) {
        sg_config_faults_add(faults, file, line, "not \"user\" \"secret\", each in double quotes");
    } else if (!*name) {
        sg_config_faults_add(faults, file, line, "the user's name is empty");
    } else if (!add(list, name, secret, line)) {
        sg_config_faults_add(faults, file, line, "the secret begins as one of SCRAM-SHA-256, and is damaged");
    }
    OPENSSL_cleanse(name, 2 * text.len + 2);
    free(name);
}

static bool is_comment(struct sg_span text) {
    size_t i = 0;
    while (i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\r')) {
        i++;
    }
    return i == text.len || text.ptr[i] == ';' || text.ptr[i] == '#';
}

/* ---- The whole ---- */

static int compare(const void *a, const void *b) {
    return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static void check_twice(const struct sg_userlist *list, const char *file, struct sg_config_faults *faults) {
    for (size_t i = 1; i < list->len; i++) {
        const struct user *a = &list->users[i - 1], *b = &list->users[i];
        if (strcmp(a->name, b->name) == 0) {
            bool is_later = b->line > a->line;
            sg_config_faults_add(faults, file, is_later ? b->line : a->line,
                                 "user \"%s\" is given a second time; the first is on line %d", b->name,
                                 is_later ? a->line : b->line);
        }
    }
}

struct sg_userlist *sg_userlist_parse(const char *name, struct sg_span text,
                                      void (*salt_of)(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]),
                                      struct sg_config_faults *faults) {
    struct sg_userlist *list = calloc(1, sizeof(*list));
    size_t before = faults->len;
    if (!list) {
        abort();
    }
    for (int line = 1; text.len > 0; line++) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.ptr) : text.len;
        struct sg_span row = {text.ptr, len};
        if (memchr(text.ptr, '\0', len)) {
            sg_config_faults_add(faults, name, line, "the line has a NUL byte");
        } else if (!is_comment(row)) {
            read_line(list, name, row, line, faults);
        }
        size_t taken = len + (newline ? 1 : 0);
        text = (struct sg_span){text.ptr + taken, text.len - taken};
    }
    if (list->len > 0) {
        qsort(list->users, list->len, sizeof(*list->users), compare);
    }
    check_twice(list, name, faults);
    for (size_t i = 0; i < list->len && faults->len == before; i++) {
        char salt[SG_SCRAM_SALT_TEXT];
        salt_of(list->users[i].name, salt);
        if (!sg_secret_salt(&list->users[i].secret, salt)) {
            sg_config_faults_add(faults, name, list->users[i].line, "OpenSSL cannot do SCRAM-SHA-256");
        }
    }
    if (faults->len == before) {
        return list;
    }
    sg_config_faults_sort(faults, before);
    sg_userlist_free(list);
    return NULL;
}

struct sg_userlist *sg_userlist_read(const char *path,
                                     void (*salt_of)(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]),
                                     struct sg_config_faults *faults) {
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES);
    if (!text) {
        abort();
    }
    if (file) {
        setvbuf(file, NULL, _IONBF, 0); /* no copy in a buffer that nobody wipes */
    }
    size_t len = file ? fread(text, 1, FILE_MAX_BYTES, file) : 0;
    struct sg_userlist *list = NULL;
    if (!file || ferror(file)) {
        sg_config_faults_add(faults, path, 0, "cannot read: %s", strerror(errno));
    } else if (len == FILE_MAX_BYTES) {
        sg_config_faults_add(faults, path, 0, "longer than %u bytes", FILE_MAX_BYTES);
    } else {
        list = sg_userlist_parse(path, (struct sg_span){text, len}, salt_of, faults);
    }
    if (file) {
        fclose(file);
    }
    OPENSSL_cleanse(text, len);
    free(text);
    return list;
}

void sg_userlist_free(struct sg_userlist *list) {
    for (size_t i = 0; list && i < list->len; i++) {
        free(list->users[i].name);
        sg_secret_wipe(&list->users[i].secret);
    }
    if (list) {
        free(list->users);
        free(list);
    }
}

const struct sg_secret *sg_userlist_find(const struct sg_userlist *list, const char *user) {
    struct user key = {.name = (char *)user};
    const struct user *found =
        list->len > 0 ? bsearch(&key, list->users, list->len, sizeof(*list->users), compare) : NULL;
    return found ? &found->secret : NULL;
}
