/* Two ends in one process, with certificates made on the spot. */
#include "proxy/tls.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

struct files {
    char dir[64], ca[96], cert[96], key[96];
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    cr_assert_not_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(const char *name, const char *alt_names, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key) {
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    add_extension(cert, issuer ? issuer : cert, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt_names) {
        add_extension(cert, issuer, NID_subject_alt_name, alt_names);
    }
    X509_sign(cert, issuer_key, EVP_sha256());
    return cert;
}

static void write_certificate(const char *path, X509 *cert) {
    FILE *file = fopen(path, "w");
    PEM_write_X509(file, cert);
    fclose(file);
}

/* An authority, and a certificate of it for that name. */
static void make_files(struct files *f, const char *name, const char *alt_names) {
    snprintf(f->dir, sizeof(f->dir), "/tmp/segue-tls-XXXXXX");
    cr_assert_not_null(mkdtemp(f->dir));
    snprintf(f->ca, sizeof(f->ca), "%s/ca.pem", f->dir);
    snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->dir);
    snprintf(f->key, sizeof(f->key), "%s/key.pem", f->dir);
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate("authority", NULL, ca_key, NULL, ca_key);
    X509 *cert = make_certificate(name, alt_names, key, ca, ca_key);
    write_certificate(f->ca, ca);
    write_certificate(f->cert, cert);
    FILE *file = fopen(f->key, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(ca);
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

static void remove_files(struct files *f) {
    unlink(f->ca);
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->dir);
}

/* Carries what `from` has to say to `to`, in pieces of that many bytes. */
static bool carry(struct sg_tls *from, struct sg_tls *to, size_t piece) {
    struct sg_buf bytes = {0};
    bool any = sg_tls_take(from, &bytes);
    for (size_t i = 0; i < bytes.len; i += piece) {
        sg_tls_feed(to, bytes.data + i, bytes.len - i < piece ? bytes.len - i : piece);
    }
    sg_buf_free(&bytes);
    return any;
}

struct pair {
    struct sg_tls *server, *client;
    struct sg_error server_error, client_error;
};

/* True: both ends are through. */
static bool shake_hands(struct pair *pair, size_t piece) {
    enum sg_tls_progress client = SG_TLS_MORE, server = SG_TLS_MORE;
    for (int round = 0; round < 20; round++) {
        client = client == SG_TLS_MORE ? sg_tls_shake(pair->client, &pair->client_error) : client;
        carry(pair->client, pair->server, piece);
        server = server == SG_TLS_MORE ? sg_tls_shake(pair->server, &pair->server_error) : server;
        carry(pair->server, pair->client, piece);
    }
    return client == SG_TLS_DONE && server == SG_TLS_DONE;
}

static struct pair connect_pair(const struct sg_tls_settings *server, const struct sg_tls_settings *client,
                                const char *host) {
    struct sg_error err = {0};
    struct sg_tls_context *accepting = sg_tls_context_accept(server, &err);
    struct sg_tls_context *connecting = sg_tls_context_connect(client, &err);
    cr_assert(accepting && connecting, "%s", err.message);
    struct pair pair = {.server = sg_tls_new(accepting, NULL), .client = sg_tls_new(connecting, host)};
    sg_tls_context_unref(accepting); /* the streams go on without */
    sg_tls_context_unref(connecting);
    return pair;
}

static void free_pair(struct pair *pair) {
    sg_tls_free(pair->server);
    sg_tls_free(pair->client);
}

static void say(struct sg_tls *from, struct sg_tls *to, const char *text, size_t piece) {
    char got[4096];
    size_t len, total = 0;
    bool is_closed;
    cr_assert(sg_tls_write(from, text, strlen(text)));
    carry(from, to, piece);
    while (sg_tls_read(to, got + total, sizeof(got) - total, &len, &is_closed) == SG_TLS_DONE) {
        total += len;
    }
    cr_assert_eq(total, strlen(text));
    cr_assert_eq(memcmp(got, text, total), 0);
}

Test(tls, talks_at_every_split) {
    struct files f;
    make_files(&f, "db.example.org", "DNS:db.example.org");
    static const char *const versions[] = {"tlsv1.2", "tlsv1.3", "secure"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t piece = 1; piece < 3000; piece = piece * 7 + 1) {
            struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, versions[i], NULL};
            struct sg_tls_settings client = {SG_TLS_VERIFY_FULL, NULL, NULL, f.ca, NULL, "secure"};
            struct pair pair = connect_pair(&server, &client, "db.example.org");
            cr_assert(shake_hands(&pair, piece), "%s", pair.client_error.message);
            cr_assert_str_eq(sg_tls_version(pair.client), i == 0 ? "TLSv1.2" : "TLSv1.3");
            cr_assert(sg_tls_has_alpn(pair.server));
            say(pair.client, pair.server, "SELECT 1", piece);
            say(pair.server, pair.client, "an answer that is somewhat longer than the question was", piece);
            free_pair(&pair);
        }
    }
    remove_files(&f);
}

