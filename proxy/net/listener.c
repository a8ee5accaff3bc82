#include "listener.h"

#include "proxy/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG        1024
#define ACCEPTS_A_TURN 64 /* then the loop looks at its other work */
#define PAUSE_MS       100
#define UNIX_MODE      0777 /* as the server's own: who may log in is the server's decision */

static void on_readable(uv_poll_t *poll, int status, int events);

static void set_polling(struct sg_listener *listener, bool on) {
    for (int i = 0; i < listener->len; i++) {
        if (on) {
            uv_poll_start(&listener->sockets[i].poll, UV_READABLE, on_readable);
        } else {
            uv_poll_stop(&listener->sockets[i].poll);
        }
    }
}

static void on_pause_over(uv_timer_t *timer) {
    struct sg_listener *listener = timer->data;
    listener->is_paused = false;
    set_polling(listener, true);
}

/* Clients wait in the backlog; trying again at once would only burn the processor. */
static void pause_accepting(struct sg_listener *listener, int error) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    sg_log_limited(&limit, SG_LOG_WARN, "cannot accept clients for the moment: %s", strerror(error));
    listener->is_paused = true;
    set_polling(listener, false);
    listener->on_exhausted(listener->arg);
    uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
}

/* What accept says of the client it would have given, or of having been interrupted (accept(2)): on to the next one. */
static bool is_about_client(int error) {
    static const int errors[] = {EINTR,  ECONNABORTED, EPROTO,     ENETDOWN,    ENOPROTOOPT, EHOSTDOWN,
                                 ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if (errors[i] == error) {
            return true;
        }
    }
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct sg_listener *listener = poll->data;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)poll, &fd) < 0) {
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            listener->on_client(listener->arg, client);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!is_about_client(errno)) { /* EMFILE, ENFILE, ENOBUFS, ENOMEM, and what nobody has thought of */
            pause_accepting(listener, errno);
            return;
        }
    }
}

static bool add_socket(struct sg_listener *listener, int fd) {
    int i = listener->len;
    if (i == SG_LISTENER_SOCKETS || uv_poll_init(listener->loop, &listener->sockets[i].poll, fd) < 0) {
        return false;
    }
    listener->sockets[i].poll.data = listener;
    listener->sockets[i].fd = fd;
    listener->len++;
    return true;
}

static bool bind_and_listen(int fd, const struct sockaddr *address, socklen_t len) {
    return bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0;
}

/* Fills port and address in from the first socket. */
static void note_address(struct sg_listener *listener, int fd) {
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    char host[INET6_ADDRSTRLEN];
    char port[8];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        return;
    }
    if (bound.ss_family == AF_UNIX) {
        snprintf(listener->address, sizeof(listener->address), "%s", ((struct sockaddr_un *)&bound)->sun_path);
        return;
    }
    if (getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        listener->port = (int)strtol(port, NULL, 10);
        snprintf(listener->address, sizeof(listener->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    }
}

/* ---- Sockets of others ---- */

void sg_sockets_close(struct sg_sockets *sockets) {
    for (int i = 0; i < sockets->len; i++) {
        close(sockets->fds[i]);
    }
    sockets->len = 0;
}

static bool is_bound_to(int fd, const struct sockaddr *wanted, bool any_port) {
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 || bound.ss_family != wanted->sa_family) {
        return false;
    }
    if (wanted->sa_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&bound, *b = (const struct sockaddr_in *)wanted;
        return a->sin_addr.s_addr == b->sin_addr.s_addr && (any_port || a->sin_port == b->sin_port);
    }
    if (wanted->sa_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&bound, *b = (const struct sockaddr_in6 *)wanted;
        return memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0 &&
               (any_port || a->sin6_port == b->sin6_port);
    }
    return strcmp(((const struct sockaddr_un *)&bound)->sun_path, ((const struct sockaddr_un *)wanted)->sun_path) == 0;
}

/* -1: none is bound to it. */
static int take_given(struct sg_sockets *given, const struct sockaddr *wanted, bool any_port) {
    for (int i = 0; given && i < given->len; i++) {
        if (is_bound_to(given->fds[i], wanted, any_port)) {
            int fd = given->fds[i];
            given->fds[i] = given->fds[--given->len];
            return fd;
        }
    }
    return -1;
}

static void adopt_all(struct sg_listener *listener, struct sg_sockets *given) {
    for (int i = 0; i < given->len; i++) {
        if (add_socket(listener, given->fds[i]) && !strchr(listener->address, ':')) {
            note_address(listener, given->fds[i]);
        }
    }
    given->len = 0;
}

/* Nobody listens there any more. */
static void close_unwanted(struct sg_sockets *given) {
    for (int i = 0; i < given->len; i++) {
        struct sockaddr_un bound = {0};
        socklen_t len = sizeof(bound);
        bool has_file = getsockname(given->fds[i], (struct sockaddr *)&bound, &len) == 0 &&
                        bound.sun_family == AF_UNIX && bound.sun_path[0] == '/';
        if (has_file) {
            unlink(bound.sun_path);
        }
    }
    sg_sockets_close(given);
}

/* ---- Our own ---- */

