#include "proxy/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct sg_tls_context {
    SSL_CTX *ctx; /* counts references by itself */
    enum sg_tls_mode mode;
    bool accepts;
    _Atomic unsigned refs;
};

struct sg_tls {
    SSL *ssl;
    bool accepts;
    const uint8_t *lent; /* bytes of the socket that have not been read yet: these, which are the caller's, */
    size_t lent_len;
    struct sg_buf kept; /* after those */
    size_t kept_at;
    struct sg_buf own;
    struct sg_buf *out; /* own, or the caller's */
};

static const uint8_t alpn[] = "\x0apostgresql";
enum { ALPN_BYTES = sizeof(alpn) - 1 };

bool sg_tls_mode_from_name(const char *name, enum sg_tls_mode *ret_mode) {
    static const char *const names[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_mode = (enum sg_tls_mode)i;
            return true;
        }
    }
    return false;
}

/* ---- Contexts ---- */

static bool is_set(const char *text) {
    return text && *text;
}

/* What OpenSSL has to say, oldest first: that one is the cause. */
static void set_openssl_error(struct sg_error *err, const char *what, const char *file) {
    unsigned long code = ERR_get_error();
    char why[256] = "unknown error";
    if (code) {
        ERR_error_string_n(code, why, sizeof(why));
    }
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    sg_error_set(err, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
                 reason ? reason : why);
}

static int protocol_of(const char *name, size_t len) {
    if (len == 7 && strncasecmp(name, "tlsv1.2", len) == 0) {
        return TLS1_2_VERSION;
    }
    return len == 7 && strncasecmp(name, "tlsv1.3", len) == 0 ? TLS1_3_VERSION : 0;
}

/* "secure" and "all" are PgBouncer's words. Versions before 1.2 are not offered, whatever is asked for. */
static bool set_protocols(SSL_CTX *ctx, const char *list, struct sg_error *reterr) {
    if (!is_set(list) || strcmp(list, "secure") == 0 || strcmp(list, "all") == 0) {
        list = "tlsv1.2,tlsv1.3";
    }
    int lowest = 0, highest = 0;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ", :");
        int version = protocol_of(p, len);
        if (len > 0 && version == 0) {
            sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE,
                         "TLS protocol \"%.*s\" is none of secure, all, tlsv1.2, tlsv1.3", (int)len, p);
            return false;
        }
        lowest = len > 0 && (lowest == 0 || version < lowest) ? version : lowest;
        highest = version > highest ? version : highest;
        p += len;
        p += strspn(p, ", :");
    }
    return SSL_CTX_set_min_proto_version(ctx, lowest) == 1 && SSL_CTX_set_max_proto_version(ctx, highest) == 1;
}

static bool set_ciphers(SSL_CTX *ctx, const char *ciphers, struct sg_error *reterr) {
    bool is_named = is_set(ciphers) && strcmp(ciphers, "default") != 0;
    const char *list = !is_named                        ? "HIGH:MEDIUM:+3DES:!aNULL"
                       : strcmp(ciphers, "secure") == 0 ? "HIGH:!aNULL:!MD5:!RC4:!3DES"
                                                        : ciphers;
    if (SSL_CTX_set_cipher_list(ctx, list) == 1) {
        return true;
    }
    set_openssl_error(reterr, "TLS ciphers", ciphers);
    return false;
}

static bool set_certificate(SSL_CTX *ctx, const struct sg_tls_settings *settings, struct sg_error *reterr) {
    if (!is_set(settings->cert_file)) {
        return true;
    }
    const char *key_file = is_set(settings->key_file) ? settings->key_file : settings->cert_file;
    if (SSL_CTX_use_certificate_chain_file(ctx, settings->cert_file) != 1) {
        set_openssl_error(reterr, "TLS certificate", settings->cert_file);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        set_openssl_error(reterr, "TLS private key", key_file);
        return false;
    }
    return true;
}