/* The way of a session: buffers that many streams share, and bytes behind the handshake that came with it. */
Test(tls, lends_and_collects) {
    struct files f;
    make_files(&f, "db", NULL);
    struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
    struct sg_tls_settings client = {SG_TLS_REQUIRE, NULL, NULL, NULL, NULL, NULL};
    struct pair pair = connect_pair(&server, &client, "db");
    struct sg_buf to_server = {0}, to_client = {0};
    sg_tls_collect(pair.client, &to_server);
    sg_tls_collect(pair.server, &to_client);
    cr_assert_eq(sg_tls_records(pair.client), &to_server);
    cr_assert_eq(sg_tls_shake(pair.client, &pair.client_error), SG_TLS_MORE);
    sg_tls_lend(pair.server, to_server.data, to_server.len);
    cr_assert_eq(sg_tls_shake(pair.server, &pair.server_error), SG_TLS_MORE);
    sg_tls_lend(pair.client, to_client.data, to_client.len);
    to_server.len = 0;
    cr_assert_eq(sg_tls_shake(pair.client, &pair.client_error), SG_TLS_DONE);
    cr_assert(sg_tls_write(pair.client, "early", 5));
    cr_assert_not(sg_tls_take(pair.client, &to_client)); /* nothing of its own */
    sg_tls_lend(pair.server, to_server.data, to_server.len);
    cr_assert_eq(sg_tls_shake(pair.server, &pair.server_error), SG_TLS_DONE);
    memset(to_server.data, 0, to_server.len); /* what was lent has gone */
    char got[16];
    size_t len;
    bool is_closed;
    cr_assert_eq(sg_tls_read(pair.server, got, sizeof(got), &len, &is_closed), SG_TLS_DONE);
    cr_assert_eq(len, 5);
    cr_assert_eq(memcmp(got, "early", 5), 0);
    cr_assert_not(sg_tls_has_input(pair.server));
    cr_assert_eq(sg_tls_read(pair.server, got, sizeof(got), &len, &is_closed), SG_TLS_MORE);
    sg_tls_collect(pair.client, NULL);
    say(pair.client, pair.server, "as before", 3);
    sg_buf_free(&to_server);
    sg_buf_free(&to_client);
    free_pair(&pair);
    remove_files(&f);
}

Test(tls, says_goodbye) {
    struct files f;
    make_files(&f, "db", NULL);
    struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
    struct sg_tls_settings client = {SG_TLS_REQUIRE, NULL, NULL, NULL, NULL, NULL};
    struct pair pair = connect_pair(&server, &client, "db");
    cr_assert(shake_hands(&pair, 1000));
    sg_tls_shutdown(pair.client);
    carry(pair.client, pair.server, 1000);
    char got[8];
    size_t len;
    bool is_closed = false;
    cr_assert_eq(sg_tls_read(pair.server, got, sizeof(got), &len, &is_closed), SG_TLS_FAILED);
    cr_assert(is_closed);
    free_pair(&pair);
    remove_files(&f);
}

