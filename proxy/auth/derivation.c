#include "derivation.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct sg_derivation {
    uv_work_t work;
    char *password;
    uint8_t salt[SG_SCRAM_SALT_BYTES];
    size_t salt_len;
    uint32_t iterations;
    struct sg_scram_keys keys;
    bool is_good;
    void (*on_done)(void *arg, const struct sg_scram_keys *keys); /* NULL: abandoned. The loop's */
    void *arg;
};

static void run(uv_work_t *work) {
    struct sg_derivation *d = work->data;
    d->is_good = sg_scram_derive(d->password, d->salt, d->salt_len, d->iterations, &d->keys);
}

static void after(uv_work_t *work, int status) {
    struct sg_derivation *d = work->data;
    if (d->on_done) {
        d->on_done(d->arg, status == 0 && d->is_good ? &d->keys : NULL);
    }
    OPENSSL_cleanse(d->password, strlen(d->password));
    free(d->password);
    OPENSSL_cleanse(d, sizeof(*d));
    free(d);
}

struct sg_derivation *sg_derivation_start(uv_loop_t *loop, const char *password, const uint8_t *salt, size_t salt_len,
                                          uint32_t iterations,
                                          void (*on_done)(void *arg, const struct sg_scram_keys *keys), void *arg) {
    struct sg_derivation *d = calloc(1, sizeof(*d));
    if (!d || !(d->password = strdup(password)) || salt_len > sizeof(d->salt)) {
        abort();
    }
    memcpy(d->salt, salt, salt_len);
    d->salt_len = salt_len;
    d->iterations = iterations;
    d->on_done = on_done;
    d->arg = arg;
    d->work.data = d;
    if (uv_queue_work(loop, &d->work, run, after) < 0) {
        abort();
    }
    return d;
}

void sg_derivation_abandon(struct sg_derivation *d) {
    d->on_done = NULL;
    uv_cancel((uv_req_t *)&d->work); /* if it has not begun; `after` comes in either case */
}