static bool set_authorities(SSL_CTX *ctx, const struct sg_tls_settings *settings, bool accepts,
                            struct sg_error *reterr) {
    if (!is_set(settings->ca_file)) {
        if (settings->mode < SG_TLS_VERIFY_CA) {
            return true;
        }
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "TLS verification needs a file of authorities");
        sg_error_hint(reterr, "Set client_tls_ca_file or server_tls_ca_file.");
        return false;
    }
    if (SSL_CTX_load_verify_locations(ctx, settings->ca_file, NULL) != 1) {
        set_openssl_error(reterr, "TLS authorities", settings->ca_file);
        return false;
    }
    if (accepts) { /* which authorities a client's certificate may come from */
        SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(settings->ca_file));
    }
    return true;
}

/* A client that offers protocols, and not ours, is not a client of ours. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg) {
    int found = SSL_select_next_proto((unsigned char **)out, out_len, alpn, ALPN_BYTES, in, in_len);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* As libpq does: an authority that is there is used, although the mode alone would not ask for it. */
static int verify_mode(const struct sg_tls_settings *settings, bool accepts) {
    if (settings->mode >= SG_TLS_VERIFY_CA) {
        return SSL_VERIFY_PEER | (accepts ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    }
    bool has_authority = is_set(settings->ca_file) && (accepts || settings->mode == SG_TLS_REQUIRE);
    return has_authority ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
}

static bool configure(SSL_CTX *ctx, const struct sg_tls_settings *settings, bool accepts, struct sg_error *reterr) {
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, verify_mode(settings, accepts), NULL);
    if (accepts) {
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    } else {
        SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_BYTES);
    }
    return set_protocols(ctx, settings->protocols, reterr) && set_ciphers(ctx, settings->ciphers, reterr) &&
           set_certificate(ctx, settings, reterr) && set_authorities(ctx, settings, accepts, reterr);
}

static struct sg_tls_context *context_new(const struct sg_tls_settings *settings, bool accepts,
                                          struct sg_error *reterr) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(accepts ? TLS_server_method() : TLS_client_method());
    struct sg_tls_context *context = calloc(1, sizeof(*context));
    if (!ctx || !context) {
        abort();
    }
    *context = (struct sg_tls_context){.ctx = ctx, .mode = settings->mode, .accepts = accepts, .refs = 1};
    if (configure(ctx, settings, accepts, reterr)) {
        return context;
    }
    sg_tls_context_unref(context);
    return NULL;
}

struct sg_tls_context *sg_tls_context_accept(const struct sg_tls_settings *settings, struct sg_error *reterr) {
    if (is_set(settings->cert_file)) {
        return context_new(settings, true, reterr);
    }
    sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "TLS towards clients needs a certificate");
    sg_error_hint(reterr, "Set client_tls_cert_file and client_tls_key_file.");
    return NULL;
}

struct sg_tls_context *sg_tls_context_connect(const struct sg_tls_settings *settings, struct sg_error *reterr) {
    return context_new(settings, false, reterr);
}

struct sg_tls_context *sg_tls_context_ref(struct sg_tls_context *context) {
    if (context) {
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    }
    return context;
}

void sg_tls_context_unref(struct sg_tls_context *context) {
    if (context && atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1) {
        SSL_CTX_free(context->ctx);
        free(context);
    }
}

enum sg_tls_mode sg_tls_context_mode(const struct sg_tls_context *context) {
    return context->mode;
}

/* ---- Between OpenSSL and memory ----
 *
 * OpenSSL's own memory BIO keeps the largest buffer it ever needed, for as long as the connection lives. */

static int take_in(BIO *bio, char *buf, int size) {
    struct sg_tls *tls = BIO_get_data(bio);
    bool is_kept = tls->kept_at < tls->kept.len;
    size_t have = is_kept ? tls->kept.len - tls->kept_at : tls->lent_len;
    size_t n = have < (size_t)size ? have : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio); /* empty is "not yet", not the end */
        return -1;
    }
    memcpy(buf, is_kept ? tls->kept.data + tls->kept_at : tls->lent, n);
    if (!is_kept) {
        tls->lent += n;
        tls->lent_len -= n;
    } else if ((tls->kept_at += n) == tls->kept.len) {
        sg_buf_free(&tls->kept);
        tls->kept_at = 0;
    }
    return (int)n;
}

