#include "bench/crowd/drive.h"

#include "bench/crowd/usage.h"
#include "bench/load/histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOGINS_AT_ONCE 64
#define WARM_UP_NS     500000000ull
#define WRITES_IN      10 /* one in so many is a write */

static const char *const names[] = {"read", "write"};

struct drive {
    const struct sg_drive_options *options;
    char sql[2][300];
    unsigned begun, ready, failed;
    uint64_t random;
    bool is_running, is_counting;
    uint64_t transactions;
    struct sg_histogram latency;
};

struct driver {
    struct drive *drive;
    struct sg_peer *peer;
    bool is_ready;
    uint64_t since_ns;
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* xorshift64*: the same statements in every run. */
static uint64_t next_random(struct drive *drive) {
    drive->random ^= drive->random >> 12;
    drive->random ^= drive->random << 25;
    drive->random ^= drive->random >> 27;
    return (drive->random * 2685821657736338717u) >> 33;
}

/* ---- What is sent ---- */

static void put_literals(struct driver *driver, bool is_write, unsigned id) {
    const struct sg_drive_options *options = driver->drive->options;
    char sql[400];
    int len = is_write ? snprintf(sql, sizeof(sql), "UPDATE %s SET %s = 'nick-%u', seen = seen + 1 WHERE user_id = %u",
                                  options->table, options->column, id, id)
                       : snprintf(sql, sizeof(sql), "SELECT user_id, %s, seen FROM %s WHERE user_id = %u",
                                  options->column, options->table, id);
    sg_msg_query(&driver->peer->out, (struct sg_span){sql, (size_t)len});
}

static void put_value(struct sg_buf *out, const char *value) {
    sg_buf_put_u32(out, (uint32_t)strlen(value));
    sg_buf_put(out, value, strlen(value));
}

/* Bind, Describe, Execute, Sync. */
static void put_run(struct driver *driver, const char *name, bool is_write, unsigned id) {
    struct sg_buf *out = &driver->peer->out;
    char text[32];
    sg_msg_begin(out, 'B');
    sg_buf_put_cstr(out, "");
    sg_buf_put_cstr(out, name);
    sg_buf_put_u16(out, 0);
    sg_buf_put_u16(out, is_write ? 2 : 1);
    snprintf(text, sizeof(text), "%u", id);
    put_value(out, text);
    if (is_write) {
        snprintf(text, sizeof(text), "nick-%u", id);
        put_value(out, text);
    }
    sg_buf_put_u16(out, 0);
    sg_msg_end(out);
    sg_msg_begin(out, 'D');
    sg_buf_put_u8(out, 'P');
    sg_buf_put_cstr(out, "");
    sg_msg_end(out);
    sg_msg_begin(out, 'E');
    sg_buf_put_cstr(out, "");
    sg_buf_put_u32(out, 0);
    sg_msg_end(out);
    sg_msg_begin(out, 'S');
    sg_msg_end(out);
}

static void put_parse(struct driver *driver, const char *name, bool is_write) {
    const char *sql = driver->drive->sql[is_write];
    sg_msg_parse(&driver->peer->out, (struct sg_span){name, strlen(name)}, (struct sg_span){sql, strlen(sql)}, 0, NULL);
}

static void send_next(struct driver *driver) {
    struct drive *drive = driver->drive;
    bool is_write = next_random(drive) % WRITES_IN == 0;
    unsigned id = 1 + (unsigned)(next_random(drive) % drive->options->rows);
    switch (drive->options->mode) {
    case SG_DRIVE_SIMPLE:
        put_literals(driver, is_write, id);
        break;
    case SG_DRIVE_EXTENDED:
        put_parse(driver, "", is_write);
        put_run(driver, "", is_write, id);
        break;
    case SG_DRIVE_PREPARED:
        put_run(driver, names[is_write], is_write, id);
        break;
    }
    driver->since_ns = now_ns();
}

/* ---- What comes ---- */

static void on_ready(struct driver *driver) {
    struct drive *drive = driver->drive;
    bool is_first = driver->since_ns == 0;
    if (is_first && drive->options->mode == SG_DRIVE_PREPARED) {
        put_parse(driver, names[0], false);
        put_parse(driver, names[1], true);
        sg_msg_begin(&driver->peer->out, 'S');
        sg_msg_end(&driver->peer->out);
        driver->since_ns = 1;
    } else if (!drive->is_running) {
        driver->since_ns = 1;
        driver->is_ready = true;
        drive->ready++;
    } else {
        if (drive->is_counting) {
            sg_histogram_record(&drive->latency, (now_ns() - driver->since_ns) / 1000);
            drive->transactions++;
        }
        send_next(driver);
    }
}

static void on_message(struct sg_peer *peer, uint8_t type) {
    if (type == 'Z') {
        on_ready(peer->owner);
    } else if (type == 'E') {
        fprintf(stderr, "segue-crowd: the server says: %.*s\n", (int)peer->text_len, (const char *)peer->text);
        sg_peer_close(peer);
    }
}

static void refill(struct sg_peer *peer) {
}

static void on_end(struct sg_peer *peer) {
    struct driver *driver = peer->owner;
    driver->drive->failed++;
    driver->peer = NULL;
    sg_peer_free(peer);
}

static const struct sg_peer_handlers handlers = {sg_login_on_packet, on_message, refill, on_end};

/* ---- A run ---- */

bool sg_drive_mode_from_name(const char *name, enum sg_drive_mode *ret_mode) {
    static const char *const modes[] = {"simple", "extended", "prepared"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(modes[i], name) == 0) {
            *ret_mode = (enum sg_drive_mode)i;
            return true;
        }
    }
    return false;
}

