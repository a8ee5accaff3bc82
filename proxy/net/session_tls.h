/*
 * session_tls — the two sides of a session, encrypted. The client's: from the answer to SSLRequest, or from the first
 * byte of direct TLS, until the end. The server's comes so from the dial.
 *
 *      on_encryption_request --'S'--> sg_session_tls_begin --> every read goes through sg_session_tls_read
 *      first byte 0x16 -------------> (direct: must agree on ALPN "postgresql")
 */
#ifndef SEGUE_NET_SESSION_TLS_H
#define SEGUE_NET_SESSION_TLS_H

#include "session.h"

/* May this client encrypt, and must it? */
bool sg_session_tls_is_offered(const struct sg_session *s);
bool sg_session_tls_is_required(const struct sg_session *s);

/* From here on the client's bytes are TLS. direct: it did not ask first. */
void sg_session_tls_begin(struct sg_session *s, bool direct);

/* Bytes from the socket become those the client meant; *bytes points into the worker's buffer. Zero of them: more must
 * come. SG_TLS_FAILED: behind them the stream has ended; *ret_is_closed: properly. */
enum sg_tls_progress sg_session_tls_read(struct sg_session *s, const uint8_t **bytes, size_t *len, bool *ret_is_closed);

/* The same for bytes of the server. */
enum sg_tls_progress sg_session_tls_read_server(struct sg_session *s, const uint8_t **bytes, size_t *len,
                                                bool *ret_is_closed);

/* AuthenticationSASL from an encrypted server: without the mechanism that binds to the channel, because there are two.
 * The message is emitted anew; false: it has no such mechanism. */
bool sg_session_tls_unbind(struct sg_session *s, const struct sg_message *m);

/* An error of the login: what to do is added where a client that binds its password to the channel met two channels.
 * False: it is another error. */
bool sg_session_tls_explain(struct sg_session *s, const struct sg_message *m);

/* The client's end of the encryption, for another thread that takes the socket over; NULL: there is none. From here on
 * its bytes are nothing to the session. */
struct sg_tls *sg_session_tls_detach(struct sg_session *s);

/* Our last words are written: says that they are. */
void sg_session_tls_end(struct sg_session *s);

#endif