static int give_out(BIO *bio, const char *bytes, int len) {
    struct sg_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    sg_buf_put(tls->out, bytes, (size_t)len);
    return len;
}

static long control(BIO *bio, int command, long number, void *pointer) {
    return command == BIO_CTRL_FLUSH; /* nothing else is asked that has an answer here */
}

static BIO_METHOD *method;

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "segue");
    if (!method || !BIO_meth_set_read(method, take_in) || !BIO_meth_set_write(method, give_out) ||
        !BIO_meth_set_ctrl(method, control)) {
        abort();
    }
}

static void attach(struct sg_tls *tls) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = BIO_new(method);
    if (!bio) {
        abort();
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
}

/* What was lent is about to go. */
static void keep_lent(struct sg_tls *tls) {
    if (tls->lent_len > 0) {
        sg_buf_put(&tls->kept, tls->lent, tls->lent_len);
        tls->lent_len = 0;
    }
}

/* ---- One stream ---- */

static void check_host(SSL *ssl, enum sg_tls_mode mode, const char *host) {
    struct in6_addr address;
    bool is_address = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
    if (!is_address) {
        SSL_set_tlsext_host_name(ssl, host);
    }
    if (mode != SG_TLS_VERIFY_FULL) {
        return;
    }
    /* A wildcard stands for one whole label, as libpq has it. */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else {
        SSL_set1_host(ssl, host);
    }
}

struct sg_tls *sg_tls_new(struct sg_tls_context *context, const char *host) {
    struct sg_tls *tls = calloc(1, sizeof(*tls));
    if (!tls) {
        abort();
    }
    tls->accepts = context->accepts;
    tls->ssl = SSL_new(context->ctx); /* keeps the SSL_CTX by itself */
    if (!tls->ssl) {
        abort();
    }
    tls->out = &tls->own;
    attach(tls);
    if (context->accepts) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
        if (host) {
            check_host(tls->ssl, context->mode, host);
        }
    }
    return tls;
}

void sg_tls_free(struct sg_tls *tls) {
    if (tls) {
        SSL_free(tls->ssl);
        sg_buf_free(&tls->kept);
        sg_buf_free(&tls->own);
        free(tls);
    }
}

void sg_tls_feed(struct sg_tls *tls, const void *bytes, size_t len) {
    keep_lent(tls);
    sg_buf_put(&tls->kept, bytes, len);
}

void sg_tls_lend(struct sg_tls *tls, const void *bytes, size_t len) {
    keep_lent(tls);
    tls->lent = bytes;
    tls->lent_len = len;
}

void sg_tls_collect(struct sg_tls *tls, struct sg_buf *out) {
    sg_buf_free(&tls->own);
    tls->out = out ? out : &tls->own;
}

struct sg_buf *sg_tls_records(struct sg_tls *tls) {
    return tls->out;
}

