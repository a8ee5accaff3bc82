/*
 * auth — how clients are authenticated, as a value that never changes, counted: method, secrets, where to ask for more.
 * Made by main from the configuration, read by workers and by the threads that run auth_query. Wiped with the last
 * reference.
 */
#ifndef SEGUE_AUTH_AUTH_H
#define SEGUE_AUTH_AUTH_H

#include "method.h"
#include "proxy/config/faults.h"
#include "secret.h"

struct sg_hba;
struct sg_userlist;

/* An entry of [databases], for auth_query. */
struct sg_auth_way {
    char *name;     /* "*": for every other name */
    char *conninfo; /* libpq's, without database and user */
    char *dbname;   /* "": that of the name */
};

/* Texts may be NULL or empty: none. */
struct sg_auth_settings {
    enum sg_auth_method method;
    struct sg_hba *hba; /* decides in the method's place. A reference is taken */
    const char *file;   /* auth_file */
    /* auth_query: run as user in the database of this name, or else in the client's. */
    const char *query, *query_user, *query_database;
    const struct sg_auth_way *ways;
    size_t ways_len;
    int timeout_ms; /* to connect, and for the query; 0: none */
};

struct sg_auth {
    enum sg_auth_method method;
    struct sg_hba *hba; /* NULL: the method is for everybody */
    struct sg_userlist *users;
    char *query, *query_user, *query_database;
    struct sg_auth_way *ways;
    size_t ways_len;
    int timeout_ms;
};

/* Reads the file. NULL: there are faults. */
const struct sg_auth *sg_auth_new(const struct sg_auth_settings *settings, struct sg_config_faults *faults);
/* Any thread; NULL stays NULL. */
const struct sg_auth *sg_auth_ref(const struct sg_auth *auth);
void sg_auth_unref(const struct sg_auth *auth);

/* Of the file; NULL: it does not have this user. */
const struct sg_secret *sg_auth_secret(const struct sg_auth *auth, const char *user);
/* May the server be asked? Not about the user who asks. */
bool sg_auth_can_query(const struct sg_auth *auth, const char *user);

/* Where a database of this name is; NULL: no entry leads there. */
const struct sg_auth_way *sg_auth_way_to(const struct sg_auth *auth, const char *database);

/* What somebody without a secret is held against: the same at each try, for as long as this process lives. */
void sg_auth_mock(const char *user, struct sg_scram_verifier *ret_verifier);
/* The salt of that; that of passwords too, so that nobody can tell the two apart. */
void sg_auth_salt(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]);

#endif
