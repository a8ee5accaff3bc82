/* The keys as a table: their values from text and back. What a file looks like is config.c's matter. */
#include "proxy/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <libpq-fe.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { TEXT, CHOICE, INT, SECONDS, MS, BYTES, RATIO, BOOL };

struct key {
    enum kind kind;
    enum sg_config_change change;
    const char *name, *dflt, *words, *doc; /* words: CHOICE only */
    double low, high;
    size_t offset;
};

#define NUMBER_TEXT(low)    0
#define NUMBER_CHOICE(low)  0
#define NUMBER_INT(low)     (low)
#define NUMBER_SECONDS(low) (low)
#define NUMBER_MS(low)      (low)
#define NUMBER_BYTES(low)   (low)
#define NUMBER_RATIO(low)   (low)
#define NUMBER_BOOL(low)    0
#define WORDS_TEXT(low)     NULL
#define WORDS_CHOICE(low)   (low)
#define WORDS_INT(low)      NULL
#define WORDS_SECONDS(low)  NULL
#define WORDS_MS(low)       NULL
#define WORDS_BYTES(low)    NULL
#define WORDS_RATIO(low)    NULL
#define WORDS_BOOL(low)     NULL

static const struct key keys[] = {
#define X(kind, name, dflt, low, high, change, doc) \
    {kind,                                          \
     SG_CHANGE_##change,                            \
     #name,                                         \
     dflt,                                          \
     WORDS_##kind(low),                             \
     doc,                                           \
     NUMBER_##kind(low),                            \
     high,                                          \
     offsetof(struct sg_config, name)},
    SG_CONFIG_KEYS(X)
#undef X
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct key database_keys[] = {
#define X(kind, name, dflt, low, high, doc) \
    {kind,                                  \
     SG_CHANGE_RELOAD,                      \
     #name,                                 \
     dflt,                                  \
     WORDS_##kind(low),                     \
     doc,                                   \
     NUMBER_##kind(low),                    \
     high,                                  \
     offsetof(struct sg_config_database, name)},
    SG_DATABASE_KEYS(X)
#undef X
};
#define DATABASE_KEYS (sizeof(database_keys) / sizeof(database_keys[0]))

size_t sg_config_keys(void) {
    return KEYS;
}

const char *sg_config_key_name(size_t i) {
    return keys[i].name;
}

const char *sg_config_key_default(size_t i) {
    return keys[i].dflt;
}

const char *sg_config_key_doc(size_t i) {
    return keys[i].doc;
}

enum sg_config_change sg_config_key_change(size_t i) {
    return keys[i].change;
}

static void kind_of(const struct key *key, char *out, size_t size) {
    static const char *const names[] = {
        [TEXT] = "text",          [INT] = "integer",  [SECONDS] = "time (s)", [MS] = "time (ms)",
        [BYTES] = "size (bytes)", [RATIO] = "number", [BOOL] = "boolean"};
    snprintf(out, size, "%s", key->kind == CHOICE ? key->words : names[key->kind]);
}

void sg_config_key_kind(size_t i, char *out, size_t size) {
    kind_of(&keys[i], out, size);
}

static int find(const struct key *table, size_t len, const char *name) {
    for (size_t i = 0; i < len; i++)
        if (strcmp(table[i].name, name) == 0)
            return (int)i;
    return -1;
}

int sg_config_key_find(const char *name) {
    return find(keys, KEYS, name);
}

/* Levenshtein. Names longer than the row are not close to any key. */
static size_t distance(const char *a, const char *b) {
    size_t row[SG_NAME_BYTES], alen = strlen(a), blen = strlen(b);
    if (blen >= SG_NAME_BYTES || alen >= SG_NAME_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= blen; j++)
        row[j] = j;
    for (size_t i = 1; i <= alen; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= blen; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[blen];
}

static int nearest(const struct key *table, size_t len, const char *name) {
    size_t best = strlen(name) / 2 + 1; /* beyond that a suggestion is noise */
    int found = -1;
    for (size_t i = 0; i < len; i++) {
        size_t d = distance(name, table[i].name);
        if (d < best) {
            best = d;
            found = (int)i;
        }
    }
    return found;
}

int sg_config_key_nearest(const char *name) {
    return nearest(keys, KEYS, name);
}

/* ---- Text to value ---- */

struct unit {
    const char *name;
    double factor;
};
static const struct unit time_units[] = {{"ms", 1}, {"s", 1e3}, {"min", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}, {0}};
static const struct unit size_units[] = {{"B", 1}, {"kB", 1024}, {"MB", 1048576}, {"GB", 1073741824}, {0}};

static bool number_read(const struct key *key, const char *text, double *ret, char *why, size_t why_size) {
    const struct unit *units = key->kind == BYTES                        ? size_units
                               : key->kind == MS || key->kind == SECONDS ? time_units
                                                                         : NULL;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool digits = end != text && !isspace((unsigned char)text[0]) && !memchr(text, 'x', (size_t)(end - text)) &&
                  isfinite(value) && errno == 0;
    while (*end == ' ')
        end++;
    double factor = key->kind == SECONDS ? 1e3 : 1;
    bool unit_known = *end == '\0';
    for (const struct unit *u = units; u && u->name && !unit_known; u++)
        if (strcasecmp(u->name, end) == 0) {
            factor = u->factor;
            unit_known = true;
        }
    value *= factor;
    if (!digits || (*end && !units)) {
        snprintf(why, why_size, "\"%s\" is not a number", text);
        return false;
    }
    if (!unit_known) {
        snprintf(why, why_size, "\"%s\" is not a unit of %s", end,
                 key->kind == BYTES ? "size: B, kB, MB, GB" : "time: ms, s, min, h, d");
        return false;
    }
    if (key->kind != RATIO && value != floor(value)) {
        snprintf(why, why_size, "\"%s\" is not a whole number%s", text,
                 key->kind == INT     ? ""
                 : key->kind == BYTES ? " of bytes"
                                      : " of milliseconds");
        return false;
    }
    if (value < key->low || value > key->high) {
        const char *in = key->kind == BYTES ? " bytes" : units ? " ms" : "";
        snprintf(why, why_size, "must be between %.10g and %.10g%s", key->low, key->high, in);
        return false;
    }
    *ret = value;
    return true;
}

static bool bool_read(const char *text, bool *ret) {
    static const char *const yes[] = {"1", "on", "yes", "true"}, *const no[] = {"0", "off", "no", "false"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool choice_allowed(const char *words, const char *text) {
    size_t len = strlen(text);
    for (const char *w = words; len && w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strcspn(w, "|") == len && strncmp(w, text, len) == 0)
            return true;
    return false;
}

static bool store(const struct key *key, void *base, struct sg_arena *arena, const char *text, char *why,
                  size_t why_size) {
    void *slot = (char *)base + key->offset;
    double number;
    bool flag;
    switch (key->kind) {
    case CHOICE:
        if (!choice_allowed(key->words, text)) {
            snprintf(why, why_size, "\"%s\" is not one of %s", text, key->words);
            return false;
        }
        /* fall through */
    case TEXT:
        *(const char **)slot = sg_arena_strdup(arena, text);
        return true;
    case BOOL:
        if (!bool_read(text, &flag)) {
            snprintf(why, why_size, "\"%s\" is neither 1, on, yes, true nor 0, off, no, false", text);
            return false;
        }
        *(bool *)slot = flag;
        return true;
    case RATIO:
        if (!number_read(key, text, &number, why, why_size))
            return false;
        *(double *)slot = number;
        return true;
    case INT:
    case SECONDS:
    case MS:
    case BYTES:
        if (!number_read(key, text, &number, why, why_size))
            return false;
        *(int64_t *)slot = (int64_t)number;
        return true;
    }
    return false;
}

bool sg_config_store(struct sg_config *config, size_t i, const char *text, char *why, size_t why_size) {
    return store(&keys[i], config, &config->arena, text, why, why_size);
}

/* ---- The keys of an entry of [databases] ---- */

size_t sg_database_keys(void) {
    return DATABASE_KEYS;
}

const char *sg_database_key_name(size_t i) {
    return database_keys[i].name;
}

const char *sg_database_key_default(size_t i) {
    return database_keys[i].dflt;
}

const char *sg_database_key_doc(size_t i) {
    return database_keys[i].doc;
}

void sg_database_key_kind(size_t i, char *out, size_t size) {
    kind_of(&database_keys[i], out, size);
}

int sg_database_key_find(const char *name) {
    return find(database_keys, DATABASE_KEYS, name);
}

int sg_database_key_nearest(const char *name) {
    return nearest(database_keys, DATABASE_KEYS, name);
}

bool sg_database_key_store(struct sg_config_database *entry, struct sg_arena *arena, size_t i, const char *text,
                           char *why, size_t why_size) {
    return store(&database_keys[i], entry, arena, text, why, why_size);
}

/* ---- Value to text ---- */

/* A connection string is shown without its secrets: SHOW CONFIG is open to the stats role, and ends up in tickets. */
static void conninfo_masked(const char *conninfo, char *out, size_t size) {
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    size_t len = 0;
    out[0] = '\0';
    for (PQconninfoOption *o = options; o && o->keyword && len < size; o++) {
        if (!o->val)
            continue;
        const char *value = strstr(o->keyword, "password") ? "****" : o->val;
        const char *quote = !value[0] || strpbrk(value, " '\\") ? "'" : "";
        len += (size_t)snprintf(out + len, size - len, "%s%s=%s%s%s", len ? " " : "", o->keyword, quote, value, quote);
    }
    PQconninfoFree(options);
}

void sg_config_value(const struct sg_config *config, size_t i, char *out, size_t size) {
    const struct key *key = &keys[i];
    const void *slot = (const char *)config + key->offset;
    switch (key->kind) {
    case TEXT:
        if (strcmp(key->name, "control_conninfo") == 0)
            conninfo_masked(*(const char *const *)slot, out, size);
        else
            snprintf(out, size, "%s", *(const char *const *)slot);
        return;
    case CHOICE:
        snprintf(out, size, "%s", *(const char *const *)slot);
        return;
    case BOOL:
        snprintf(out, size, "%d", *(const bool *)slot);
        return;
    case RATIO: /* as short as it can be written and read as the same */
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(out, size, "%.*g", digits, *(const double *)slot);
            if (strtod(out, NULL) == *(const double *)slot)
                return;
        }
        return;
    case SECONDS: /* without a unit, so that it may stand in the file as it is */
        snprintf(out, size, "%.10g", (double)*(const int64_t *)slot / 1e3);
        return;
    case INT:
    case MS:
    case BYTES:
        snprintf(out, size, "%lld", (long long)*(const int64_t *)slot);
        return;
    }
}

void sg_config_keep(struct sg_config *config, const struct sg_config *from, size_t i) {
    void *slot = (char *)config + keys[i].offset;
    const void *value = (const char *)from + keys[i].offset;
    switch (keys[i].kind) {
    case TEXT:
    case CHOICE:
        *(const char **)slot = sg_arena_strdup(&config->arena, *(const char *const *)value);
        return;
    case BOOL:
        *(bool *)slot = *(const bool *)value;
        return;
    case RATIO:
        *(double *)slot = *(const double *)value;
        return;
    case INT:
    case SECONDS:
    case MS:
    case BYTES:
        *(int64_t *)slot = *(const int64_t *)value;
        return;
    }
}

bool sg_config_same(const struct sg_config *a, const struct sg_config *b, size_t i) {
    const void *left = (const char *)a + keys[i].offset, *right = (const char *)b + keys[i].offset;
    switch (keys[i].kind) {
    case TEXT:
    case CHOICE:
        return strcmp(*(const char *const *)left, *(const char *const *)right) == 0;
    case BOOL:
        return *(const bool *)left == *(const bool *)right;
    case RATIO:
        return *(const double *)left == *(const double *)right;
    case INT:
    case SECONDS:
    case MS:
    case BYTES:
        return *(const int64_t *)left == *(const int64_t *)right;
    }
    return false;
}
