/*
 *      start -> dial -> write packet -> read until EOF -> close -> on_done
 *                  \_____ failed, moot, or out of time ____^
 */
#include "cancel.h"

#include "databases.h"
#include "session.h"

#include <stdlib.h>

#define GIVE_UP_MS 10000

/* One request may go to several hosts. */
struct errand {
    unsigned left;
    struct sg_cancel_owner owner;
    bool is_sent; /* to one of them */
};

struct sg_cancel {
    struct sg_cancel *next, *prev; /* of the worker's */
    struct sg_worker *worker;
    struct sg_databases *databases; /* which the host is of */
    struct sg_route route;
    struct sg_dial dial;
    union sg_stream stream;
    uv_timer_t timer;
    uv_write_t write;
    struct sg_buf packet;
    struct errand *errand;
    bool is_connected;
    uint8_t sink[64];
};

static void unlink_from_worker(struct sg_cancel *cancel) {
    if (cancel->prev) {
        cancel->prev->next = cancel->next;
    } else {
        cancel->worker->cancels = cancel->next;
    }
    if (cancel->next) {
        cancel->next->prev = cancel->prev;
    }
}

static void errand_over(struct errand *errand) {
    if (--errand->left == 0) {
        errand->owner.on_done(errand->owner.arg, errand->is_sent);
        free(errand);
    }
}

static void on_all_closed(uv_handle_t *handle) {
    struct sg_cancel *cancel = handle->data;
    unlink_from_worker(cancel);
    errand_over(cancel->errand);
    sg_databases_unref(cancel->databases);
    sg_buf_free(&cancel->packet);
    free(cancel);
}

static void close_timer(struct sg_cancel *cancel) {
    cancel->timer.data = cancel;
    uv_close((uv_handle_t *)&cancel->timer, on_all_closed);
}

static void on_stream_closed(uv_handle_t *handle) {
    close_timer(handle->data);
}

static void end(struct sg_cancel *cancel) {
    if (!uv_is_closing(&cancel->stream.handle)) {
        uv_close(&cancel->stream.handle, on_stream_closed);
    }
}

static void give_sink(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct sg_cancel *cancel = handle->data;
    *ret_buf = uv_buf_init((char *)cancel->sink, sizeof(cancel->sink));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    struct sg_cancel *cancel = stream->data;
    if (nread < 0) {
        cancel->errand->is_sent |= nread == UV_EOF || nread == UV_ECONNRESET;
        end(cancel);
    }
}

static void on_written(uv_write_t *req, int status) {
    if (status < 0 && status != UV_ECANCELED) {
        end(req->data);
    }
}

static void give_up(struct sg_cancel *cancel) {
    if (cancel->is_connected) {
        end(cancel);
    } else {
        sg_dial_cancel(&cancel->dial);
    }
}

static void on_timeout(uv_timer_t *timer) {
    give_up(timer->data);
}

/* The packet, as records. tls is used up: an answer is not expected. */
static bool encrypt(struct sg_cancel *cancel, struct sg_tls *tls) {
    struct sg_buf records = {0};
    bool is_good = sg_tls_write(tls, cancel->packet.data, cancel->packet.len);
    sg_tls_take(tls, &records);
    sg_tls_free(tls);
    sg_buf_free(&cancel->packet);
    cancel->packet = records;
    return is_good;
}

static void on_dialled(struct sg_dial *dial, int status) {
    struct sg_cancel *cancel = (struct sg_cancel *)((char *)dial - offsetof(struct sg_cancel, dial));
    if (status < 0) {
        close_timer(cancel);
        return;
    }
    cancel->is_connected = true;
    cancel->stream.handle.data = cancel;
    cancel->write.data = cancel;
    const struct sg_cancel_owner *owner = &cancel->errand->owner;
    bool is_moot = owner->is_moot && owner->is_moot(owner->arg);
    bool is_good = !dial->tls || encrypt(cancel, dial->tls);
    if (is_moot || !is_good || atomic_load(&cancel->worker->is_stopping)) {
        end(cancel);
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)cancel->packet.data, (unsigned)cancel->packet.len);
    if (uv_write(&cancel->write, &cancel->stream.stream, &buf, 1, on_written) < 0 ||
        uv_read_start(&cancel->stream.stream, give_sink, on_read) < 0) {
        end(cancel);
    }
}

