/*
 * Entries of [databases]: a connection string in libpq's syntax, or a URI, whose keys are those of database_keys.h.
 * Some of them libpq does not know, so keyword = value is taken apart here; a value's quotes may be doubled, as in
 * PgBouncer.
 */
#include "proxy/config/config.h"
#include "proxy/tls.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct sg_config_database *entry;
    struct sg_arena *arena;
    bool of_program;
    struct sg_fault_listener faults;
};

/* ---- One key ---- */

static bool libpq_knows(const char *key) {
    PQconninfoOption *options = PQconninfoParse("", NULL);
    bool is_known = false;
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        is_known = is_known || strcmp(o->keyword, key) == 0;
    PQconninfoFree(options);
    return is_known;
}

/* What PgBouncer's entries may say besides, and why it cannot be meant here. */
static const char *objection_to(const char *key) {
    static const struct {
        const char *key, *why;
    } known[] = {
        {"pool_size", "there is no pool: each client has a server session of its own"},
        {"min_pool_size", "there is no pool: each client has a server session of its own"},
        {"reserve_pool", "there is no pool: each client has a server session of its own"},
        {"reserve_pool_size", "there is no pool: each client has a server session of its own"},
        {"server_lifetime", "there is no pool: a server session lives as long as its client's"},
        {"connect_query", "nothing but the client's own statements is run; use options, or ALTER ROLE ... SET"},
        {"service", "write host and port out, or set PGSERVICE in the environment"},
        {"passfile", "it is the client's password that is used"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].key, key) == 0)
            return known[i].why;
    return NULL;
}

static void unknown_key(struct reader *r, const char *key) {
    bool is_libpqs = libpq_knows(key);
    if (is_libpqs && r->of_program)
        return;
    const char *why = objection_to(key);
    int near = sg_database_key_nearest(key);
    if (why)
        sg_fault_tell(&r->faults, "%s: %s", key, why);
    else if (is_libpqs)
        sg_fault_tell(&r->faults, "%s has no meaning here", key);
    else if (near >= 0)
        sg_fault_tell(&r->faults, "unknown key \"%s\"; did you mean \"%s\"?", key, sg_database_key_name((size_t)near));
    else
        sg_fault_tell(&r->faults, "unknown key \"%s\"", key);
}

static void set(struct reader *r, const char *key, const char *value) {
    /* Whoever gives one connection string to several programs means the client's own login here. */
    static const char *const of_client[] = {"dbname", "user", "password", "options", "client_encoding"};
    for (size_t i = 0; r->of_program && i < sizeof(of_client) / sizeof(of_client[0]); i++)
        if (strcmp(of_client[i], key) == 0)
            return;
    int i = sg_database_key_find(key);
    char why[200];
    if (i < 0)
        unknown_key(r, key);
    else if (!sg_database_key_store(r->entry, r->arena, (size_t)i, value, why, sizeof(why)))
        sg_fault_tell(&r->faults, "%s: %s", key, why);
}

/* ---- keyword = value ---- */

static const char *skip_space(const char *at) {
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* NULL: a quote is not closed. */
static const char *read_value(struct reader *r, const char *at, const char **ret_value) {
    bool is_quoted = *at == '\'';
    char *value = sg_arena_strdup(r->arena, at), *out = value;
    for (at += is_quoted; *at && (is_quoted || !isspace((unsigned char)*at)); at++) {
        if (is_quoted && *at == '\'' && at[1] != '\'')
            break;
        if ((*at == '\\' || (is_quoted && *at == '\'')) && at[1])
            at++;
        *out++ = *at;
    }
    *out = '\0';
    *ret_value = value;
    if (is_quoted && *at != '\'')
        return NULL;
    return at + is_quoted;
}

static void read_pairs(struct reader *r, const char *at) {
    for (at = skip_space(at); *at; at = skip_space(at)) {
        size_t len = strcspn(at, "= \t\r\n");
        const char *key = sg_arena_strndup(r->arena, at, len), *value;
        at = skip_space(at + len);
        if (len == 0 || *at != '=') {
            sg_fault_tell(&r->faults, "missing \"=\" after \"%s\"", key);
            return;
        }
        at = read_value(r, skip_space(at + 1), &value);
        if (!at) {
            sg_fault_tell(&r->faults, "the quoted value of %s has no end", key);
            return;
        }
        set(r, key, value);
    }
}

static void read_uri(struct reader *r, const char *uri) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(uri, &why);
    if (!options) {
        if (why)
            why[strcspn(why, "\n")] = '\0';
        sg_fault_tell(&r->faults, "%s", why ? why : "out of memory");
    }
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->val)
            set(r, o->keyword, o->val);
    PQfreemem(why);
    PQconninfoFree(options);
}

