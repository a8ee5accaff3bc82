#include "upstream.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static int index_of(const char *const *names, size_t len, const char *name) {
    for (size_t i = 0; i < len; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool sg_wanted_from_name(const char *name, enum sg_wanted *ret_wanted) {
    static const char *const names[] = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"};
    int i = index_of(names, sizeof(names) / sizeof(names[0]), name);
    if (i >= 0) {
        *ret_wanted = (enum sg_wanted)i;
    }
    return i >= 0;
}

bool sg_balance_from_name(const char *name, enum sg_balance *ret_balance) {
    static const char *const names[] = {"disable", "random", "round-robin"};
    int i = index_of(names, sizeof(names) / sizeof(names[0]), name);
    if (i >= 0) {
        *ret_balance = (enum sg_balance)i;
    }
    return i >= 0;
}

/* ---- Lists ---- */

/* The i-th of a comma-separated list; of a list of one, that one. "": it is left out. */
static const char *element(struct sg_arena *arena, const char *list, size_t i) {
    bool is_single = !strchr(list, ',');
    for (; i > 0 && !is_single; i--) {
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return sg_arena_strndup(arena, list, strcspn(list, ","));
}

static size_t count(const char *list) {
    size_t n = 1;
    for (const char *c = list; *c; c++) {
        n += *c == ',';
    }
    return n < SG_HOSTS_MAX ? n : SG_HOSTS_MAX;
}

static const char *option_of(const PQconninfoOption *options, const char *keyword) {
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, keyword) == 0 && o->val) {
            return o->val;
        }
    }
    return "";
}

static const char *first_of(const char *a, const char *b) {
    return a && *a ? a : b;
}

static struct sg_host_memory *memory_new(void) {
    struct sg_host_memory *memory = calloc(1, sizeof(*memory));
    if (!memory) {
        abort();
    }
    memory->refs = 1;
    return memory;
}

static void memory_unref(struct sg_host_memory *memory) {
    if (memory && atomic_fetch_sub(&memory->refs, 1) == 1) {
        free(memory);
    }
}

static void fill_host(struct sg_host *host, struct sg_arena *arena) {
    host->is_unix = host->address[0] == '/' || host->address[0] == '@';
    const char *form = host->is_unix ? "%s/.s.PGSQL.%s" : strchr(host->address, ':') ? "[%s]:%s" : "%s:%s";
    host->label = sg_arena_printf(arena, form, host->address, host->port);
    host->memory = memory_new();
}

void sg_upstream_init(struct sg_upstream *up, struct sg_arena *arena, const char *host, const char *hostaddr,
                      const char *port) {
    *up = (struct sg_upstream){0};
    PQconninfoOption *defaults = PQconndefaults();
    bool has_place = first_of(host, "")[0] || first_of(hostaddr, "")[0];
    const char *names = first_of(host, has_place ? "" : option_of(defaults, "host"));
    const char *addresses = first_of(hostaddr, has_place ? "" : option_of(defaults, "hostaddr"));
    const char *ports = first_of(first_of(port, option_of(defaults, "port")), "5432");
    const char *places = first_of(addresses, names);
    up->len = count(places);
    for (size_t i = 0; i < up->len; i++) {
        struct sg_host *h = &up->hosts[i];
        h->name = element(arena, names, i);
        h->address = first_of(first_of(element(arena, addresses, i), h->name), "/var/run/postgresql");
        h->name = first_of(h->name, h->address);
        h->port = first_of(element(arena, ports, i), "5432");
        fill_host(h, arena);
    }
    PQconninfoFree(defaults);
}

void sg_upstream_inherit(struct sg_upstream *up, const struct sg_upstream *known) {
    for (size_t i = 0; i < up->len; i++) {
        for (size_t k = 0; k < known->len; k++) {
            if (strcmp(up->hosts[i].label, known->hosts[k].label) == 0 &&
                up->hosts[i].memory != known->hosts[k].memory) {
                memory_unref(up->hosts[i].memory);
                up->hosts[i].memory = known->hosts[k].memory;
                atomic_fetch_add(&up->hosts[i].memory->refs, 1);
            }
        }
    }
}

void sg_upstream_free(struct sg_upstream *up) {
    for (size_t i = 0; i < up->len; i++) {
        memory_unref(up->hosts[i].memory);
    }
    up->len = 0;
}

/* ---- Roles ---- */

void sg_host_learn(const struct sg_host *host, enum sg_role role) {
    atomic_store_explicit(&host->memory->role, (uint8_t)role, memory_order_relaxed);
}

enum sg_role sg_host_role(const struct sg_host *host) {
    return (enum sg_role)atomic_load_explicit(&host->memory->role, memory_order_relaxed);
}

bool sg_role_fits(enum sg_role role, enum sg_wanted target) {
    switch (target) {
    case SG_WANTED_ANY:
        return true;
    case SG_WANTED_READ_WRITE:
        return role == SG_ROLE_PRIMARY;
    case SG_WANTED_READ_ONLY:
        return role == SG_ROLE_READ_ONLY || role == SG_ROLE_STANDBY;
    case SG_WANTED_PRIMARY:
        return role == SG_ROLE_PRIMARY || role == SG_ROLE_READ_ONLY;
    case SG_WANTED_STANDBY:
    case SG_WANTED_PREFER_STANDBY:
        return role == SG_ROLE_STANDBY;
    }
    return false;
}
