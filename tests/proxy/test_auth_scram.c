/* SCRAM-SHA-256 by the vectors of RFC 7677, and messages that no honest end would send. */
#include "proxy/auth/base64.h"
#include "proxy/auth/scram.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NONCE_C   "rOprNGfwEbeRWgbNEkqO"
#define NONCE_S   "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT      "W22ZaJ0SNY7soEsUEjb6gQ=="
#define BARE      "n=user,r=" NONCE_C
#define CHALLENGE "r=" NONCE_C NONCE_S ",s=" SALT ",i=4096"
#define FINAL     "c=biws,r=" NONCE_C NONCE_S
#define PROOF     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct sg_scram_keys keys_of(const char *password) {
    uint8_t salt[16];
    size_t len;
    struct sg_scram_keys keys;
    cr_assert(sg_base64_decode(sg_span_of(SALT), salt, sizeof(salt), &len));
    cr_assert(sg_scram_derive(password, salt, len, 4096, &keys));
    return keys;
}

static struct sg_scram_server server_of(const char *password) {
    struct sg_scram_keys keys = keys_of(password);
    struct sg_scram_server server = {.verifier = {.iterations = 4096, .salt = SALT}};
    memcpy(server.verifier.stored, keys.stored, sizeof(keys.stored));
    memcpy(server.verifier.server, keys.server, sizeof(keys.server));
    return server;
}

static void assert_text(struct sg_buf *buf, const char *text) {
    cr_assert_eq(buf->len, strlen(text), "%.*s", (int)buf->len, (char *)buf->data);
    cr_assert_eq(memcmp(buf->data, text, buf->len), 0, "%.*s", (int)buf->len, (char *)buf->data);
    sg_buf_free(buf);
}

Test(scram, checks_a_client_as_in_rfc_7677) {
    struct sg_scram_server server = server_of("pencil");
    struct sg_buf out = {0};
    struct sg_error err = {0};
    cr_assert(sg_scram_server_first(&server, SG_SPAN_LIT("n,," BARE), NONCE_S, &out, &err), "%s", err.detail);
    assert_text(&out, CHALLENGE);
    cr_assert_eq(sg_scram_server_final(&server, SG_SPAN_LIT(FINAL ",p=" PROOF), &out, &err), SG_SCRAM_PASSED);
    assert_text(&out, SIGNATURE);
    struct sg_scram_keys keys = keys_of("pencil");
    cr_assert_eq(memcmp(&server.keys, &keys, sizeof(keys)), 0); /* ClientKey was recovered */
    sg_scram_server_wipe(&server);
}

Test(scram, knows_a_wrong_password_and_a_secret_made_up) {
    for (int i = 0; i < 2; i++) {
        struct sg_scram_server server = server_of(i == 0 ? "pen" : "pencil");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        server.is_doomed = i == 1;
        cr_assert(sg_scram_server_first(&server, SG_SPAN_LIT("n,," BARE), NONCE_S, &out, &err));
        out.len = 0;
        cr_assert_eq(sg_scram_server_final(&server, SG_SPAN_LIT(FINAL ",p=" PROOF), &out, &err), SG_SCRAM_WRONG);
        cr_assert_eq(out.len, 0);
        static const uint8_t nothing[SG_SCRAM_KEY_BYTES];
        cr_assert_eq(memcmp(server.keys.client, nothing, sizeof(nothing)), 0);
        sg_buf_free(&out);
        sg_scram_server_wipe(&server);
    }
}

static struct sg_scram_client client_after_first(void) {
    struct sg_scram_client client = {0};
    struct sg_buf out = {0};
    sg_scram_client_first(&client, NONCE_C, &out);
    assert_text(&out, "n,,n=,r=" NONCE_C);
    client.transcript.len = 0; /* the RFC's client names its user */
    sg_buf_put(&client.transcript, BARE, strlen(BARE));
    return client;
}

Test(scram, proves_as_in_rfc_7677) {
    struct sg_scram_client client = client_after_first();
    struct sg_scram_keys keys = keys_of("pencil");
    struct sg_buf out = {0};
    struct sg_error err = {0};
    cr_assert(sg_scram_client_challenge(&client, SG_SPAN_LIT(CHALLENGE), &err), "%s", err.detail);
    cr_assert_eq(client.iterations, 4096);
    cr_assert(sg_scram_client_final(&client, &keys, &out));
    assert_text(&out, FINAL ",p=" PROOF);
    cr_assert(sg_scram_client_check(&client, SG_SPAN_LIT(SIGNATURE), &err), "%s", err.message);
    sg_scram_client_wipe(&client);
}