/* ---- The whole ---- */

static size_t count(const char *list) {
    size_t n = 1;
    for (const char *c = list; *c; c++)
        n += *c == ',';
    return n;
}

static void check_ports(struct reader *r, const char *list) {
    for (const char *at = list; *list;) {
        size_t len = strcspn(at, ",");
        char *end;
        long port = strtol(at, &end, 10);
        if (len > 0 && (!isdigit((unsigned char)*at) || end != at + len || port < 1 || port > 65535))
            sg_fault_tell(&r->faults, "port: \"%.*s\" is not a port number", (int)(len < 40 ? len : 40), at);
        if (!at[len])
            break;
        at += len + 1;
    }
}

static void check_entry(struct reader *r) {
    const struct sg_config_database *e = r->entry;
    const char *hosts = e->hostaddr[0] ? e->hostaddr : e->host;
    enum sg_tls_mode mode;
    if (e->host[0] && e->hostaddr[0] && count(e->host) != count(e->hostaddr))
        sg_fault_tell(&r->faults, "%zu host names, but %zu of hostaddr", count(e->host), count(e->hostaddr));
    if (count(e->port) > 1 && count(e->port) != count(hosts))
        sg_fault_tell(&r->faults, "%zu ports, but %zu hosts", count(e->port), count(hosts));
    if (count(hosts) > SG_HOSTS_MAX)
        sg_fault_tell(&r->faults, "more than %d hosts", SG_HOSTS_MAX);
    check_ports(r, e->port);
    if (e->sslmode[0] && !sg_tls_mode_from_name(e->sslmode, &mode))
        sg_fault_tell(&r->faults,
                      "sslmode: \"%s\" is not one of disable, allow, prefer, require, verify-ca, verify-full",
                      e->sslmode);
    if (strcmp(e->dbname, "segue") == 0)
        sg_fault_tell(&r->faults, "dbname: \"segue\" is the console's own name");
}

bool sg_config_database_read(struct sg_config_database *entry, struct sg_arena *arena, const char *conninfo,
                             bool of_program, void (*tell)(void *arg, const char *message), void *arg) {
    struct reader r = {entry, arena, of_program, {tell, arg, false}};
    char why[200];
    for (size_t i = 0; i < sg_database_keys(); i++)
        if (!sg_database_key_store(entry, arena, i, sg_database_key_default(i), why, sizeof(why)))
            abort(); /* the table is wrong: no test passes */
    entry->conninfo = sg_arena_strdup(arena, conninfo);
    if (strncmp(conninfo, "postgres://", 11) == 0 || strncmp(conninfo, "postgresql://", 13) == 0)
        read_uri(&r, conninfo);
    else
        read_pairs(&r, conninfo);
    check_entry(&r);
    return !r.faults.has_heard;
}

const struct sg_config_database *sg_config_database_find(const struct sg_config *config, const char *name) {
    const struct sg_config_database *any = NULL;
    for (size_t i = 0; i < config->databases_len; i++) {
        if (strcmp(config->databases[i].name, name) == 0)
            return &config->databases[i];
        if (strcmp(config->databases[i].name, "*") == 0)
            any = &config->databases[i];
    }
    return any;
}
