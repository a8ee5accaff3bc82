/* derivation — the keys of a password, made by libuv's pool of threads: some milliseconds that a worker's sessions do
 * not wait for, and that nobody can make them wait for by logging in. */
#ifndef SEGUE_AUTH_DERIVATION_H
#define SEGUE_AUTH_DERIVATION_H

#include "secret.h"

#include <uv.h>

struct sg_derivation;

/* Everything is copied. on_done: on the loop's thread; keys NULL: it could not be done. */
struct sg_derivation *sg_derivation_start(uv_loop_t *loop, const char *password, const uint8_t *salt, size_t salt_len,
                                          uint32_t iterations,
                                          void (*on_done)(void *arg, const struct sg_scram_keys *keys), void *arg);
/* on_done never comes. */
void sg_derivation_abandon(struct sg_derivation *derivation);

#endif