/* Both ends of ours, bound to a channel; the binding of another channel fails. */
Test(scram, binds_to_the_channel) {
    for (int is_other = 0; is_other < 2; is_other++) {
        struct sg_scram_server server = server_of("pencil");
        struct sg_scram_client client = {.is_bound = true, .binding = {.bytes = {1, 2, 3}, .len = 32}};
        struct sg_scram_keys keys = keys_of("pencil");
        struct sg_buf said = {0}, answer = {0};
        struct sg_error err = {0};
        server.binding = client.binding;
        server.binding.bytes[5] = (uint8_t)is_other;
        server.is_bound = true;
        sg_scram_client_first(&client, NONCE_C, &said);
        struct sg_span first = {(char *)said.data, said.len};
        cr_assert(sg_scram_server_first(&server, first, NONCE_S, &answer, &err), "%s", err.detail);
        struct sg_span challenge = {(char *)answer.data, answer.len};
        cr_assert(sg_scram_client_challenge(&client, challenge, &err));
        said.len = answer.len = 0;
        cr_assert(sg_scram_client_final(&client, &keys, &said));
        struct sg_span final = {(char *)said.data, said.len};
        enum sg_scram_verdict verdict = sg_scram_server_final(&server, final, &answer, &err);
        cr_assert_eq(verdict, is_other ? SG_SCRAM_MALFORMED : SG_SCRAM_PASSED);
        cr_assert_str_eq(err.message, is_other ? "SCRAM channel binding check failed" : "");
        if (!is_other) {
            cr_assert(sg_scram_client_check(&client, (struct sg_span){(char *)answer.data, answer.len}, &err));
        }
        sg_buf_free(&said);
        sg_buf_free(&answer);
        sg_scram_server_wipe(&server);
        sg_scram_client_wipe(&client);
    }
}