static bool log_everybody_in(struct drive *drive, struct driver *drivers) {
    const struct sg_drive_options *options = drive->options;
    while (drive->ready < options->clients && drive->failed == 0) {
        if (drive->begun < options->clients && drive->begun - drive->ready < LOGINS_AT_ONCE) {
            struct driver *driver = &drivers[drive->begun++];
            driver->drive = drive;
            driver->peer = sg_login(&options->place, &handlers, driver);
            if (!driver->peer) {
                return false;
            }
            sg_peer_ready(driver->peer);
        } else if (!sg_place_serve(&options->place, -1)) {
            return false;
        }
    }
    return drive->failed == 0;
}

static bool serve_until(struct drive *drive, uint64_t until_ns) {
    for (uint64_t now = now_ns(); now < until_ns && drive->failed == 0; now = now_ns()) {
        if (!sg_place_serve(&drive->options->place, (int)((until_ns - now) / 1000000) + 1)) {
            return false;
        }
    }
    return drive->failed == 0;
}

static bool run(struct drive *drive, struct driver *drivers) {
    const struct sg_drive_options *options = drive->options;
    drive->is_running = true;
    for (unsigned i = 0; i < options->clients; i++) {
        send_next(&drivers[i]);
        sg_peer_ready(drivers[i].peer);
    }
    if (!serve_until(drive, now_ns() + WARM_UP_NS)) {
        return false;
    }
    struct sg_usage before = sg_usage_of(options->pid);
    uint64_t since_ns = now_ns();
    drive->is_counting = true;
    if (!serve_until(drive, since_ns + (uint64_t)(options->seconds * 1e9))) {
        return false;
    }
    double seconds = (double)(now_ns() - since_ns) / 1e9;
    struct sg_usage after = sg_usage_of(options->pid);
    printf("%llu\t%.6f\t%.0f\t%.0f\t%llu\t%llu\n", (unsigned long long)drive->transactions, seconds,
           sg_histogram_quantile_us(&drive->latency, 0.5), sg_histogram_quantile_us(&drive->latency, 0.99),
           (unsigned long long)(after.processor_ns - before.processor_ns),
           (unsigned long long)(after.switches - before.switches));
    return true;
}

int sg_drive_run(const struct sg_drive_options *options) {
    struct drive *drive = calloc(1, sizeof(*drive));
    struct driver *drivers = calloc(options->clients, sizeof(*drivers));
    if (!drive || !drivers) {
        abort();
    }
    drive->options = options;
    drive->random = 88172645463325252u;
    snprintf(drive->sql[0], sizeof(drive->sql[0]), "SELECT user_id, %s, seen FROM %s WHERE user_id = $1",
             options->column, options->table);
    snprintf(drive->sql[1], sizeof(drive->sql[1]), "UPDATE %s SET %s = $2, seen = seen + 1 WHERE user_id = $1",
             options->table, options->column);
    bool is_good = log_everybody_in(drive, drivers) && run(drive, drivers);
    if (!is_good) {
        fprintf(stderr, "segue-crowd: a connection has ended\n");
    }
    free(drivers);
    free(drive);
    return is_good ? 0 : 1;
}
