/*
 * tls — one end of an encrypted stream, over memory: ciphertext in and out by the caller, who owns the socket.
 *
 *      socket --bytes--> sg_tls_feed --> sg_tls_read --plaintext--> session
 *      session --plaintext--> sg_tls_write --> sg_tls_take --bytes--> socket
 *
 * Who has many streams lends them its own buffers: sg_tls_lend in place of feed, sg_tls_collect in place of take. Then
 * a stream at rest owns none.
 *
 * The handshake is driven by the same two calls: after each feed, sg_tls_shake says how far it is and sg_tls_take has
 * what must be sent. A context is made once from files and shared by any number of threads; a tls belongs to one.
 *
 * (PostgreSQL docs: 55.2.10 SSL Session Encryption, 34.19 SSL Support; RFC 5929 for the channel binding.)
 */
#ifndef SEGUE_TLS_H
#define SEGUE_TLS_H

#include "segue/error.h"
#include "segue/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libpq's sslmode. Towards clients, allow and prefer mean the same: who asks for TLS gets it. */
enum sg_tls_mode {
    SG_TLS_DISABLE,
    SG_TLS_ALLOW,
    SG_TLS_PREFER,
    SG_TLS_REQUIRE,
    SG_TLS_VERIFY_CA,
    SG_TLS_VERIFY_FULL,
};

bool sg_tls_mode_from_name(const char *name, enum sg_tls_mode *ret_mode);

/* Files may be NULL or empty: none. */
struct sg_tls_settings {
    enum sg_tls_mode mode;
    const char *key_file, *cert_file, *ca_file;
    const char *protocols; /* "secure", "all", or a list of tlsv1.2, tlsv1.3 */
    const char *ciphers;   /* "default", "secure", or OpenSSL's notation, for TLS 1.2 */
};

struct sg_tls_context;

/* The end that accepts (towards clients), or connects (towards the server). NULL and *reterr: a file cannot be read or
 * used, with what OpenSSL says of it. */
struct sg_tls_context *sg_tls_context_accept(const struct sg_tls_settings *settings, struct sg_error *reterr);
struct sg_tls_context *sg_tls_context_connect(const struct sg_tls_settings *settings, struct sg_error *reterr);
/* Any thread. */
struct sg_tls_context *sg_tls_context_ref(struct sg_tls_context *context);
void sg_tls_context_unref(struct sg_tls_context *context);
enum sg_tls_mode sg_tls_context_mode(const struct sg_tls_context *context);

struct sg_tls;

/* host: the name or address that the certificate must be for; used by connecting ends. NULL: not checked, no SNI. */
struct sg_tls *sg_tls_new(struct sg_tls_context *context, const char *host);
void sg_tls_free(struct sg_tls *tls);

/* Bytes from the socket. Copied. */
void sg_tls_feed(struct sg_tls *tls, const void *bytes, size_t len);
/* The same without a copy: they must stay until sg_tls_shake has answered, or sg_tls_has_input false. */
void sg_tls_lend(struct sg_tls *tls, const void *bytes, size_t len);
/* From now on what must go to the socket is appended to out, of the caller, as soon as it is known, and sg_tls_take
 * finds nothing. NULL: to a buffer of its own again. Not while there is something to be taken. */
void sg_tls_collect(struct sg_tls *tls, struct sg_buf *out);
/* Where that is: out, or its own. The caller empties it. */
struct sg_buf *sg_tls_records(struct sg_tls *tls);

enum sg_tls_progress { SG_TLS_MORE, SG_TLS_DONE, SG_TLS_FAILED };
/* Goes on with the handshake. FAILED: *reterr says why; what sg_tls_take then gives is the alert. */
enum sg_tls_progress sg_tls_shake(struct sg_tls *tls, struct sg_error *reterr);

/* The next plaintext, at most size bytes. *ret_len 0 with MORE: feed more. DONE: some was read. FAILED: the other end
 * closed (is_closed) or broke the protocol. */
enum sg_tls_progress sg_tls_read(struct sg_tls *tls, void *buf, size_t size, size_t *ret_len, bool *ret_is_closed);
/* After DONE. False: there is nothing more to be read before more is fed. */
bool sg_tls_has_input(const struct sg_tls *tls);
/* False: the stream is broken. */
bool sg_tls_write(struct sg_tls *tls, const void *bytes, size_t len);
/* Says goodbye: the close_notify alert is then there to be taken. */
void sg_tls_shutdown(struct sg_tls *tls);
/* Appends to out what must go to the socket. False: nothing. */
bool sg_tls_take(struct sg_tls *tls, struct sg_buf *out);

/* ---- What was agreed, after the handshake ---- */

const char *sg_tls_version(const struct sg_tls *tls); /* "TLSv1.3" */
const char *sg_tls_cipher(const struct sg_tls *tls);
bool sg_tls_has_alpn(const struct sg_tls *tls); /* "postgresql" was agreed on: a must for direct TLS */
/* The common name in the certificate the other end showed and that was verified; false: none. */
bool sg_tls_peer_name(const struct sg_tls *tls, char *ret_name, size_t size);
/* Its whole subject, as RFC 2253 writes it: "CN=alice,O=Acme". */
bool sg_tls_peer_subject(const struct sg_tls *tls, char *ret_subject, size_t size);
/* tls-server-end-point: the hash of the server's certificate; own: that of this end. 0: there is none. */
enum { SG_TLS_BINDING_MAX = 64 };
size_t sg_tls_end_point(const struct sg_tls *tls, bool own, uint8_t ret_hash[SG_TLS_BINDING_MAX]);

#endif
