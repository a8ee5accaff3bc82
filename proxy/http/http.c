/*
 * One request:
 *
 *      on_request --> not GET or HEAD: 405
 *                 \-> bad Host: 403
 *                  \-> the table of paths --> an answer, made at once and whole
 */
#include "proxy/http/http.h"

#include "proxy/config/config.h"
#include "proxy/http/api.h"
#include "proxy/http/health.h"
#include "proxy/http/metrics.h"
#include "proxy/http/page.h"
#include "proxy/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CONNECTIONS_MAX 32 /* a thread each */
#define TIMEOUT_S       15
#define BACKLOG         64

struct sg_http {
    struct sg_http_config config;
    struct MHD_Daemon *daemon;
    bool is_loopback;
    char address[INET6_ADDRSTRLEN + 16];
};

struct answer {
    unsigned status;
    const char *type;
    char *body; /* of malloc */
    size_t len;
};

/* ---- Answers ---- */

static struct answer plain(unsigned status, const char *text) {
    char *body = strdup(text);
    if (!body)
        abort();
    return (struct answer){status, "text/plain; charset=utf-8", body, strlen(text)};
}

/* Alive means: the workers are. Whoever restarts on this must not do so because a database is away. */
static struct answer answer_health(struct sg_http *http, const char *rest) {
    struct sg_health health;
    sg_health_look(&http->config, NULL, &health);
    return health.checks[SG_CHECK_WORKERS] ? plain(200, "ok\n") : plain(503, "a worker does not answer\n");
}

static struct answer answer_ready(struct sg_http *http, const char *rest) {
    struct sg_health health;
    char text[256] = "";
    size_t len = 0;
    bool all = true;
    sg_health_look(&http->config, NULL, &health);
    for (int i = 0; i < SG_CHECKS; i++) {
        all &= health.checks[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s\n", health.checks[i] ? "ok" : "not ok",
                                sg_check_name((enum sg_check)i));
    }
    return plain(all ? 200 : 503, text);
}

static struct answer answer_metrics(struct sg_http *http, const char *rest) {
    struct answer answer = {200, "text/plain; version=0.0.4; charset=utf-8", NULL, 0};
    FILE *out = open_memstream(&answer.body, &answer.len);
    if (!out)
        abort();
    bool good = sg_metrics_write(&http->config, out);
    fclose(out);
    if (good)
        return answer;
    free(answer.body);
    return plain(503, "segue is starting or ending\n");
}

static struct answer answer_api(struct sg_http *http, const char *rest) {
    struct sg_api_answer made = sg_api_answer(http->config.console, rest);
    return (struct answer){made.status, "application/json", made.body, strlen(made.body)};
}

static struct answer answer_page(struct sg_http *http, const char *rest) {
    struct answer answer = {200, "text/html; charset=utf-8", NULL, 0};
    FILE *out = open_memstream(&answer.body, &answer.len);
    if (!out)
        abort();
    sg_page_write(&http->config, out);
    fclose(out);
    return answer;
}

static const struct {
    const char *path;
    bool is_prefix;
    struct answer (*make)(struct sg_http *http, const char *rest);
} paths[] = {
    {"/", false, answer_page},        {"/metrics", false, answer_metrics}, {"/healthz", false, answer_health},
    {"/readyz", false, answer_ready}, {"/api/", true, answer_api},
};

static struct answer answer_path(struct sg_http *http, const char *url) {
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t len = strlen(paths[i].path);
        if (paths[i].is_prefix ? strncmp(url, paths[i].path, len) == 0 : strcmp(url, paths[i].path) == 0)
            return paths[i].make(http, url + len);
    }
    return plain(404, "there is nothing here: see /\n");
}

/* ---- Who may ask ---- */

/* A page of somebody else's, whose name was made to point at the loopback, runs in the operator's browser and could
 * read all this: on the loopback only names that mean it are answered to. */
static bool is_host_welcome(const struct sg_http *http, const char *host) {
    if (!http->is_loopback || !host)
        return true;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    static const char *const names[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0)
            return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **state) {
    struct sg_http *http = arg;
    bool is_read = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    struct answer answer = !is_read                       ? plain(405, "this side only shows\n")
                           : !is_host_welcome(http, host) ? plain(403, "not by this name\n")
                                                          : answer_path(http, url);
    struct MHD_Response *response = MHD_create_response_from_buffer(answer.len, answer.body, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    if (answer.status == 405)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- Life ---- */

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int listen_on(const struct addrinfo *address) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* The process that takes our place opens the port while it is ours. Two that were started by mistake do not get
     * this far: the port for clients is not shared so. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* The first of the host's addresses that can be had. */
static int open_socket(struct sg_http *http, const char *listen, struct sg_error *reterr) {
    struct sg_arena arena;
    const char *host, *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int fd = -1;
    sg_arena_init(&arena, 256);
    bool is_address = sg_config_split_address(&arena, listen, &host, &port) && port[0];
    int rc = is_address ? getaddrinfo(strcmp(host, "*") == 0 ? NULL
                                      : host[0]              ? host
                                                             : "127.0.0.1",
                                      port, &hints, &found)
                        : EAI_NONAME;
    errno = 0;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
        fd = listen_on(a);
    if (fd < 0)
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "http_listen: cannot listen on \"%s\": %s", listen,
                     rc ? gai_strerror(rc) : strerror(errno));
    if (found)
        freeaddrinfo(found);
    sg_arena_free(&arena);
    return fd;
}

static void note_address(struct sg_http *http, int fd) {
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
        http->is_loopback = is_loopback((struct sockaddr *)&bound);
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(http->address, sizeof(http->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

struct sg_http *sg_http_start(const struct sg_http_config *config, struct sg_error *reterr) {
    struct sg_http *http = calloc(1, sizeof(*http));
    if (!http)
        abort();
    http->config = *config;
    http->config.listen = NULL; /* the caller's, and used here only */
    int fd = open_socket(http, config->listen, reterr);
    if (fd >= 0) {
        note_address(http, fd);
        http->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL,
            on_request, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
            MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_END);
        if (!http->daemon) {
            sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "http_listen: the HTTP side does not start");
            close(fd);
        }
    }
    if (!http->daemon) {
        free(http);
        return NULL;
    }
    return http;
}

const char *sg_http_address(const struct sg_http *http) {
    return http->address;
}

bool sg_http_is_loopback(const struct sg_http *http) {
    return http->is_loopback;
}

void sg_http_yield(struct sg_http *http) {
    MHD_socket fd = http ? MHD_quiesce_daemon(http->daemon) : MHD_INVALID_SOCKET;
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

void sg_http_stop(struct sg_http *http) {
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