Test(tls, checks_the_server_as_libpq_does) {
    struct files f, other;
    make_files(&f, "db.example.org", "DNS:*.example.org,IP:10.0.0.1");
    make_files(&other, "other", NULL);
    struct {
        enum sg_tls_mode mode;
        const char *ca, *host;
        bool is_fine;
    } cases[] = {
        {SG_TLS_REQUIRE, NULL, "elsewhere", true},
        {SG_TLS_REQUIRE, f.ca, "elsewhere", true}, /* the chain is checked, the name is not */
        {SG_TLS_REQUIRE, other.ca, "db.example.org", false},
        {SG_TLS_PREFER, other.ca, "db.example.org", true},
        {SG_TLS_VERIFY_CA, f.ca, "elsewhere", true},
        {SG_TLS_VERIFY_CA, other.ca, "db.example.org", false},
        {SG_TLS_VERIFY_FULL, f.ca, "db.example.org", true},
        {SG_TLS_VERIFY_FULL, f.ca, "a.b.example.org", false},
        {SG_TLS_VERIFY_FULL, f.ca, "10.0.0.1", true},
        {SG_TLS_VERIFY_FULL, f.ca, "10.0.0.2", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
        struct sg_tls_settings client = {cases[i].mode, NULL, NULL, cases[i].ca, NULL, NULL};
        struct pair pair = connect_pair(&server, &client, cases[i].host);
        cr_assert_eq(shake_hands(&pair, 5000), cases[i].is_fine, "case %zu: %s", i, pair.client_error.message);
        if (!cases[i].is_fine) {
            cr_assert_not_null(strstr(pair.client_error.message, "certificate of the server is not accepted"));
        }
        free_pair(&pair);
    }
    remove_files(&f);
    remove_files(&other);
}

Test(tls, asks_clients_for_certificates) {
    struct files f;
    make_files(&f, "alice", NULL);
    struct sg_tls_settings server = {SG_TLS_VERIFY_CA, f.key, f.cert, f.ca, "tlsv1.2", NULL};
    struct sg_tls_settings with = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
    struct sg_tls_settings without = {SG_TLS_REQUIRE, NULL, NULL, NULL, NULL, NULL};
    char name[64];
    struct pair pair = connect_pair(&server, &with, NULL);
    cr_assert(shake_hands(&pair, 5000), "%s", pair.server_error.message);
    cr_assert(sg_tls_peer_name(pair.server, name, sizeof(name)));
    cr_assert_str_eq(name, "alice");
    free_pair(&pair);
    pair = connect_pair(&server, &without, NULL);
    cr_assert_not(shake_hands(&pair, 5000));
    cr_assert_not(sg_tls_peer_name(pair.server, name, sizeof(name)));
    free_pair(&pair);
    remove_files(&f);
}

Test(tls, binds_both_ends_to_one_certificate) {
    struct files f;
    make_files(&f, "db", NULL);
    struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
    struct sg_tls_settings client = {SG_TLS_REQUIRE, NULL, NULL, NULL, NULL, NULL};
    struct pair pair = connect_pair(&server, &client, NULL);
    cr_assert(shake_hands(&pair, 5000));
    uint8_t own[SG_TLS_BINDING_MAX], peer[SG_TLS_BINDING_MAX];
    cr_assert_eq(sg_tls_end_point(pair.server, true, own), 32);
    cr_assert_eq(sg_tls_end_point(pair.client, false, peer), 32);
    cr_assert_eq(memcmp(own, peer, 32), 0);
    cr_assert_eq(sg_tls_end_point(pair.client, true, own), 0);
    free_pair(&pair);
    remove_files(&f);
}

Test(tls, garbage_fails_with_a_reason) {
    struct files f;
    make_files(&f, "db", NULL);
    struct sg_tls_settings server = {SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, NULL};
    struct sg_error err = {0};
    struct sg_tls_context *context = sg_tls_context_accept(&server, &err);
    struct sg_tls *tls = sg_tls_new(context, NULL);
    sg_tls_context_unref(context);
    sg_tls_feed(tls, "GET / HTTP/1.1\r\n\r\n", 18);
    cr_assert_eq(sg_tls_shake(tls, &err), SG_TLS_FAILED);
    cr_assert_not_null(strstr(err.message, "TLS handshake: "));
    sg_tls_free(tls);
    remove_files(&f);
}

Test(tls, says_which_file_is_wrong) {
    struct files f;
    make_files(&f, "db", NULL);
    struct {
        struct sg_tls_settings settings;
        const char *says;
    } cases[] = {
        {{SG_TLS_REQUIRE, NULL, NULL, NULL, NULL, NULL}, "needs a certificate"},
        {{SG_TLS_REQUIRE, NULL, "/nowhere", NULL, NULL, NULL}, "TLS certificate /nowhere: "},
        {{SG_TLS_REQUIRE, f.ca, f.cert, NULL, NULL, NULL}, "TLS private key "},
        {{SG_TLS_VERIFY_CA, f.key, f.cert, NULL, NULL, NULL}, "needs a file of authorities"},
        {{SG_TLS_REQUIRE, f.key, f.cert, f.key, NULL, NULL}, "TLS authorities "},
        {{SG_TLS_REQUIRE, f.key, f.cert, NULL, "tlsv1.1", NULL}, "\"tlsv1.1\" is none of"},
        {{SG_TLS_REQUIRE, f.key, f.cert, NULL, NULL, "nonsense"}, "TLS ciphers nonsense: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_error err = {0};
        cr_assert_null(sg_tls_context_accept(&cases[i].settings, &err));
        cr_assert(strstr(err.message, cases[i].says), "case %zu: %s", i, err.message);
    }
    remove_files(&f);
}
