#include "bench/crowd/stub.h"

#include "bench/crowd/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define COPY_BYTES 65000 /* of data in a message */

struct stub {
    int listener, epoll;
    SSL_CTX *context; /* NULL: in the clear */
    uint32_t next_pid;
};

/* ---- Answers ---- */

/* What PostgreSQL 15 reports of its settings. */
static void welcome(struct sg_peer *peer) {
    static const char *const settings[][2] = {
        {"application_name", ""},         {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},        {"default_transaction_read_only", "off"},
        {"in_hot_standby", "off"},        {"integer_datetimes", "on"},
        {"IntervalStyle", "postgres"},    {"is_superuser", "off"},
        {"server_encoding", "UTF8"},      {"server_version", "15.19"},
        {"session_authorization", "app"}, {"standard_conforming_strings", "on"},
        {"TimeZone", "Etc/UTC"},
    };
    struct stub *stub = peer->owner;
    sg_msg_auth_ok(&peer->out);
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        sg_msg_parameter_status(&peer->out, settings[i][0], settings[i][1]);
    }
    sg_msg_backend_key(&peer->out, stub->next_pid++, (struct sg_span){"keyy", 4});
    sg_msg_ready(&peer->out, 'I');
}

static void complete(struct sg_peer *peer, const char *tag) {
    sg_msg_command_complete(&peer->out, tag);
    sg_msg_ready(&peer->out, 'I');
}

static void copy_begin(struct sg_peer *peer, uint8_t type) {
    sg_msg_begin(&peer->out, type);
    sg_buf_put_u8(&peer->out, 0);
    sg_buf_put_u16(&peer->out, 1);
    sg_buf_put_u16(&peer->out, 0);
    sg_msg_end(&peer->out);
}

static uint64_t number_in(const char *text) {
    const char *digits = strpbrk(text, "0123456789");
    return digits ? strtoull(digits, NULL, 10) : 0;
}

static void row_of(struct sg_peer *peer, uint64_t bytes) {
    static const char *const names[] = {"repeat"};
    sg_msg_text_row_description(&peer->out, names, 1);
    sg_buf_put_u8(&peer->out, 'D');
    sg_buf_put_u32(&peer->out, (uint32_t)(bytes + 10));
    sg_buf_put_u16(&peer->out, 1);
    sg_buf_put_u32(&peer->out, (uint32_t)bytes);
    peer->filling = bytes;
}

static void on_query(struct sg_peer *peer) {
    static const char *const name = "one", *const value = "1";
    char text[SG_PEER_TEXT_BYTES + 1];
    memcpy(text, peer->text, peer->text_len);
    text[peer->text_len] = '\0';
    if (strncmp(text, "COPY", 4) == 0 && strstr(text, "FROM STDIN")) {
        copy_begin(peer, 'G');
    } else if (strncmp(text, "COPY", 4) == 0) {
        copy_begin(peer, 'H');
        peer->filling = number_in(text);
        peer->is_copying = true;
    } else if (strstr(text, "repeat")) {
        row_of(peer, number_in(text));
    } else {
        sg_msg_text_row_description(&peer->out, &name, 1);
        sg_msg_text_row(&peer->out, &value, 1);
        complete(peer, "SELECT 1");
    }
}

static void reply(struct sg_peer *peer, uint8_t type) {
    sg_msg_begin(&peer->out, type);
    sg_msg_end(&peer->out);
}

static void on_message(struct sg_peer *peer, uint8_t type) {
    switch (type) {
    case 'Q':
        on_query(peer);
        break;
    case 'c':
        complete(peer, "COPY 1");
        break;
    case 'P':
        reply(peer, '1');
        break;
    case 'B':
        reply(peer, '2');
        break;
    case 'C':
        reply(peer, '3');
        break;
    case 'D':
        reply(peer, 'n');
        break;
    case 'E':
        sg_msg_command_complete(&peer->out, "SELECT 0");
        break;
    case 'S':
        sg_msg_ready(&peer->out, 'I');
        break;
    case 'X':
        sg_peer_close(peer);
        break;
    default:
        break;
    }
}

/* out is empty: the next piece of a long answer, and behind the last one its end. */
static void refill(struct sg_peer *peer) {
    if (peer->filling == 0) {
        return;
    }
    if (peer->is_copying) {
        sg_buf_put_u8(&peer->out, 'd');
        sg_buf_put_u32(&peer->out, 4 + (uint32_t)(peer->filling < COPY_BYTES ? peer->filling : COPY_BYTES));
    }
    sg_peer_fill(peer, COPY_BYTES);
    if (peer->filling > 0) {
        return;
    }
    if (peer->is_copying) {
        reply(peer, 'c');
    }
    complete(peer, peer->is_copying ? "COPY 1" : "SELECT 1");
    peer->is_copying = false;
}

/* ---- Beginnings and ends ---- */

static bool on_packet(struct sg_peer *peer) {
    struct stub *stub = peer->owner;
    struct sg_startup startup;
    enum sg_read result = sg_startup_read(peer->text, peer->text_len, &startup);
    if (result == SG_READ_MORE) {
        return false;
    }
    if (result == SG_READ_BAD || startup.kind == SG_STARTUP_CANCEL) {
        sg_peer_close(peer);
        return false;
    }
    peer->text_len -= startup.bytes;
    memmove(peer->text, peer->text + startup.bytes, peer->text_len);
    if (startup.kind == SG_STARTUP_SESSION) {
        peer->is_starting = false;
        welcome(peer);
        return true;
    }
    bool is_encrypted = startup.kind == SG_STARTUP_SSL && stub->context && !peer->ssl;
    /* Into an empty socket: one byte always fits. */
    if (send(peer->fd, is_encrypted ? "S" : "N", 1, MSG_NOSIGNAL) == 1 && is_encrypted) {
        sg_peer_encrypt(peer, stub->context, true);
    }
    return true;
}

static void on_end(struct sg_peer *peer) {
    sg_peer_free(peer);
}

static const struct sg_peer_handlers handlers = {on_packet, on_message, refill, on_end};

static void accept_all(struct stub *stub) {
    for (;;) {
        int on = 1;
        int fd = accept4(stub->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        sg_peer_new(stub->epoll, fd, &handlers, stub);
    }
}

static bool listen_somewhere(struct stub *stub) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct epoll_event event = {.events = EPOLLIN};
    stub->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    stub->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bind(stub->listener, (struct sockaddr *)&address, len) != 0 || listen(stub->listener, 4096) != 0 ||
        getsockname(stub->listener, (struct sockaddr *)&address, &len) != 0 ||
        epoll_ctl(stub->epoll, EPOLL_CTL_ADD, stub->listener, &event) != 0) {
        perror("segue-crowd: listen");
        return false;
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return true;
}

static bool load_certificate(struct stub *stub, const char *cert_file, const char *key_file) {
    stub->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(stub->context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_num_tickets(stub->context, 0);
    if (SSL_CTX_use_certificate_chain_file(stub->context, cert_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(stub->context, key_file, SSL_FILETYPE_PEM) == 1) {
        return true;
    }
    fprintf(stderr, "segue-crowd: cannot read certificate %s or key %s\n", cert_file, key_file);
    return false;
}

int sg_stub_serve(const char *cert_file, const char *key_file) {
    struct stub stub = {.next_pid = 1};
    if ((cert_file && !load_certificate(&stub, cert_file, key_file)) || !listen_somewhere(&stub)) {
        return 1;
    }
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(stub.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                sg_peer_ready(events[i].data.ptr);
            } else {
                accept_all(&stub);
            }
        }
        if (n < 0 && errno != EINTR) {
            return 1;
        }
    }
}
