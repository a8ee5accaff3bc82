# Sourced by `compare` and `memory`, after throwaway.sh: the other proxies, and what both scripts do with segue.
#
#   pgbouncer_start PORT MAX [NAME]    in front of the server on PORT, for so many clients; sets port and pid. More lines
#                                      of its configuration: $pgbouncer_more
#   haproxy_start PORT MAX [NAME]      likewise, $haproxy_more
#   migration_start PORT               through segue's console on PORT: people.nickname becomes username; until verified
#   sql CONNINFO ARG...

sql() {
    psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

find_port() {
    for ((;;)); do
        port=$((32100 + RANDOM % 600))
        ! port_is_free "$port" || break
    done
}

wait_for_port() {
    local i
    for ((i = 0; i < 100; i++)); do
        port_is_free "$1" || return 0
        sleep 0.1
    done
    echo "nobody listens on port $1" >&2
    return 1
}

pgbouncer_start() {
    local file=$throwaway/${3-pgbouncer}
    find_port
    printf '"app" "%s"\n' "$app_password" >"$throwaway/userlist.txt"
    cat >"$file.ini" <<INI
[databases]
shop = host=127.0.0.1 port=$1 dbname=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $throwaway/userlist.txt
pool_mode = session
max_client_conn = $2
default_pool_size = $2
server_idle_timeout = 1
ignore_startup_parameters = extra_float_digits
${pgbouncer_more-}
INI
    local server_user=() # it does not run as root
    [ "$(id -u)" != 0 ] || server_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    "${server_user[@]}" pgbouncer -q "$file.ini" </dev/null >"$file.log" 2>&1 &
    pid=$!
    disown "$pid"
    echo "$pid" >"$file.pid"
    wait_for_port "$port"
}

haproxy_start() {
    local file=$throwaway/${3-haproxy}
    find_port
    cat >"$file.cfg" <<CFG
global
    maxconn $2
    ${haproxy_more-}
defaults
    mode tcp
    maxconn $2
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen postgres
    bind 127.0.0.1:$port
    server one 127.0.0.1:$1
CFG
    haproxy -db -q -f "$file.cfg" </dev/null >"$file.log" 2>&1 &
    pid=$!
    disown "$pid"
    echo "$pid" >"$file.pid"
    wait_for_port "$port"
}

migration_start() {
    local console="host=127.0.0.1 port=$1 dbname=segue user=shop password=$owner_password"
    sql "$console" -c 'CREATE MIGRATION people ON people RENAME COLUMN nickname TO username' >/dev/null
    sql "$console" -c 'START people' >/dev/null
    sql "$console" -c 'WAIT people FOR verified TIMEOUT 60' >/dev/null
}
