#include "lookup_query.h"

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of whoever may be seen by everybody: pg_roles shows this much to all. */
#define VALID_UNTIL_QUERY                                                                 \
    "SELECT rolvaliduntil < pg_catalog.clock_timestamp() FROM pg_catalog.pg_roles WHERE " \
    "rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name"

/* As the server's own hba file has it: whatever may be done with a membership, and no matter who is a superuser. */
#define ROLES_QUERY                                                                                             \
    "WITH RECURSIVE m(oid) AS (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) " \
    "$1::pg_catalog.name UNION SELECT a.roleid FROM pg_catalog.pg_auth_members a, m WHERE a.member "            \
    "OPERATOR(pg_catalog.=) m.oid) SELECT r.rolname FROM pg_catalog.pg_roles r, m WHERE r.oid "                 \
    "OPERATOR(pg_catalog.=) m.oid"

void sg_lookup_unlink(struct sg_lookup_link *link) {
    PQfinish(link->conn);
    sg_auth_unref(link->auth);
    free(link->database);
    *link = (struct sg_lookup_link){.stop_fd = link->stop_fd};
}

static bool trouble(struct sg_lookup_result *result, const char *what, const char *why) {
    result->status = SG_LOOKUP_TROUBLE;
    sg_error_set(&result->error, SG_SQLSTATE_CANNOT_CONNECT, "%s", what);
    sg_error_detail(&result->error, "%.*s", (int)strcspn(why, "\n"), why);
    return false;
}

/* ---- Waiting ---- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0: no end. */
static int64_t deadline_of(const struct sg_auth *auth) {
    return auth->timeout_ms > 0 ? now_ms() + auth->timeout_ms : 0;
}

/* False: it is too late, or segue ends. */
static bool wait_for(const struct sg_lookup_link *link, short events, int64_t deadline) {
    struct pollfd fds[] = {{.fd = PQsocket(link->conn), .events = events}, {.fd = link->stop_fd, .events = POLLIN}};
    for (;;) {
        int64_t left = deadline ? deadline - now_ms() : 0;
        if (deadline && left <= 0) {
            return false;
        }
        int n = poll(fds, 2, deadline ? (int)left : -1);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            return fds[1].revents == 0;
        }
    }
}

/* ---- Connecting ---- */

static bool is_usable(const struct sg_lookup_link *link, const struct sg_auth *auth, const char *database) {
    return link->conn && link->auth == auth && strcmp(link->database, database) == 0 &&
           PQstatus(link->conn) == CONNECTION_OK;
}

/* What the server gives up by itself need not be given up by us. */
static void fill_options(const struct sg_auth *auth, char *out, size_t size) {
    /* search_path: nobody else's objects are found by a name without a schema. */
    snprintf(out, size, "-c search_path=pg_catalog,pg_temp -c statement_timeout=%d", auth->timeout_ms);
}

/* Later keywords win over earlier ones, and the connection string is expanded where "dbname" first stands. */
static PGconn *begin_connecting(const struct sg_auth *auth, const struct sg_auth_way *way, const char *database) {
    const struct sg_secret *secret = sg_auth_secret(auth, auth->query_user);
    const char *password = secret && secret->kind == SG_SECRET_PLAIN ? secret->password : NULL;
    char options[100];
    fill_options(auth, options, sizeof(options));
    /* SQL_ASCII: the user's name is bytes of an encoding that only the client knows, and is compared as such. */
    const char *const keys[] = {"dbname",           "user", "password", "dbname", "options", "client_encoding",
                                "application_name", NULL};
    const char *const values[] = {
        way->conninfo, auth->query_user, password,           way->dbname[0] ? way->dbname : database,
        options,       "SQL_ASCII",      "segue auth_query", NULL};
    return PQconnectStartParams(keys, values, 1);
}

