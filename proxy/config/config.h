/*
 * config — the settings of `segue serve`: an INI file with PgBouncer's key names, and overrides from the command line.
 *
 * Loading is all or nothing: every fault is collected, with its line, and a config with a fault is not handed out. A
 * config never changes after it is loaded; a reload makes a new one. Any thread may read it while its owner keeps it.
 */
#ifndef SEGUE_CONFIG_H
#define SEGUE_CONFIG_H

#include "proxy/config/database_keys.h"
#include "proxy/config/faults.h"
#include "proxy/config/keys.h"
#include "segue/arena.h"
#include "segue/limits.h"
#include "segue/rewrite.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SG_CONFIG_C_TEXT    const char *
#define SG_CONFIG_C_CHOICE  const char *
#define SG_CONFIG_C_INT     int64_t
#define SG_CONFIG_C_SECONDS int64_t /* ms */
#define SG_CONFIG_C_MS      int64_t /* ms */
#define SG_CONFIG_C_BYTES   int64_t
#define SG_CONFIG_C_RATIO   double
#define SG_CONFIG_C_BOOL    bool

/* [users]: name = what holds for this user only. */
#define SG_LIMIT_MAX 1000000
struct sg_config_user {
    const char *name;
    int64_t max_user_connections; /* -1: as for all users */
    int line;
};

/* [databases]: name = connection string. "*" is every name not listed. Text is never NULL. */
struct sg_config_database {
    const char *name, *conninfo;
    int line; /* 0: from the command line */
#define X(kind, name, dflt, low, high, doc) SG_CONFIG_C_##kind name;
    SG_DATABASE_KEYS(X)
#undef X
};

/* Text is never NULL. Arrays and strings live as long as the config. */
struct sg_config {
#define X(kind, name, dflt, low, high, change, doc) SG_CONFIG_C_##kind name;
    SG_CONFIG_KEYS(X)
#undef X
    const struct sg_config_database *databases;
    size_t databases_len;
    const struct sg_config_client *clients;
    size_t clients_len;
    const struct sg_config_user *users;
    size_t users_len;
    const char *file;     /* NULL: none was given */
    const int *key_lines; /* in it, where each key is set; 0: it is not */
    struct sg_arena arena;
};

/* [clients]: what `*` means to some clients. The first that fits decides. */
enum sg_client_key { SG_CLIENT_USER, SG_CLIENT_APPLICATION_NAME, SG_CLIENT_DATABASE };
struct sg_config_client {
    enum sg_client_key key;
    const char *value;
    enum sg_star star;
};

/* Reads the value of an entry of [users]. False: tell has been told what is wrong. */
bool sg_config_user_read(struct sg_config_user *user, struct sg_arena *arena, const char *text,
                         void (*tell)(void *arg, const char *message), void *arg);

/* An override: `key=value` as it stands in [segue], or SG_CONFIG_UPSTREAM for [databases] `*`. */
#define SG_CONFIG_UPSTREAM "*"
struct sg_config_override {
    const char *key, *value;
    const char *option; /* for messages: "--listen" */
};

/* path NULL: defaults and overrides only. NULL when there is a fault. Main thread only (inih has global settings). */
struct sg_config *sg_config_load(const char *path, const struct sg_config_override *overrides, size_t overrides_len,
                                 struct sg_config_faults *faults);
/* The same from memory; name stands for the file in messages. */
struct sg_config *sg_config_parse(const char *name, struct sg_span text, const struct sg_config_override *overrides,
                                  size_t overrides_len, struct sg_config_faults *faults);
void sg_config_free(struct sg_config *config);

/* HOST:PORT, [v6]:PORT, :PORT or HOST. Outputs point into the arena; port "" when it was left out. */
bool sg_config_split_address(struct sg_arena *arena, const char *address, const char **ret_host, const char **ret_port);

/* ---- The list of keys, for SHOW CONFIG, reload and the docs ---- */

enum sg_config_change { SG_CHANGE_RELOAD, SG_CHANGE_RESTART, SG_CHANGE_LATER };
size_t sg_config_keys(void);
const char *sg_config_key_name(size_t i);
const char *sg_config_key_default(size_t i);
const char *sg_config_key_doc(size_t i);
enum sg_config_change sg_config_key_change(size_t i);
/* What is allowed, in words: "seconds", "text|json". */
void sg_config_key_kind(size_t i, char *out, size_t size);
/* The value in force as text, as it could stand in the file; passwords in connection strings are masked. */
void sg_config_value(const struct sg_config *config, size_t i, char *out, size_t size);
/* Index of a key, or -1; and the known key that is spelled most like an unknown one (-1: none is close). */
int sg_config_key_find(const char *name);
int sg_config_key_nearest(const char *name);
/* Sets one key from text. false: why says what is wrong with the value, and nothing changed. */
bool sg_config_store(struct sg_config *config, size_t i, const char *text, char *why, size_t why_size);
/* An entry of [databases] from its connection string, in libpq's syntax or as a URI. Each thing that is wrong is told;
 * false: there was one. of_program: the string may be meant for other programs too, and what libpq knows but has no
 * meaning here is left aside. */
bool sg_config_database_read(struct sg_config_database *entry, struct sg_arena *arena, const char *conninfo,
                             bool of_program, void (*tell)(void *arg, const char *message), void *arg);
/* The entry for a name that a client gives, or that of "*"; NULL: there is neither. */
const struct sg_config_database *sg_config_database_find(const struct sg_config *config, const char *name);

/* The same list for the keys of an entry. */
size_t sg_database_keys(void);
const char *sg_database_key_name(size_t i);
const char *sg_database_key_default(size_t i);
const char *sg_database_key_doc(size_t i);
void sg_database_key_kind(size_t i, char *out, size_t size);
int sg_database_key_find(const char *name);
int sg_database_key_nearest(const char *name);
bool sg_database_key_store(struct sg_config_database *entry, struct sg_arena *arena, size_t i, const char *text,
                           char *why, size_t why_size);

/* Takes one value over from another config: what a reload cannot change stays what it was. */
void sg_config_keep(struct sg_config *config, const struct sg_config *from, size_t i);
bool sg_config_same(const struct sg_config *a, const struct sg_config *b, size_t i);

#endif