Test(scram, refuses_first_messages_that_are_none) {
    static const struct {
        const char *message;
        bool is_bound, has_binding;
        const char *sqlstate, *says;
    } cases[] = {
        {"", 0, 0, "08P01", "empty"},
        {"n", 0, 0, "08P01", "Comma"},
        {"n,", 0, 0, "08P01", "Unexpected attribute"},
        {"x,,n=,r=abc", 0, 0, "08P01", "Unexpected channel-binding flag"},
        {"n,a=postgres,n=,r=abc", 0, 0, "0A000", ""},
        {"n,,m=1,n=,r=abc", 0, 0, "0A000", ""},
        {"n,,r=abc", 0, 0, "08P01", "Expected attributes n and r"},
        {"n,,n=,r=", 0, 0, "08P01", ""},
        {"n,,n=,r=a b", 0, 0, "08P01", ""},
        {"n,,n=,r=a\xc3\xa4", 0, 0, "08P01", ""},
        {"n,,n=,r=abc,m=1", 0, 0, "08P01", "extension"},
        {"n,,n=,r=abc,1=1", 0, 0, "08P01", "extension"},
        {"n,,n=,r=abc,x", 0, 0, "08P01", "extension"},
        {"y,,n=,r=abc", 0, 1, "28000", "does support channel binding"},
        {"n,,n=,r=abc", 1, 1, "08P01", "does not include channel binding data"},
        {"y,,n=,r=abc", 1, 1, "08P01", "does not include channel binding data"},
        {"p=tls-server-end-point,,n=,r=abc", 0, 1, "08P01", "without channel binding"},
        {"p=tls-unique,,n=,r=abc", 1, 1, "08P01", ""},
        {"p=tls-server-end-pointless,,n=,r=abc", 1, 1, "08P01", "Comma"},
        {"p", 1, 1, "08P01", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_scram_server server = server_of("pencil");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        server.is_bound = cases[i].is_bound;
        server.binding.len = cases[i].has_binding ? 32 : 0;
        cr_assert_not(sg_scram_server_first(&server, sg_span_of(cases[i].message), NONCE_S, &out, &err), "case %zu", i);
        cr_assert_str_eq(err.sqlstate, cases[i].sqlstate, "case %zu", i);
        cr_assert(strstr(err.detail, cases[i].says), "case %zu: %s", i, err.detail);
        cr_assert_eq(out.len, 0);
        sg_scram_server_wipe(&server);
    }
}

Test(scram, accepts_first_messages_with_optional_extensions_and_no_tls) {
    static const char *const messages[] = {"n,,n=,r=abc,x=1,y=2", "y,,n=somebody,r=abc", "n,,n=,r=a~!"};
    for (size_t i = 0; i < 3; i++) {
        struct sg_scram_server server = server_of("pencil");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        cr_assert(sg_scram_server_first(&server, sg_span_of(messages[i]), NONCE_S, &out, &err), "%s", err.detail);
        sg_buf_free(&out);
        sg_scram_server_wipe(&server);
    }
}

Test(scram, refuses_final_messages_that_are_none) {
    static const struct {
        const char *message, *sqlstate;
    } cases[] = {
        {"", "08P01"},
        {"c=biws", "08P01"},
        {"r=" NONCE_C NONCE_S ",p=" PROOF, "08P01"},
        {"c=eSws,r=" NONCE_C NONCE_S ",p=" PROOF, "28000"}, /* y,, where n,, was said: a downgrade */
        {"c=,r=" NONCE_C NONCE_S ",p=" PROOF, "28000"},
        {"c=biws,r=" NONCE_C ",p=" PROOF, "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S "x,p=" PROOF, "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S, "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=", "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=AAAA", "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=" PROOF "AAAA", "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=" PROOF ",", "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=" PROOF ",x=1", "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",m=1,p=" PROOF, "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",x,p=" PROOF, "08P01"},
        {"c=biws,r=" NONCE_C NONCE_S ",p=dHzbZapWIk4jUhN Ute9ytag9zjfMHgsqmmiz7AndVQ=", "08P01"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_scram_server server = server_of("pencil");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        cr_assert(sg_scram_server_first(&server, SG_SPAN_LIT("n,," BARE), NONCE_S, &out, &err));
        out.len = 0;
        cr_assert_eq(sg_scram_server_final(&server, sg_span_of(cases[i].message), &out, &err), SG_SCRAM_MALFORMED,
                     "case %zu", i);
        cr_assert_str_eq(err.sqlstate, cases[i].sqlstate, "case %zu: %s %s", i, err.message, err.detail);
        sg_buf_free(&out);
        sg_scram_server_wipe(&server);
    }
}

Test(scram, refuses_long_messages_and_nul_bytes) {
    static char text[SG_SCRAM_MESSAGE_BYTES + 2];
    struct sg_scram_server server = server_of("pencil");
    struct sg_buf out = {0};
    struct sg_error err = {0};
    memset(text, 'a', sizeof(text));
    memcpy(text, "n,,n=,r=", 8);
    cr_assert_not(
        sg_scram_server_first(&server, (struct sg_span){text, SG_SCRAM_MESSAGE_BYTES + 1}, NONCE_S, &out, &err));
    text[20] = '\0';
    cr_assert_not(sg_scram_server_first(&server, (struct sg_span){text, 100}, NONCE_S, &out, &err));
    sg_scram_server_wipe(&server);
}

/* CVE-2026-6665 of another proxy: the server's nonce was longer than the room for it. */
Test(scram, sec_a_malicious_server_is_refused) {
    static char long_nonce[4000];
    snprintf(long_nonce, sizeof(long_nonce), "r=%s%03000d,s=%s,i=4096", NONCE_C, 0, SALT);
    const char *const challenges[] = {
        long_nonce,
        "",
        "r=" NONCE_C,
        "r=" NONCE_C ",s=" SALT ",i=4096",        /* nothing of its own */
        "r=another" NONCE_S ",s=" SALT ",i=4096", /* not our nonce */
        "r=" NONCE_C "a b,s=" SALT ",i=4096",     /* not printable */
        "r=" NONCE_C NONCE_S ",s=,i=4096",        /* no salt */
        "r=" NONCE_C NONCE_S ",s=!!!!,i=4096",    /* no base64 */
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=0",   /* absurd, one way */
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=-1",
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=",
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=2147483647", /* and the other */
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=99999999999999999999",
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=4294971392", /* 4096, in 32 bits */
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=4096,",
        "r=" NONCE_C NONCE_S ",s=" SALT ",i=4096,x=1",
        "m=1,r=" NONCE_C NONCE_S ",s=" SALT ",i=4096",
    };
    for (size_t i = 0; i < sizeof(challenges) / sizeof(*challenges); i++) {
        struct sg_scram_client client = client_after_first();
        struct sg_error err = {0};
        cr_assert_not(sg_scram_client_challenge(&client, sg_span_of(challenges[i]), &err), "case %zu", i);
        cr_assert_str_eq(err.sqlstate, "08P01");
        sg_scram_client_wipe(&client);
    }
    struct sg_scram_client client = client_after_first();
    struct sg_error err = {0};
    static char salt[1000];
    memset(salt, 'A', sizeof(salt) - 1);
    char challenge[1200];
    snprintf(challenge, sizeof(challenge), "r=%s,s=%.900s,i=4096", NONCE_C NONCE_S, salt);
    cr_assert_not(sg_scram_client_challenge(&client, sg_span_of(challenge), &err)); /* a salt without end */
    sg_scram_client_wipe(&client);
}

Test(scram, sec_a_server_that_does_not_know_the_secret_is_refused) {
    static const char *const finals[] = {"",
                                         "v=",
                                         "v=AAAA",
                                         "e=other-error",
                                         SIGNATURE ",",
                                         SIGNATURE ",x=1",
                                         "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
    for (size_t i = 0; i < sizeof(finals) / sizeof(*finals); i++) {
        struct sg_scram_client client = client_after_first();
        struct sg_scram_keys keys = keys_of("pencil");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        cr_assert(sg_scram_client_challenge(&client, SG_SPAN_LIT(CHALLENGE), &err));
        cr_assert(sg_scram_client_final(&client, &keys, &out));
        cr_assert_not(sg_scram_client_check(&client, sg_span_of(finals[i]), &err), "case %zu", i);
        sg_buf_free(&out);
        sg_scram_client_wipe(&client);
    }
}

Test(scram, base64_is_strict) {
    static const char *const bad[] = {"A", "AB", "ABC", "AB=C", "A===", "====", "AB C", "AB\nC", "AB-_", "AAAA="};
    uint8_t bytes[64], back[64];
    size_t len;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cr_assert_not(sg_base64_decode(sg_span_of(bad[i]), bytes, sizeof(bytes), &len), "%s", bad[i]);
    }
    for (size_t n = 0; n < 40; n++) {
        char text[SG_BASE64_SIZE(40)];
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (uint8_t)(i * 37 + n);
        }
        sg_base64_encode(bytes, n, text);
        cr_assert(sg_base64_decode(sg_span_of(text), back, n, &len));
        cr_assert(len == n && memcmp(bytes, back, n) == 0);
        cr_assert(n == 0 || !sg_base64_decode(sg_span_of(text), back, n - 1, &len));
    }
}

/* A verifier of PostgreSQL 15's for the password "pencil" of user alice, and MD5's for the same. */
Test(scram, reads_secrets_of_every_kind) {
    struct sg_secret secret;
    struct sg_scram_keys keys = keys_of("pencil");
    char text[200], stored[SG_BASE64_SIZE(32)], server[SG_BASE64_SIZE(32)];
    sg_base64_encode(keys.stored, 32, stored);
    sg_base64_encode(keys.server, 32, server);
    snprintf(text, sizeof(text), "SCRAM-SHA-256$4096:%s$%s:%s", SALT, stored, server);
    sg_secret_read(sg_span_of(text), &secret);
    cr_assert_eq(secret.kind, SG_SECRET_SCRAM);
    cr_assert(memcmp(secret.scram.stored, keys.stored, 32) == 0 && memcmp(secret.scram.server, keys.server, 32) == 0);
    sg_secret_wipe(&secret);
    snprintf(text, sizeof(text), "SCRAM-SHA-256$9999999:%s$%s:%s", SALT, stored, server);
    cr_assert_not(sg_secret_read(sg_span_of(text), &secret)); /* damaged: nobody gets in with it, nor as it */
    cr_assert_eq(secret.kind, SG_SECRET_NONE);
    sg_secret_read(SG_SPAN_LIT("md5d41d8cd98f00b204e9800998ecf8427e"), &secret);
    cr_assert_eq(secret.kind, SG_SECRET_MD5);
    sg_secret_read(SG_SPAN_LIT("md5d41d8cd98f00b204e9800998ecf8427"), &secret);
    cr_assert_eq(secret.kind, SG_SECRET_PLAIN);
    sg_secret_wipe(&secret);
    sg_secret_read(SG_SPAN_LIT(""), &secret);
    cr_assert_eq(secret.kind, SG_SECRET_NONE);
}

/* RFC 4013, 3: the soft hyphen is mapped to nothing, a Roman numeral and a feminine ordinal to letters. */
Test(scram, prepares_passwords_as_postgresql_does) {
    static const char *const same[][2] = {{"I\xc2\xadX", "IX"}, {"\xe2\x85\xa8", "IX"}, {"\xc2\xaa", "a"}};
    for (size_t i = 0; i < 3; i++) {
        struct sg_scram_keys a = keys_of(same[i][0]), b = keys_of(same[i][1]);
        cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0, "case %zu", i);
    }
    struct sg_scram_keys latin1 = keys_of("\xe4"), other = keys_of("\xc3\xa4");
    cr_assert_neq(memcmp(&latin1, &other, sizeof(other)), 0); /* not UTF-8: as it is */
}

Test(scram, md5_is_postgresqls) {
    char secret[SG_MD5_TEXT], answer[SG_MD5_TEXT];
    static const uint8_t salt[4] = {1, 2, 3, 4};
    cr_assert(sg_md5_secret("", "", secret));
    cr_assert_str_eq(secret, "md5d41d8cd98f00b204e9800998ecf8427e");
    cr_assert(sg_md5_response(secret, salt, answer));
    cr_assert_neq(strcmp(answer, secret), 0);
    cr_assert_eq(strlen(answer), SG_MD5_TEXT - 1);
}