static void set_port(struct sockaddr *address, int port) {
    if (address->sa_family == AF_INET) {
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    } else if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    }
}

static int bind_to(const struct addrinfo *address) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)); /* IPv4 has a socket of its own */
    }
    if (!bind_and_listen(fd, address->ai_addr, address->ai_addrlen)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* 0, or why not. */
static int listen_on(struct sg_listener *listener, const struct addrinfo *address, int port, struct sg_sockets *given) {
    /* A free port is chosen once; the other addresses get the same. */
    int wanted_port = listener->len > 0 ? listener->port : port;
    set_port(address->ai_addr, wanted_port);
    int fd = take_given(given, address->ai_addr, wanted_port == 0);
    fd = fd >= 0 ? fd : bind_to(address);
    if (fd < 0) {
        return errno;
    }
    if (!add_socket(listener, fd)) {
        close(fd);
        return EMFILE;
    }
    if (listener->len == 1) {
        note_address(listener, fd);
    }
    return 0;
}

static bool open_tcp(struct sg_listener *listener, const char *host, int port, struct sg_sockets *given,
                     struct sg_error *reterr) {
    bool is_any = !host || !*host || strcmp(host, "*") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    int rc = getaddrinfo(is_any ? NULL : host, "0", &hints, &addresses);
    if (rc != 0) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "cannot listen on \"%s\": %s", host,
                     gai_strerror(rc));
        return false;
    }
    int error = 0;
    for (const struct addrinfo *a = addresses; a && listener->len < SG_LISTENER_SOCKETS - 1; a = a->ai_next) {
        int failure = listen_on(listener, a, port, given);
        error = failure ? failure : error;
    }
    freeaddrinfo(addresses);
    if (listener->len == 0) {
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "cannot listen on %s port %d: %s", is_any ? "*" : host, port,
                     strerror(error));
        return false;
    }
    return true;
}

/* A socket file nobody listens on is what a killed process left behind. */
static void remove_stale(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED) {
        unlink(address->sun_path);
    }
    close(fd);
}

static int bind_to_path(const struct sockaddr_un *address) {
    remove_stale(address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_bound = fd >= 0 && bind_and_listen(fd, (const struct sockaddr *)address, sizeof(*address)) &&
                    chmod(address->sun_path, UNIX_MODE) == 0;
    if (fd >= 0 && !is_bound) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return is_bound ? fd : -1;
}

static bool open_unix(struct sg_listener *listener, const char *dir, struct sg_sockets *given,
                      struct sg_error *reterr) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.%d", dir, listener->port);
    int fd = -1;
    if (len < 0 || (size_t)len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
    } else {
        fd = take_given(given, (const struct sockaddr *)&address, false);
        fd = fd >= 0 ? fd : bind_to_path(&address);
    }
    if (fd < 0 || !add_socket(listener, fd)) {
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "cannot listen on unix socket %s/.s.PGSQL.%d: %s", dir,
                     listener->port, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    snprintf(listener->unix_path, sizeof(listener->unix_path), "%s", address.sun_path);
    return true;
}

bool sg_listener_open(struct sg_listener *listener, uv_loop_t *loop, const char *host, int port,
                      const char *unix_socket_dir, struct sg_sockets *given, struct sg_error *reterr) {
    listener->loop = loop;
    uv_timer_init(loop, &listener->pause);
    listener->pause.data = listener;
    listener->is_given_complete = given && given->len > 0 && given->is_complete;
    if (listener->is_given_complete) {
        adopt_all(listener, given);
        return true;
    }
    bool is_open = open_tcp(listener, host, port, given, reterr);
    if (is_open && unix_socket_dir && *unix_socket_dir) {
        is_open = open_unix(listener, unix_socket_dir, given, reterr);
    }
    if (!is_open) {
        sg_listener_close(listener);
    }
    if (given && is_open) {
        close_unwanted(given);
    } else if (given) {
        sg_sockets_close(given);
    }
    return is_open;
}

void sg_listener_accept(struct sg_listener *listener) {
    set_polling(listener, true);
}

void sg_listener_sockets(const struct sg_listener *listener, struct sg_sockets *ret_sockets) {
    *ret_sockets = (struct sg_sockets){.len = listener->len, .is_complete = listener->is_given_complete};
    for (int i = 0; i < listener->len; i++) {
        ret_sockets->fds[i] = listener->sockets[i].fd;
    }
}

void sg_listener_yield(struct sg_listener *listener) {
    listener->unix_path[0] = '\0';
}

void sg_listener_sweep(struct sg_listener *listener) {
    for (int i = 0; i < listener->len; i++) {
        int client;
        while ((client = accept4(listener->sockets[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            listener->on_client(listener->arg, client);
        }
    }
}

void sg_listener_close(struct sg_listener *listener) {
    if (uv_is_closing((uv_handle_t *)&listener->pause)) {
        return;
    }
    uv_close((uv_handle_t *)&listener->pause, NULL);
    for (int i = 0; i < listener->len; i++) {
        uv_close((uv_handle_t *)&listener->sockets[i].poll, NULL);
        close(listener->sockets[i].fd);
    }
    if (listener->unix_path[0]) {
        unlink(listener->unix_path);
    }
}
