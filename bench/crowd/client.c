#include "bench/crowd/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES     65000
#define LOGINS_AT_ONCE 64 /* more would only measure the backlog */

struct crowd {
    const struct sg_crowd_options *options;
    unsigned begun, seated, failed;
    struct client *clients;
};

/* What it has been answered so far, by ReadyForQuery. */
enum step { STEP_LOGIN, STEP_READ, STEP_PREPARED, STEP_DONE };

struct client {
    struct crowd *crowd;
    struct sg_peer *peer;
    enum step step;
};

static void put_query(struct sg_peer *peer, const char *sql) {
    sg_msg_query(&peer->out, (struct sg_span){sql, strlen(sql)});
}

static void put_empty(struct sg_peer *peer, uint8_t type) {
    sg_msg_begin(&peer->out, type);
    sg_msg_end(&peer->out);
}

/* ---- Tasks: what is sent once the login, and then each part, is through ---- */

static void put_bind_head(struct sg_peer *peer, uint64_t value_bytes) {
    static const char portal_and_name[] = "\0statement";
    sg_buf_put_u8(&peer->out, 'B');
    sg_buf_put_u32(&peer->out, (uint32_t)(4 + sizeof(portal_and_name) + 2 + 2 + 4 + value_bytes + 2));
    sg_buf_put(&peer->out, portal_and_name, sizeof(portal_and_name));
    sg_buf_put_u16(&peer->out, 0);
    sg_buf_put_u16(&peer->out, 1);
    sg_buf_put_u32(&peer->out, (uint32_t)value_bytes);
}

static void put_bind_tail(struct sg_peer *peer) {
    sg_buf_put_u16(&peer->out, 0);
    sg_msg_begin(&peer->out, 'E');
    sg_buf_put_cstr(&peer->out, "");
    sg_buf_put_u32(&peer->out, 0);
    sg_msg_end(&peer->out);
    put_empty(peer, 'S');
}

static void put_prepare(struct sg_peer *peer) {
    static const char name[] = "statement", sql[] = "SELECT user_id, nickname, seen FROM members WHERE note = $1";
    static const uint8_t text_oid[] = {0, 0, 0, 25};
    sg_msg_parse(&peer->out, (struct sg_span){name, sizeof(name) - 1}, (struct sg_span){sql, sizeof(sql) - 1}, 1,
                 text_oid);
}

static void begin_task(struct client *client) {
    const struct sg_crowd_options *options = client->crowd->options;
    struct sg_peer *peer = client->peer;
    char sql[100];
    if (strcmp(options->task, "copy-in") == 0) {
        put_query(peer, "COPY members FROM STDIN");
        client->step = STEP_PREPARED;
    } else if (strcmp(options->task, "copy-out") == 0) {
        snprintf(sql, sizeof(sql), "COPY (%llu) TO STDOUT", (unsigned long long)options->bytes);
        put_query(peer, sql);
        client->step = STEP_PREPARED;
    } else if (strcmp(options->task, "bind") == 0) {
        put_prepare(peer);
        put_bind_head(peer, options->bytes);
        peer->filling = options->bytes;
        client->step = STEP_PREPARED;
    } else {
        snprintf(sql, sizeof(sql), "SELECT repeat('x', %llu)", (unsigned long long)options->bytes);
        put_query(peer, sql);
        client->step = STEP_READ;
    }
}

static void refill(struct sg_peer *peer) {
    if (peer->filling == 0) {
        return;
    }
    if (peer->is_copying) {
        sg_buf_put_u8(&peer->out, 'd');
        sg_buf_put_u32(&peer->out, 4 + (uint32_t)(peer->filling < COPY_BYTES ? peer->filling : COPY_BYTES));
    }
    sg_peer_fill(peer, COPY_BYTES);
    if (peer->filling == 0 && peer->is_copying) {
        put_empty(peer, 'c');
    } else if (peer->filling == 0) {
        put_bind_tail(peer);
    }
}

static void on_ready(struct client *client) {
    switch (client->step) {
    case STEP_LOGIN:
        begin_task(client);
        break;
    case STEP_READ:
        put_prepare(client->peer);
        put_bind_head(client->peer, 4);
        sg_buf_put(&client->peer->out, "note", 4);
        put_bind_tail(client->peer);
        client->step = STEP_PREPARED;
        break;
    case STEP_PREPARED:
        client->step = STEP_DONE;
        client->crowd->seated++;
        break;
    case STEP_DONE:
        break;
    }
}

static void on_message(struct sg_peer *peer, uint8_t type) {
    struct client *client = peer->owner;
    if (type == 'Z') {
        on_ready(client);
    } else if (type == 'G') {
        peer->filling = client->crowd->options->bytes;
        peer->is_copying = true;
    } else if (type == 'E') {
        fprintf(stderr, "segue-crowd: the server says: %.*s\n", (int)peer->text_len, (const char *)peer->text);
        sg_peer_close(peer);
    }
}

static void on_end(struct sg_peer *peer) {
    struct client *client = peer->owner;
    client->crowd->failed++;
    client->peer = NULL;
    sg_peer_free(peer);
}

static const struct sg_peer_handlers handlers = {sg_login_on_packet, on_message, refill, on_end};

static bool begin_client(struct crowd *crowd, struct client *client) {
    client->crowd = crowd;
    client->peer = sg_login(&crowd->options->place, &handlers, client);
    if (client->peer) {
        sg_peer_ready(client->peer);
    }
    return client->peer || crowd->failed > 0;
}

bool sg_crowd_is_task(const char *name) {
    static const char *const tasks[] = {"sit", "copy-in", "copy-out", "row", "bind"};
    for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++) {
        if (strcmp(tasks[i], name) == 0) {
            return true;
        }
    }
    return false;
}

int sg_crowd_run(const struct sg_crowd_options *options) {
    struct crowd crowd = {.options = options};
    crowd.clients = calloc(options->clients, sizeof(*crowd.clients));
    if (!crowd.clients) {
        abort();
    }
    while (crowd.seated < options->clients && crowd.failed == 0) {
        if (crowd.begun < options->clients && crowd.begun - crowd.seated < LOGINS_AT_ONCE) {
            if (!begin_client(&crowd, &crowd.clients[crowd.begun++])) {
                return 1;
            }
        } else if (!sg_place_serve(&options->place, -1)) {
            return 1;
        }
    }
    if (crowd.failed > 0) {
        fprintf(stderr, "segue-crowd: a connection has ended\n");
        return 1;
    }
    bool is_sitting = strcmp(options->task, "sit") == 0;
    printf(is_sitting ? "seated %u\n" : "done\n", crowd.seated);
    fflush(stdout);
    while (is_sitting && crowd.failed == 0 && sg_place_serve(&options->place, -1)) {
    }
    return is_sitting;
}
