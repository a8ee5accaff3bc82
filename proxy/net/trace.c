#include "trace.h"

#include "session.h"
#include "session_notes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
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
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    return endpoint_of(&address, getpeername(fd, (struct sockaddr *)&address, &len));
}

static struct sg_endpoint name_of(int fd) {
    struct sockaddr_storage address;
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

void sg_trace_login(struct sg_session *s) {
    if (!s->who) {
        return;
    }
    struct sg_tally_name name = sg_who_name(s->who);
    s->trace.tally = sg_tallies_find(&s->worker->tallies, &name);
    struct sg_tally_sums *sums = &s->trace.tally->now;
    sums->server_assignment_count++;
    sums->wait_time += uv_now(&s->worker->loop) - s->trace.asked_ms;
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