static struct sg_cancel *cancel_new(struct sg_worker *worker, struct sg_databases *databases, struct sg_span packet,
                                    struct errand *errand) {
    struct sg_cancel *cancel = calloc(1, sizeof(*cancel));
    if (!cancel) {
        abort();
    }
    cancel->worker = worker;
    cancel->databases = sg_databases_ref(databases);
    cancel->errand = errand;
    errand->left++;
    sg_buf_put(&cancel->packet, packet.ptr, packet.len);
    cancel->next = worker->cancels;
    if (cancel->next) {
        cancel->next->prev = cancel;
    }
    worker->cancels = cancel;
    uv_timer_init(&worker->loop, &cancel->timer);
    cancel->timer.data = cancel;
    uv_timer_start(&cancel->timer, on_timeout, GIVE_UP_MS, 0);
    return cancel;
}

static void send_to_host(struct sg_worker *worker, struct sg_databases *databases, const struct sg_database *db,
                         size_t host, struct sg_span packet, struct errand *errand) {
    struct sg_cancel *cancel = cancel_new(worker, databases, packet, errand);
    sg_route_to(&cancel->route, &db->upstream, host, GIVE_UP_MS);
    sg_dial_start(&cancel->dial, &worker->loop, &cancel->route, sg_tls_context_ref(db->tls), &cancel->stream,
                  on_dialled);
}

/* The same address, not only the same name: behind a name there may be several servers. */
static void send_to_server_of(const struct sg_session *s, struct sg_span packet, struct errand *errand) {
    struct sockaddr_storage address;
    int len = sizeof(address);
    if (!s->host->is_unix && uv_tcp_getpeername(&s->server.tcp, (struct sockaddr *)&address, &len) < 0) {
        send_to_host(s->worker, s->databases, s->database, (size_t)(s->host - s->database->upstream.hosts), packet,
                     errand);
        return;
    }
    struct sg_cancel *cancel = cancel_new(s->worker, s->databases, packet, errand);
    sg_dial_again(&cancel->dial, &s->worker->loop, s->host, (struct sockaddr *)&address,
                  sg_tls_context_ref(s->database->tls), &cancel->stream, on_dialled);
}

/* One host in several entries is one host. */
static bool is_known(const struct sg_databases *databases, size_t before, const struct sg_host *host) {
    for (size_t i = 0; i < before; i++) {
        const struct sg_upstream *up = &sg_databases_at(databases, i)->upstream;
        for (size_t h = 0; h < up->len; h++) {
            if (up->hosts[h].memory == host->memory) {
                return true;
            }
        }
    }
    return false;
}

static void send_to_all(struct sg_worker *worker, struct sg_span packet, struct errand *errand) {
    struct sg_databases *databases = worker->config->databases;
    for (size_t i = 0; i < sg_databases_len(databases); i++) {
        const struct sg_database *db = sg_databases_at(databases, i);
        for (size_t h = 0; h < db->upstream.len; h++) {
            if (!is_known(databases, i, &db->upstream.hosts[h])) {
                send_to_host(worker, databases, db, h, packet, errand);
            }
        }
    }
}

void sg_cancel_start(struct sg_worker *worker, const struct sg_session *of, struct sg_span packet,
                     const struct sg_cancel_owner *owner) {
    struct errand *errand = malloc(sizeof(*errand));
    if (!errand) {
        abort();
    }
    *errand = (struct errand){.owner = *owner};
    sg_count(&worker->counters.cancels, 1);
    if (of) {
        send_to_server_of(of, packet, errand);
    } else {
        send_to_all(worker, packet, errand);
    }
}

void sg_cancel_stop_all(struct sg_worker *worker) {
    for (struct sg_cancel *cancel = worker->cancels; cancel; cancel = cancel->next) {
        give_up(cancel); /* its memory goes later, from the loop */
    }
}
