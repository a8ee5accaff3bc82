#include "databases.h"

#include <stdlib.h>
#include <string.h>

struct sg_databases {
    _Atomic unsigned refs;
    size_t len;
    struct sg_arena arena;
    struct sg_database *list;
};

static const char *text_of(struct sg_arena *arena, const char *text) {
    return text && *text ? sg_arena_strdup(arena, text) : NULL;
}

static void fill(struct sg_database *db, struct sg_arena *arena, const struct sg_database_spec *spec) {
    sg_upstream_init(&db->upstream, arena, spec->host, spec->hostaddr, spec->port);
    db->upstream.target = spec->target;
    db->upstream.balance = spec->balance;
    db->upstream.connect_timeout_ms = spec->connect_timeout_ms;
    db->name = sg_arena_strdup(arena, spec->name);
    db->dbname = text_of(arena, spec->dbname);
    db->user = text_of(arena, spec->user);
    db->password = text_of(arena, spec->password);
    db->options = text_of(arena, spec->options);
    db->client_encoding = text_of(arena, spec->client_encoding);
    db->datestyle = text_of(arena, spec->datestyle);
    db->timezone = text_of(arena, spec->timezone);
    db->rewrite = spec->rewrite;
    db->max_connections = spec->max_connections;
    db->tls = sg_tls_context_ref(spec->tls);
}

static void inherit(struct sg_databases *databases, size_t i, const struct sg_databases *known) {
    for (size_t k = 0; k < i; k++) { /* one host in two entries is one host */
        sg_upstream_inherit(&databases->list[i].upstream, &databases->list[k].upstream);
    }
    for (size_t k = 0; known && k < known->len; k++) {
        sg_upstream_inherit(&databases->list[i].upstream, &known->list[k].upstream);
    }
}

struct sg_databases *sg_databases_new(const struct sg_database_spec *specs, size_t len,
                                      const struct sg_databases *known) {
    struct sg_databases *databases = calloc(1, sizeof(*databases));
    if (!databases || !(databases->list = calloc(len ? len : 1, sizeof(*databases->list)))) {
        abort();
    }
    databases->refs = 1;
    databases->len = len;
    sg_arena_init(&databases->arena, 4096);
    for (size_t i = 0; i < len; i++) {
        fill(&databases->list[i], &databases->arena, &specs[i]);
        inherit(databases, i, known);
    }
    return databases;
}

struct sg_databases *sg_databases_ref(struct sg_databases *databases) {
    if (databases) {
        atomic_fetch_add_explicit(&databases->refs, 1, memory_order_relaxed);
    }
    return databases;
}

void sg_databases_unref(struct sg_databases *databases) {
    if (!databases || atomic_fetch_sub(&databases->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < databases->len; i++) {
        struct sg_database *db = &databases->list[i];
        sg_upstream_free(&db->upstream);
        sg_tls_context_unref(db->tls);
        if (db->password) {
            explicit_bzero((char *)db->password, strlen(db->password));
        }
    }
    sg_arena_free(&databases->arena);
    free(databases->list);
    free(databases);
}

const struct sg_database *sg_databases_find(const struct sg_databases *databases, struct sg_span name) {
    const struct sg_database *any = NULL;
    for (size_t i = 0; i < databases->len; i++) {
        const struct sg_database *db = &databases->list[i];
        if (sg_span_eq_cstr(name, db->name)) {
            return db;
        }
        any = strcmp(db->name, "*") == 0 ? db : any;
    }
    return any;
}

struct sg_span sg_database_target(const struct sg_database *database, struct sg_span name) {
    return database->dbname ? sg_span_of(database->dbname) : name;
}

static bool leads_to(const struct sg_database *db, const char *name, const char *control) {
    return db->rewrite && sg_span_eq_cstr(sg_database_target(db, sg_span_of(name)), control);
}

const struct sg_database *sg_databases_find_control(const struct sg_databases *databases, const char *control) {
    const struct sg_database *by_name = sg_databases_find(databases, sg_span_of(control));
    if (by_name && leads_to(by_name, control, control)) {
        return by_name;
    }
    for (size_t i = 0; i < databases->len; i++) {
        if (leads_to(&databases->list[i], databases->list[i].name, control)) {
            return &databases->list[i];
        }
    }
    return NULL;
}

size_t sg_databases_len(const struct sg_databases *databases) {
    return databases->len;
}

const struct sg_database *sg_databases_at(const struct sg_databases *databases, size_t i) {
    return &databases->list[i];
}
