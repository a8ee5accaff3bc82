/*
 * Every key of an entry of [databases], once: the struct, the parser and docs/config.md are made from this list.
 *
 * X(kind, name, default, low, high, doc)     kinds, bounds and defaults as in keys.h; all are taken up by a
 * reload
 *
 * The names are libpq's and PgBouncer's; the meaning is libpq's wherever both have one.
 */
#ifndef SEGUE_DATABASE_KEYS_H
#define SEGUE_DATABASE_KEYS_H

/* clang-format off */
#define SG_DATABASE_KEYS(X)                                                                                            \
    /* where the server is */                                                                                          \
    X(TEXT,    host, "", 0, 0, "Names, addresses or socket directories, comma-separated; tried in this order")         \
    X(TEXT,    hostaddr, "", 0, 0, "Addresses to connect to, one for each of `host`, whose names are then for certificates only") \
    X(TEXT,    port, "", 0, 0, "One port for all hosts, or one for each")                                              \
    X(CHOICE,  target_session_attrs, "any", "any|read-write|read-only|primary|standby|prefer-standby", 0, "Which of the hosts will do, as in libpq") \
    X(CHOICE,  load_balance_hosts, "disable", "disable|random|round-robin", 0, "In which order hosts are tried") \
    X(SECONDS, connect_timeout, "0", 0, 86400000, "Time for one address; 0 is a fair share of `server_connect_timeout`") \
    /* who is logged in, and to what */                                                                                \
    X(TEXT,    dbname, "", 0, 0, "The database there; empty is the one that the client names")                        \
    X(TEXT,    user, "", 0, 0, "Role that all clients are logged in as; needs an `auth_type` other than `passthrough`") \
    X(TEXT,    password, "", 0, 0, "Its password")                                                                     \
    /* what a client starts with, unless it says otherwise */                                                          \
    X(TEXT,    options, "", 0, 0, "Command-line options for the session, before those of the client")                  \
    X(TEXT,    client_encoding, "", 0, 0, "Encoding of clients that name none")                                        \
    X(TEXT,    datestyle, "", 0, 0, "DateStyle of clients that name none")                                             \
    X(TEXT,    timezone, "", 0, 0, "TimeZone of clients that name none")                                               \
    /* TLS; what is left out is as server_tls_* say */                                                                 \
    X(TEXT,    sslmode, "", 0, 0, "disable, allow, prefer, require, verify-ca or verify-full")                         \
    X(TEXT,    sslrootcert, "", 0, 0, "Authorities that the server's certificate is checked against")                  \
    X(TEXT,    sslcert, "", 0, 0, "Certificate shown to the server")                                                   \
    X(TEXT,    sslkey, "", 0, 0, "Its key")                                                                            \
    /* the rest */                                                                                                     \
    X(INT,     max_db_connections, "-1", -1, 1000000, "Sessions on it at a time, of any user; 0 is no limit, -1 what `max_db_connections` in [segue] says") \
    X(CHOICE,  pool_mode, "session", "session", 0, "A client has a server session of its own, always")                 \
    X(BOOL,    rewrite, "1", 0, 0, "0: the database only bears the same name as the one under migration, on another server: its statements are left alone")
/* clang-format on */

#endif
