/* Entries of [users]: what holds for one user only, as `key = value` after `key = value`. */
#include "proxy/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct sg_config_user *user;
    struct sg_fault_listener faults;
};

static void set_most(struct reader *r, const char *key, const char *value) {
    char *end;
    long most = strtol(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || most > SG_LIMIT_MAX)
        sg_fault_tell(&r->faults, "%s: \"%s\" is not a number from 0 to %d", key, value, SG_LIMIT_MAX);
    else
        r->user->max_user_connections = most;
}

/* Other keys of PgBouncer's that a user can have there, and why not here. */
static const char *objection_to(const char *key) {
    static const char *const of_pools[] = {"pool_size", "min_pool_size", "reserve_pool_size", "res_pool_size"};
    static const char *const for_all[] = {"query_timeout", "idle_transaction_timeout", "transaction_timeout",
                                          "client_idle_timeout"};
    for (size_t i = 0; i < sizeof(of_pools) / sizeof(of_pools[0]); i++)
        if (strcmp(of_pools[i], key) == 0)
            return "is of a pool, and there is none: each client has a server session of its own";
    for (size_t i = 0; i < sizeof(for_all) / sizeof(for_all[0]); i++)
        if (strcmp(for_all[i], key) == 0)
            return "is for all users; for one of them, ALTER ROLE ... SET has it on the server";
    return NULL;
}

static void set(struct reader *r, const char *key, const char *value) {
    const char *why = objection_to(key);
    if (strcmp(key, "max_user_connections") == 0 || strcmp(key, "max_user_client_connections") == 0)
        set_most(r, key, value);
    else if (strcmp(key, "pool_mode") == 0 && strcmp(value, "session") != 0)
        sg_fault_tell(&r->faults, "pool_mode: \"%s\" is not session: a client has a server session of its own, always",
                      value);
    else if (why)
        sg_fault_tell(&r->faults, "%s %s", key, why);
    else if (strcmp(key, "pool_mode") != 0)
        sg_fault_tell(&r->faults, "unknown key \"%s\"; a user has max_user_connections", key);
}

bool sg_config_user_read(struct sg_config_user *user, struct sg_arena *arena, const char *text,
                         void (*tell)(void *arg, const char *message), void *arg) {
    struct reader r = {user, {tell, arg, false}};
    user->max_user_connections = -1;
    for (char *at = sg_arena_strdup(arena, text); *(at += strspn(at, " \t"));) {
        char *key = at, *equals = key + strcspn(key, "= \t");
        char *value = equals + strspn(equals, " \t");
        if (key == equals || *value != '=') {
            sg_fault_tell(&r.faults, "missing \"=\" after \"%.*s\"", (int)(equals - key), key);
            break;
        }
        value += 1 + strspn(value + 1, " \t");
        at = value + strcspn(value, " \t");
        *equals = '\0';
        if (*at)
            *at++ = '\0';
        set(&r, key, value);
    }
    return !r.faults.has_heard;
}
