# Sourced by the programs of this directory: a throw-away PostgreSQL and a segue in front of it, both on loopback and
# free ports, in one temporary directory, stopped by their process ids when the script ends.
#
#   throwaway_begin          makes the directory $throwaway and sets the trap
#   postgres_start ARG...    sets pg_port; roles: shop owns database shop, app may read and write there
#   segue_start NAME ARG...  sets port and pid; NAME.log and NAME.pid in $throwaway; again with the same NAME: same port.
#                            In front of the server on $upstream_port, if that is set, otherwise of postgres_start's
#   postgres_trust ROLE      may log in over TCP without a password
#   certificate_make         cert.pem and key.pem in $throwaway, for localhost; before postgres_start, which may use them
#   process_stop PIDFILE     ends what the file names, politely first

pg_bin=/usr/lib/postgresql/15/bin
owner_password=conductor
app_password=player

throwaway_begin() {
    throwaway=$(mktemp -d "${TMPDIR:-/tmp}/segue-bench-XXXXXX")
    chmod 755 "$throwaway"
    trap throwaway_end EXIT
    trap 'exit 130' INT TERM
}

throwaway_end() {
    local status=$?
    trap - EXIT
    local file
    for file in "$throwaway"/*.pid; do
        [ ! -e "$file" ] || process_stop "$file"
    done
    # The server last: everything else talks to it.
    [ ! -e "$throwaway/data/postmaster.pid" ] || process_stop "$throwaway/data/postmaster.pid" INT
    [ -n "${KEEP-}" ] || rm -rf "$throwaway"
    exit "$status"
}

process_stop() {
    local file=$1 signal=${2-TERM} pid i
    pid=$(head -n 1 "$file" 2>/dev/null) || return 0
    [ -n "$pid" ] && kill "-$signal" "$pid" 2>/dev/null || { rm -f "$file"; return 0; }
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || { rm -f "$file"; return 0; }
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$file"
}

# PostgreSQL does not run as root.
as_server() {
    if [ "$(id -u)" = 0 ]; then
        (cd "$throwaway" && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

postgres_start() {
    local data=$throwaway/data socket=$throwaway/socket i
    mkdir "$data" "$socket"
    [ "$(id -u)" != 0 ] || chown postgres "$data" "$socket"
    printf '%s\n' "$owner_password" >"$throwaway/password"
    as_server "$pg_bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --auth-local=trust \
        --auth-host=scram-sha-256 --no-sync >"$throwaway/initdb.log"
    for ((i = 0; i < 20; i++)); do
        pg_port=$((20000 + RANDOM % 12000))
        port_is_free "$pg_port" || continue
        as_server "$pg_bin/pg_ctl" -D "$data" -l "$data/log" -w -t 60 -o "-p $pg_port -k '$socket' \
            -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
            -c shared_buffers=256MB -c max_wal_size=4GB -c max_connections=200 $*" start >"$throwaway/pg_ctl.log" && break
    done
    [ -e "$data/postmaster.pid" ] || { cat "$throwaway/pg_ctl.log" "$data/log" >&2; return 1; }
    psql -XqAt -v ON_ERROR_STOP=1 -h "$socket" -p "$pg_port" -U postgres -d postgres \
        -v owner="$owner_password" -v app="$app_password" <<'SQL'
CREATE ROLE shop LOGIN PASSWORD :'owner' IN ROLE pg_monitor, pg_signal_backend;
CREATE ROLE app LOGIN PASSWORD :'app';
CREATE DATABASE shop OWNER shop;
\connect shop
ALTER SCHEMA public OWNER TO shop;
ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
SQL
    direct="host=127.0.0.1 port=$pg_port dbname=shop user=shop password=$owner_password"
}

postgres_trust() {
    local hba=$throwaway/data/pg_hba.conf
    sed -i "1i host all $1 127.0.0.1/32 trust" "$hba"
    as_server "$pg_bin/pg_ctl" -D "$throwaway/data" reload >/dev/null
}

certificate_make() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
        -keyout "$throwaway/key.pem" -out "$throwaway/cert.pem" 2>/dev/null
    if [ "$(id -u)" = 0 ]; then # the server reads it, and so does PgBouncer
        chown postgres "$throwaway/key.pem"
    fi
    chmod 600 "$throwaway/key.pem"
}

segue_start() {
    local name=$1 log="$throwaway/$1.log" listen=127.0.0.1:0 i
    shift
    [ ! -e "$throwaway/$name.port" ] || listen=127.0.0.1:$(cat "$throwaway/$name.port")
    "$bin/segue" serve --listen "$listen" --upstream "host=127.0.0.1 port=${upstream_port:-$pg_port}" "$@" \
        </dev/null >>"$log" 2>&1 &
    pid=$!
    disown "$pid" # bash does not comment on its end
    echo "$pid" >"$throwaway/$name.pid"
    : >>"$log"
    for ((i = 0; i < 300; i++)); do
        port=$(sed -n 's/.*ready listen=.*:\([0-9]*\).*/\1/p' "$log" | sed -n "${segue_starts_seen:-1}p")
        [ -z "$port" ] || break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if [ -z "$port" ]; then
        echo "segue did not start:" >&2
        tail -n 20 "$log" >&2
        return 1
    fi
    echo "$port" >"$throwaway/$name.port"
}
