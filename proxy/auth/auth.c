#include "auth.h"

#include "base64.h"
#include "hba.h"
#include "userlist.h"

#include "proxy/log.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct counted {
    struct sg_auth auth; /* first, so that one is the other */
    _Atomic unsigned refs;
};

/* ---- Mock authentication ---- */

static uint8_t mock_key[SG_SCRAM_KEY_BYTES]; /* written once, before it is read */
static pthread_once_t mock_key_once = PTHREAD_ONCE_INIT;

static void make_mock_key(void) {
    if (RAND_bytes(mock_key, sizeof(mock_key)) != 1) {
        abort();
    }
}

enum { MOCK_SALT_BYTES = 16 }; /* as many as PostgreSQL's */

static void mock_digest(const char *user, uint8_t ret_digest[SG_SCRAM_KEY_BYTES]) {
    pthread_once(&mock_key_once, make_mock_key);
    if (!sg_hmac(mock_key, user, strlen(user), ret_digest)) {
        abort();
    }
}

void sg_auth_salt(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]) {
    uint8_t digest[SG_SCRAM_KEY_BYTES];
    mock_digest(user, digest);
    sg_base64_encode(digest, MOCK_SALT_BYTES, ret_salt);
}

void sg_auth_mock(const char *user, struct sg_scram_verifier *ret_verifier) {
    uint8_t digest[SG_SCRAM_KEY_BYTES];
    mock_digest(user, digest);
    *ret_verifier = (struct sg_scram_verifier){.iterations = SG_SCRAM_ITERATIONS};
    sg_base64_encode(digest, MOCK_SALT_BYTES, ret_verifier->salt);
    memcpy(ret_verifier->stored, digest, sizeof(digest));
    memcpy(ret_verifier->server, digest, sizeof(digest));
}

/* ---- The value ---- */

static char *copy(const char *text) {
    char *dup = strdup(text ? text : "");
    if (!dup) {
        abort();
    }
    return dup;
}

static struct sg_auth_way *copy_ways(const struct sg_auth_way *ways, size_t len) {
    struct sg_auth_way *own = calloc(len + 1, sizeof(*own));
    if (!own) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        own[i] = (struct sg_auth_way){copy(ways[i].name), copy(ways[i].conninfo), copy(ways[i].dbname)};
    }
    return own;
}

static void warn_of_readers(const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO)) {
        sg_log(SG_LOG_WARN, "auth_file %s can be read by everybody on this machine: chmod o-rwx", path);
    }
}

const struct sg_auth *sg_auth_new(const struct sg_auth_settings *settings, struct sg_config_faults *faults) {
    struct sg_userlist *users = NULL;
    if (settings->file && *settings->file) {
        users = sg_userlist_read(settings->file, sg_auth_salt, faults);
        if (!users) {
            return NULL;
        }
        warn_of_readers(settings->file);
    }
    struct counted *counted = calloc(1, sizeof(*counted));
    if (!counted) {
        abort();
    }
    atomic_init(&counted->refs, 1);
    counted->auth = (struct sg_auth){
        .method = settings->method,
        .hba = sg_hba_ref(settings->hba),
        .users = users,
        .query = copy(settings->query),
        .query_user = copy(settings->query_user),
        .query_database = copy(settings->query_database),
        .ways = copy_ways(settings->ways, settings->ways_len),
        .ways_len = settings->ways_len,
        .timeout_ms = settings->timeout_ms,
    };
    return &counted->auth;
}

const struct sg_auth *sg_auth_ref(const struct sg_auth *auth) {
    if (auth) {
        atomic_fetch_add_explicit(&((struct counted *)auth)->refs, 1, memory_order_relaxed);
    }
    return auth;
}

void sg_auth_unref(const struct sg_auth *auth) {
    struct counted *counted = (struct counted *)auth;
    if (!counted || atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    struct sg_auth *own = &counted->auth;
    for (size_t i = 0; i < own->ways_len; i++) {
        free(own->ways[i].name);
        free(own->ways[i].conninfo);
        free(own->ways[i].dbname);
    }
    free(own->ways);
    free(own->query);
    free(own->query_user);
    free(own->query_database);
    sg_userlist_free(own->users);
    sg_hba_unref(own->hba);
    free(counted);
}

const struct sg_secret *sg_auth_secret(const struct sg_auth *auth, const char *user) {
    return auth->users ? sg_userlist_find(auth->users, user) : NULL;
}

bool sg_auth_can_query(const struct sg_auth *auth, const char *user) {
    return auth->query_user[0] && auth->query[0] && strcmp(auth->query_user, user) != 0;
}

const struct sg_auth_way *sg_auth_way_to(const struct sg_auth *auth, const char *database) {
    const struct sg_auth_way *any = NULL, *renamed = NULL;
    for (size_t i = 0; i < auth->ways_len; i++) {
        const struct sg_auth_way *way = &auth->ways[i];
        if (strcmp(way->name, database) == 0) {
            return way;
        }
        any = strcmp(way->name, "*") == 0 ? way : any;
        renamed = strcmp(way->dbname, database) == 0 ? way : renamed; /* the control database's name is the server's */
    }
    return any ? any : renamed;
}
