/*
 * Every key of the configuration, once: the struct, the parser, SHOW CONFIG, `segue check` and docs/config.md are all
 * made from this list (the last is held to it by a test).
 *
 * X(kind, name, default, low, high, change, doc)
 *   kind    TEXT, INT, SECONDS and MS (held in ms; a number without a unit is seconds or ms), BYTES, RATIO, BOOL,
 *           CHOICE (low: the words, "a|b|c")
 *   default as it would stand in the file
 *   low, high  bounds of a number, in the unit in which it is held
 *   change  RELOAD: taken up by HUP and RELOAD; RESTART: at the next start; LATER: known, but not served yet, so that
 *           anything other than the default is an error
 */
#ifndef SEGUE_CONFIG_KEYS_H
#define SEGUE_CONFIG_KEYS_H

/* clang-format off */
#define SG_CONFIG_KEYS(X)                                                                                              \
    /* where clients connect */                                                                                        \
    X(TEXT,    listen_addr, "127.0.0.1", 0, 0, RESTART, "Address to listen on; `*` is all of them")                    \
    X(INT,     listen_port, "6432", 0, 65535, RESTART, "TCP port; 0 lets the system choose, and the ready line says which") \
    X(TEXT,    unix_socket_dir, "", 0, 0, RESTART, "Directory of a Unix socket to listen on as well")                    \
    X(INT,     max_client_conn, "1000", 1, 1000000, RELOAD, "Client connections at a time; one more is refused with 53300") \
    X(INT,     max_db_connections, "0", 0, 1000000, RELOAD, "Sessions on one database at a time, unless its entry says otherwise; 0 is no limit") \
    X(INT,     max_user_connections, "0", 0, 1000000, RELOAD, "Sessions of one user at a time, unless [users] says otherwise; 0 is no limit") \
    X(INT,     workers, "0", 0, 256, RESTART, "Worker loops, a thread each; 0 is one for each processor")              \
    /* who may connect */                                                                                              \
    X(CHOICE,  auth_type, "passthrough", "passthrough|trust|scram-sha-256|md5|cert|hba", 0, RELOAD, "How clients are authenticated. `passthrough`: by the server itself, the exchange is relayed; see authentication.md") \
    X(TEXT,    auth_file, "", 0, 0, RELOAD, "File of users and secrets, in PgBouncer's format")                        \
    X(TEXT,    auth_query, "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname = $1 AND rolcanlogin", 0, 0, RELOAD, "Query that reads the secret of a user who is not in `auth_file`: name and secret") \
    X(TEXT,    auth_user, "", 0, 0, RELOAD, "Role that runs `auth_query`; empty: it is not run")                       \
    X(TEXT,    auth_dbname, "", 0, 0, RELOAD, "Database it is run in; empty: the client's")                           \
    X(TEXT,    auth_hba_file, "", 0, 0, RELOAD, "Rules for `auth_type = hba`, in the format of pg_hba.conf")           \
    X(TEXT,    auth_ident_file, "", 0, 0, RELOAD, "User name maps for `map=` in those rules, in the format of pg_ident.conf") \
    X(TEXT,    admin_users, "", 0, 0, RELOAD, "Roles that may do everything in the console, comma-separated; empty is the control role") \
    X(TEXT,    stats_users, "", 0, 0, RELOAD, "Roles that may only look (SHOW) in the console, comma-separated")      \
    /* TLS */                                                                                                          \
    X(CHOICE,  client_tls_sslmode, "disable", "disable|allow|prefer|require|verify-ca|verify-full", 0, RELOAD, "TLS towards clients") \
    X(TEXT,    client_tls_key_file, "", 0, 0, RELOAD, "Private key shown to clients")                                   \
    X(TEXT,    client_tls_cert_file, "", 0, 0, RELOAD, "Certificate shown to clients")                                  \
    X(TEXT,    client_tls_ca_file, "", 0, 0, RELOAD, "Authorities that client certificates are checked against")        \
    X(TEXT,    client_tls_protocols, "secure", 0, 0, RELOAD, "TLS versions towards clients")                            \
    X(TEXT,    client_tls_ciphers, "default", 0, 0, RELOAD, "Ciphers towards clients")                                  \
    X(CHOICE,  server_tls_sslmode, "disable", "disable|allow|prefer|require|verify-ca|verify-full", 0, RELOAD, "TLS towards servers") \
    X(TEXT,    server_tls_key_file, "", 0, 0, RELOAD, "Private key shown to servers")                                   \
    X(TEXT,    server_tls_cert_file, "", 0, 0, RELOAD, "Certificate shown to servers")                                  \
    X(TEXT,    server_tls_ca_file, "", 0, 0, RELOAD, "Authorities that server certificates are checked against")        \
    X(TEXT,    server_tls_protocols, "secure", 0, 0, RELOAD, "TLS versions towards servers")                            \
    X(TEXT,    server_tls_ciphers, "default", 0, 0, RELOAD, "Ciphers towards servers")                                  \
    /* time and size limits */                                                                                         \
    X(SECONDS, client_login_timeout, "60", 0, 86400000, RELOAD, "A client that has not logged in by then is dropped; 0 is never") \
    X(SECONDS, server_connect_timeout, "15", 0, 86400000, RESTART, "How long a server is looked for that takes the connection; 0 is no limit") \
    X(SECONDS, server_login_retry, "0.5", 0, 86400000, RELOAD, "Pause before servers that are down, starting up or of the wrong role are tried again, as long as server_connect_timeout allows; 0 tells the client at once") \
    X(SECONDS, query_timeout, "0", 0, 86400000, RELOAD, "A query that runs longer is cancelled; 0 is never")            \
    X(SECONDS, query_wait_timeout, "120", 0, 86400000, RELOAD, "A client that PAUSE has held up for longer is dropped; 0 is never") \
    X(SECONDS, idle_transaction_timeout, "0", 0, 86400000, RELOAD, "A client idle in a transaction for longer is dropped; 0 is never") \
    X(SECONDS, client_idle_timeout, "0", 0, 86400000, RELOAD, "A client idle for longer is dropped; 0 is never")        \
    X(BYTES,   max_packet_size, "1073741823", 1024, 1073741823, RELOAD, "Longest message accepted from either side")   \
    X(BYTES,   plan_cache_bytes, "16MB", 65536, 17179869184, RESTART, "Memory of rewritten statements a worker keeps") \
    X(BYTES,   session_statement_bytes, "64MB", 65536, 1073741824, RELOAD, "Text of prepared statements remembered for one session") \
    /* sockets */                                                                                                      \
    X(BOOL,    tcp_keepalive, "1", 0, 0, RELOAD, "TCP keepalive on client and server sockets")                         \
    X(SECONDS, tcp_keepidle, "60", 0, 32767000, RELOAD, "Idle time before the first probe; 0 is the system's")           \
    X(SECONDS, tcp_keepintvl, "0", 0, 32767000, RELOAD, "Time between probes; 0 is the system's")                       \
    X(INT,     tcp_keepcnt, "0", 0, 127, RELOAD, "Probes lost before the peer counts as dead; 0 is the system's")       \
    X(MS,      tcp_user_timeout, "0", 0, 86400000, RELOAD, "Unacknowledged data older than this ends a connection; 0 is the system's") \
    X(BYTES,   tcp_socket_buffer, "0", 0, 67108864, RELOAD, "Size of the socket buffers; 0 is the system's")            \
    /* log */                                                                                                          \
    X(TEXT,    logfile, "", 0, 0, RELOAD, "File to log to, besides stderr; opened anew by HUP")                        \
    X(CHOICE,  log_format, "text", "text|json", 0, RELOAD, "One line an event, as text or as a JSON object")           \
    X(CHOICE,  log_level, "info", "debug|info|warning|error", 0, RELOAD, "Least level that is logged")                 \
    X(BOOL,    log_connections, "1", 0, 0, RELOAD, "Log each login")                                                   \
    X(BOOL,    log_disconnections, "1", 0, 0, RELOAD, "Log each end of a session")                                     \
    X(SECONDS, stats_period, "60", 1000, 86400000, RELOAD, "How often the averages of SHOW STATS begin anew") \
    X(TEXT,    pidfile, "", 0, 0, RESTART, "File to write the process id to; removed at the end")                      \
    X(TEXT,    handover_socket, "", 0, 0, RESTART, "Unix socket at which a new process takes over (`segue serve --takeover`); empty: none can") \
    X(SECONDS, handover_wait, "900", 0, 86400000, RELOAD, "After a hand-over, how long the old process lets its clients stay before it drains; 0 is for ever") \
    X(TEXT,    http_listen, "", 0, 0, RESTART, "HOST:PORT of the HTTP side: metrics, health, JSON; `:PORT` is on the loopback. Empty is none")                                             \
    /* migrations */                                                                                                   \
    X(TEXT,    control_conninfo, "", 0, 0, RESTART, "Connection string of the control role on the database to be migrated; empty is a plain proxy") \
    X(MS,      control_poll_ms, "200", 10, 60000, RESTART, "How often the migrations' rows are looked at when nothing notifies") \
    X(MS,      control_lock_timeout_ms, "200", 1, 60000, RESTART, "lock_timeout of the migrations' DDL; a try that times out is repeated") \
    X(MS,      lease_ms, "10000", 500, 600000, RESTART, "How long a change of phase waits for this process after its last sign of life, and statements for its return") \
    X(INT,     backfill_batch_rows, "5000", 1, 1000000, RESTART, "Rows a backfill batch")                              \
    X(RATIO,   backfill_max_p99_ratio, "1.5", 1, 1000, RESTART, "The backfill slows down when the clients' p99 rises past this multiple of what it was") \
    X(CHOICE,  star, "both", "both|old|new", 0, RELOAD, "What `*` means to clients without a rule in [clients]: both names, or one version's shape") \
    X(CHOICE,  guard, "on", "on|off", 0, LATER, "Trigger that repairs rows written behind the proxy's back")           \
    X(CHOICE,  on_unrewritable, "error", "error|pass", 0, LATER, "What happens to a statement that cannot be rewritten") \
    X(CHOICE,  ddl_guard, "off", "off|warn|block|fix", 0, LATER, "What happens to DDL that would lock a table")        \
    X(CHOICE,  ddl_rename, "pass", "migrate|block|pass", 0, LATER, "What happens to ALTER TABLE ... RENAME COLUMN sent by a client")
/* clang-format on */

#endif