static bool wants_more(const struct sg_tls *tls, int result) {
    int error = SSL_get_error(tls->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* What is left in the thread's queue would be taken for the next call's error. Emptying it costs more than looking. */
static void forget_errors(void) {
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

enum sg_tls_progress sg_tls_shake(struct sg_tls *tls, struct sg_error *reterr) {
    forget_errors();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        keep_lent(tls);
        return SG_TLS_DONE;
    }
    if (wants_more(tls, result)) {
        return SG_TLS_MORE;
    }
    tls->lent_len = 0;
    long verified = SSL_get_verify_result(tls->ssl);
    if (verified != X509_V_OK) {
        ERR_clear_error();
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "the certificate of the %s is not accepted: %s",
                     tls->accepts ? "client" : "server", X509_verify_cert_error_string(verified));
    } else {
        set_openssl_error(reterr, "TLS handshake", NULL);
    }
    return SG_TLS_FAILED;
}

enum sg_tls_progress sg_tls_read(struct sg_tls *tls, void *buf, size_t size, size_t *ret_len, bool *ret_is_closed) {
    forget_errors();
    *ret_len = 0;
    *ret_is_closed = false;
    if (SSL_read_ex(tls->ssl, buf, size, ret_len) == 1) {
        return SG_TLS_DONE;
    }
    if (wants_more(tls, 0)) {
        return SG_TLS_MORE;
    }
    tls->lent_len = 0;
    *ret_is_closed = SSL_get_error(tls->ssl, 0) == SSL_ERROR_ZERO_RETURN;
    return SG_TLS_FAILED;
}

bool sg_tls_has_input(const struct sg_tls *tls) {
    return tls->lent_len > 0 || tls->kept.len > 0 || SSL_has_pending(tls->ssl) == 1;
}

bool sg_tls_write(struct sg_tls *tls, const void *bytes, size_t len) {
    size_t written;
    forget_errors();
    /* The buffer grows: all is taken at once. */
    return len == 0 || (SSL_write_ex(tls->ssl, bytes, len, &written) == 1 && written == len);
}

void sg_tls_shutdown(struct sg_tls *tls) {
    forget_errors();
    SSL_shutdown(tls->ssl);
}

bool sg_tls_take(struct sg_tls *tls, struct sg_buf *out) {
    if (tls->own.len == 0) {
        return false;
    }
    sg_buf_put(out, tls->own.data, tls->own.len);
    sg_buf_free(&tls->own);
    return true;
}

/* ---- What was agreed ---- */

const char *sg_tls_version(const struct sg_tls *tls) {
    return SSL_get_version(tls->ssl);
}

const char *sg_tls_cipher(const struct sg_tls *tls) {
    return SSL_get_cipher_name(tls->ssl);
}

bool sg_tls_has_alpn(const struct sg_tls *tls) {
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(tls->ssl, &chosen, &len);
    return len == ALPN_BYTES - 1 && memcmp(chosen, alpn + 1, len) == 0;
}

bool sg_tls_peer_name(const struct sg_tls *tls, char *ret_name, size_t size) {
    X509 *peer = SSL_get0_peer_certificate(tls->ssl);
    if (!peer || SSL_get_verify_result(tls->ssl) != X509_V_OK) {
        return false;
    }
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, ret_name, (int)size);
    /* A NUL inside it would make it look like another name. */
    return len > 0 && (size_t)len < size - 1 && strlen(ret_name) == (size_t)len;
}

bool sg_tls_peer_subject(const struct sg_tls *tls, char *ret_subject, size_t size) {
    X509 *peer = SSL_get0_peer_certificate(tls->ssl);
    BIO *text = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    if (!text) {
        abort();
    }
    if (peer && SSL_get_verify_result(tls->ssl) == X509_V_OK) {
        X509_NAME_print_ex(text, X509_get_subject_name(peer), 0, XN_FLAG_RFC2253);
    }
    long len = BIO_get_mem_data(text, &bytes);
    bool is_good = len > 0 && (size_t)len < size && !memchr(bytes, '\0', (size_t)len);
    if (is_good) {
        memcpy(ret_subject, bytes, (size_t)len);
        ret_subject[len] = '\0';
    }
    BIO_free(text);
    return is_good;
}

/* RFC 5929, 4.1: the hash of the certificate's signature; SHA-256 in place of MD5 and SHA-1. */
size_t sg_tls_end_point(const struct sg_tls *tls, bool own, uint8_t ret_hash[SG_TLS_BINDING_MAX]) {
    X509 *cert = own ? SSL_get_certificate(tls->ssl) : SSL_get0_peer_certificate(tls->ssl);
    int digest = NID_undef;
    if (!cert || OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL) != 1) {
        return 0;
    }
    const EVP_MD *md = digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
    unsigned len = 0;
    return md && X509_digest(cert, md, ret_hash, &len) == 1 ? len : 0;
}
