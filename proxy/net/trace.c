#include "trace.h"

#include "session.h"
#include "session_notes.h"

#include "proxy/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct sg_endpoint endpoint_of(const struct sockaddr_storage *address, int rc) {
    struct sg_endpoint end = {0};
    if (rc != 0) {
        return end;
    }
    end.family = (uint8_t)address->ss_family;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        memcpy(end.address, &in->sin_addr, sizeof(in->sin_addr));
        end.port = ntohs(in->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        memcpy(end.address, &in6->sin6_addr, sizeof(in6->sin6_addr));
        end.port = ntohs(in6->sin6_port);
    }
    return end;
}

static struct sg_endpoint peer_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    return endpoint_of(&address, getpeername(fd, (struct sockaddr *)&address, &len));
}

static struct sg_endpoint name_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    return endpoint_of(&address, getsockname(fd, (struct sockaddr *)&address, &len));
}

void sg_trace_begin(struct sg_session *s, int fd) {
    struct sg_trace *trace = &s->trace;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    trace->connected_ms = trace->asked_ms = uv_now(&s->worker->loop);
    trace->tally = &s->worker->tallies.nobody;
    trace->client = peer_of(fd);
    trace->client_local = name_of(fd);
    if (trace->client.family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
        trace->client_pid = (uint32_t)peer.pid;
    }
}

void sg_trace_wait(struct sg_session *s) {
    s->trace.asked_ms = uv_now(&s->worker->loop);
}

void sg_trace_server(struct sg_session *s) {
    uv_os_fd_t fd;
    if (uv_fileno(&s->server.handle, &fd) == 0) {
        s->trace.server = peer_of(fd);
        s->trace.server_local = name_of(fd);
    }
}

static const char *put_endpoint(const struct sg_endpoint *end, char *to, size_t size) {
    char address[INET6_ADDRSTRLEN] = "?";
    if (end->family == AF_UNIX || end->family == 0 || !inet_ntop(end->family, end->address, address, sizeof(address))) {
        return "unix";
    }
    snprintf(to, size, end->family == AF_INET6 ? "[%s]:%u" : "%s:%u", address, end->port);
    return to;
}

static void log_login(const struct sg_session *s) {
    char client[INET6_ADDRSTRLEN + 16];
    sg_log_event(SG_LOG_INFO, "login", SG_LOG_NUMBER("id", s->id), SG_LOG_TEXTUAL("user", s->who->user),
                 SG_LOG_TEXTUAL("database", s->who->database),
                 SG_LOG_TEXTUAL("application_name", s->who->application_name),
                 SG_LOG_WORD("client", put_endpoint(&s->trace.client, client, sizeof(client))),
                 SG_LOG_WORD("tls", s->tls.stream ? sg_tls_version(s->tls.stream) : "off"),
                 SG_LOG_NUMBER("server_pid", s->key_pid));
}

void sg_trace_end(const struct sg_session *s) {
    if (s->is_logged_in && s->who && s->worker->config->log_disconnections) {
        sg_log_event(SG_LOG_INFO, "logout", SG_LOG_NUMBER("id", s->id), SG_LOG_TEXTUAL("user", s->who->user),
                     SG_LOG_TEXTUAL("database", s->who->database),
                     SG_LOG_NUMBER("session_ms", uv_now(&s->worker->loop) - s->trace.connected_ms));
    }
}

void sg_trace_login(struct sg_session *s) {
    if (!s->who) {
        return;
    }
    struct sg_tally_name name = sg_who_name(s->who);
    s->trace.tally = sg_tallies_find(&s->worker->tallies, &name);
    struct sg_tally_sums *sums = &s->trace.tally->now;
    sums->server_assignment_count++;
    sums->wait_time += uv_now(&s->worker->loop) - s->trace.asked_ms;
    if (s->worker->config->log_connections) {
        log_login(s);
    }
}

void sg_trace_ask(struct sg_session *s) {
    uint64_t now_ms = uv_now(&s->worker->loop);
    s->trace.asked_ms = now_ms;
    if (s->tx_status == 'I') {
        s->trace.xact_ms = now_ms;
    }
}

void sg_trace_ready(struct sg_session *s, char status) {
    struct sg_trace *trace = &s->trace;
    struct sg_tally_sums *sums = &trace->tally->now;
    uint64_t now_ms = uv_now(&s->worker->loop);
    sg_histogram_add(&s->worker->waits, now_ms - trace->asked_ms);
    sums->query_time += now_ms - trace->asked_ms;
    if (s->expect.len > 0) {
        trace->asked_ms = now_ms; /* of what comes next the time begins now */
    }
    if (status == 'I') {
        sums->xact_count++;
        sg_count(&s->worker->counters.transactions, 1);
        sums->xact_time += now_ms - trace->xact_ms;
        trace->xact_ms = now_ms;
    }
}

void sg_trace_message(struct sg_session *s, uint8_t type) {
    struct sg_tally_sums *sums = &s->trace.tally->now;
    switch (type) {
    case 'Q':
    case 'E':
        sums->query_count++;
        sg_count(&s->worker->counters.statements, 1);
        break;
    case 'P':
        sums->client_parse_count++;
        sums->server_parse_count++;
        break;
    case 'B':
        sums->bind_count++;
        break;
    default:
        break;
    }
}

void sg_trace_from_client(struct sg_session *s, size_t bytes) {
    sg_count(&s->worker->counters.client_bytes, bytes);
    s->trace.tally->now.client_bytes += bytes;
}

void sg_trace_from_server(struct sg_session *s, size_t bytes) {
    sg_count(&s->worker->counters.server_bytes, bytes);
    s->trace.tally->now.server_bytes += bytes;
}