static bool connect_link(struct sg_lookup_link *link, const struct sg_auth *auth, const char *database,
                         struct sg_lookup_result *result) {
    const struct sg_auth_way *way = sg_auth_way_to(auth, database);
    sg_lookup_unlink(link);
    if (!way) {
        return trouble(result, "auth_query: no entry of [databases] leads to its database", database);
    }
    link->conn = begin_connecting(auth, way, database);
    link->auth = sg_auth_ref(auth);
    link->database = strdup(database);
    if (!link->conn || !link->database) {
        abort();
    }
    int64_t deadline = deadline_of(auth);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    bool is_in_time = true;
    while (PQstatus(link->conn) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED &&
           is_in_time) {
        is_in_time = wait_for(link, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        status = is_in_time ? PQconnectPoll(link->conn) : PGRES_POLLING_FAILED;
    }
    if (PQstatus(link->conn) == CONNECTION_OK) {
        return true;
    }
    trouble(result, "auth_query: cannot connect as auth_user",
            is_in_time ? PQerrorMessage(link->conn) : "it took longer than server_connect_timeout");
    sg_lookup_unlink(link);
    return false;
}

/* ---- Asking ---- */

/* NULL: it failed, and *result says why. What was left on the connection is read and dropped. */
static PGresult *ask(struct sg_lookup_link *link, const char *sql, const char *user, struct sg_lookup_result *result) {
    const char *const values[] = {user};
    int64_t deadline = deadline_of(link->auth);
    PGresult *first = NULL;
    if (!PQsendQueryParams(link->conn, sql, 1, NULL, values, NULL, NULL, 0)) {
        trouble(result, "auth_query: cannot ask", PQerrorMessage(link->conn));
        return NULL;
    }
    for (;;) {
        while (PQisBusy(link->conn)) {
            if (!wait_for(link, POLLIN, deadline) || !PQconsumeInput(link->conn)) {
                trouble(result, "auth_query: no answer", PQerrorMessage(link->conn));
                PQclear(first);
                sg_lookup_unlink(link); /* it may be in the middle of something */
                return NULL;
            }
        }
        PGresult *next = PQgetResult(link->conn);
        if (!next) {
            break;
        }
        PQclear(first ? next : NULL);
        first = first ? first : next;
    }
    if (PQresultStatus(first) == PGRES_TUPLES_OK) {
        return first;
    }
    trouble(result, "auth_query failed", first ? PQresultErrorMessage(first) : PQerrorMessage(link->conn));
    PQclear(first);
    return NULL;
}

static void nobody(struct sg_lookup_result *result, const char *why) {
    result->status = SG_LOOKUP_NOBODY;
    result->why = why;
}

static void read_answer(PGresult *answer, const struct sg_lookup_task *task, struct sg_lookup_result *result) {
    if (PQnfields(answer) < 2) {
        trouble(result, "auth_query is of no use", "it must return the user's name and the secret");
    } else if (PQntuples(answer) == 0 || (PQntuples(answer) == 1 && PQgetisnull(answer, 0, 0))) {
        nobody(result, "auth_query does not find it");
    } else if (PQntuples(answer) > 1) {
        trouble(result, "auth_query is of no use", "it has returned more than one row");
    } else if (strcmp(PQgetvalue(answer, 0, 0), task->user) != 0) {
        nobody(result, "auth_query has returned another user's row");
    } else if (PQgetisnull(answer, 0, 1) || PQgetlength(answer, 0, 1) == 0) {
        nobody(result, "it has no password, or VALID UNTIL has passed");
    } else {
        struct sg_span text = {PQgetvalue(answer, 0, 1), (size_t)PQgetlength(answer, 0, 1)};
        bool good = sg_secret_read(text, &result->secret);
        OPENSSL_cleanse((char *)text.ptr, text.len);
        result->status = SG_LOOKUP_FOUND;
        if (!good) {
            trouble(result, "auth_query is of no use", "the secret begins as one of SCRAM-SHA-256, and is damaged");
        }
    }
}

/* Many an auth_query forgets about it. Asked of users who do not exist, too: the time must not tell. */
static void check_time(struct sg_lookup_link *link, const struct sg_lookup_task *task,
                       struct sg_lookup_result *result) {
    PGresult *answer = ask(link, VALID_UNTIL_QUERY, task->user, result);
    bool is_over = answer && result->status == SG_LOOKUP_FOUND && PQntuples(answer) == 1 &&
                   strcmp(PQgetvalue(answer, 0, 0), "t") == 0;
    PQclear(answer);
    if (!answer || is_over) {
        sg_secret_wipe(&result->secret);
    }
    if (is_over) {
        nobody(result, "VALID UNTIL has passed");
    }
}

static void salt(const struct sg_lookup_task *task, struct sg_lookup_result *result) {
    char text[SG_SCRAM_SALT_TEXT];
    sg_auth_salt(task->user, text);
    if (!sg_secret_salt(&result->secret, text)) {
        sg_secret_wipe(&result->secret);
        trouble(result, "OpenSSL cannot do SCRAM-SHA-256", "");
    }
}

/* A connection that has lain idle may have been closed by the server: it is tried once more on a new one. */
static PGresult *ask_anew(struct sg_lookup_link *link, const struct sg_lookup_task *task, const char *sql,
                          struct sg_lookup_result *result) {
    const char *database = task->auth->query_database[0] ? task->auth->query_database : task->database;
    bool was_there = is_usable(link, task->auth, database);
    if (!was_there && !connect_link(link, task->auth, database, result)) {
        return NULL;
    }
    PGresult *answer = ask(link, sql, task->user, result);
    bool is_lost = !link->conn || PQstatus(link->conn) != CONNECTION_OK;
    if (answer || !was_there || !is_lost || !connect_link(link, task->auth, database, result)) {
        return answer;
    }
    return ask(link, sql, task->user, result);
}

/* ---- Roles ---- */

void sg_lookup_roles_free(char **roles) {
    for (char **role = roles; role && *role; role++) {
        free(*role);
    }
    free(roles);
}

static void find_roles(struct sg_lookup_link *link, const struct sg_lookup_task *task,
                       struct sg_lookup_result *result) {
    PGresult *answer = ask_anew(link, task, ROLES_QUERY, result);
    if (!answer) {
        return;
    }
    int len = PQntuples(answer);
    result->roles = calloc((size_t)len + 1, sizeof(*result->roles));
    if (!result->roles) {
        abort();
    }
    for (int i = 0; i < len; i++) {
        result->roles[i] = strdup(PQgetvalue(answer, i, 0));
        if (!result->roles[i]) {
            abort();
        }
    }
    result->status = SG_LOOKUP_FOUND;
    PQclear(answer);
}

/* ---- Secrets ---- */

static void find_secret(struct sg_lookup_link *link, const struct sg_lookup_task *task,
                        struct sg_lookup_result *result) {
    PGresult *answer = ask_anew(link, task, task->auth->query, result);
    if (answer) {
        read_answer(answer, task, result);
    }
    PQclear(answer);
    if (result->status != SG_LOOKUP_TROUBLE) {
        check_time(link, task, result);
    }
    if (result->status == SG_LOOKUP_FOUND) {
        salt(task, result);
    }
}

void sg_lookup_run(struct sg_lookup_link *link, const struct sg_lookup_task *task,
                   struct sg_lookup_result *ret_result) {
    struct sg_lookup_result result = {.status = SG_LOOKUP_TROUBLE};
    (task->kind == SG_LOOKUP_ROLES ? find_roles : find_secret)(link, task, &result);
    *ret_result = result;
    OPENSSL_cleanse(&result.secret, sizeof(result.secret)); /* the copy on the stack */
}
