/* Start-up packets: every prefix, every limit, every layout the server refuses. */
#include "guard.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct guard page;

static enum sg_read read_packet(const struct sg_buf *packet, size_t len, struct sg_startup *startup) {
    return sg_startup_read(guard_place(&page, packet->data, len), len, startup);
}

static struct sg_buf packet_of(uint32_t code, const void *rest, size_t len) {
    struct sg_buf buf = {0};
    sg_msg_begin(&buf, 0);
    sg_buf_put_u32(&buf, code);
    sg_buf_put(&buf, rest, len);
    sg_msg_end(&buf);
    return buf;
}

/* The answer for the whole packet. */
static enum sg_read read_code(uint32_t code, const void *rest, size_t len) {
    struct sg_startup startup;
    struct sg_buf packet = packet_of(code, rest, len);
    enum sg_read read = read_packet(&packet, packet.len, &startup);
    sg_buf_free(&packet);
    return read;
}

#define V3(text)    read_code(3u << 16, text, sizeof(text) - 1)
#define CODE_CANCEL 80877102u
#define CODE_SSL    80877103u
#define CODE_GSSENC 80877104u

Test(startup, session_with_parameters) {
    static const char params[] = "user\0ann\0database\0shop\0user\0bob\0empty\0\0";
    struct sg_buf packet = packet_of(3u << 16 | 2, params, sizeof params); /* the literal's own NUL ends the packet */
    struct sg_startup startup = {.kind = SG_STARTUP_CANCEL, .bytes = 12345};
    for (size_t len = 0; len < packet.len; len++) {
        cr_assert(read_packet(&packet, len, &startup) == SG_READ_MORE, "prefix of %zu bytes", len);
    }
    cr_assert(startup.kind == SG_STARTUP_CANCEL && startup.bytes == 12345);
    cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK);
    cr_assert(startup.kind == SG_STARTUP_SESSION && startup.major == 3 && startup.minor == 2);
    cr_assert(startup.bytes == packet.len && startup.params.len == sizeof params - 1);

    cr_assert(sg_span_eq_cstr(sg_startup_param(&startup, "user"), "bob"), "the last one counts, as for the server");
    cr_assert(sg_span_eq_cstr(sg_startup_param(&startup, "database"), "shop"));
    cr_assert(sg_startup_param(&startup, "data").ptr == NULL);
    cr_assert(sg_startup_param(&startup, "empty").ptr != NULL && sg_startup_param(&startup, "empty").len == 0);

    const char *const expected[] = {"user", "ann", "database", "shop", "user", "bob", "empty", ""};
    struct sg_span name, value;
    size_t cursor = 0, n = 0;
    while (sg_startup_param_next(&startup, &cursor, &name, &value)) {
        cr_assert(sg_span_eq_cstr(name, expected[2 * n]) && sg_span_eq_cstr(value, expected[2 * n + 1]));
        cr_assert(name.ptr[name.len] == 0 && value.ptr[value.len] == 0);
        n++;
    }
    cr_assert(n == 4 && cursor == startup.params.len);
    sg_buf_free(&packet);
}

Test(startup, names_as_the_server_takes_them) {
    struct sg_startup startup;
    char params[512];
    int len = snprintf(params, sizeof params, "user%c%0100d%cdatabase%c%063d%c%c", 0, 1, 0, 0, 2, 0, 0);
    struct sg_buf packet = packet_of(3u << 16, params, (size_t)len);
    cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK);
    cr_assert(sg_startup_user(&startup).len == 63 && sg_startup_user(&startup).ptr[62] == '0', "cut to a name");
    cr_assert(sg_startup_database(&startup).len == 63 && sg_startup_database(&startup).ptr[62] == '2');
    sg_buf_free(&packet);
    static const char no_database[] = "user\0ann\0database\0\0";
    packet = packet_of(3u << 16, no_database, sizeof no_database);
    cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK);
    cr_assert(sg_span_eq_cstr(sg_startup_database(&startup), "ann"), "the user's name where none is given");
    sg_buf_free(&packet);
}

Test(startup, session_without_parameters_is_legal_here) {
    struct sg_startup startup;
    struct sg_buf packet = packet_of(3u << 16, "", 1);
    cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK);
    struct sg_span name, value;
    size_t cursor = 0;
    cr_assert(startup.params.len == 0 && !sg_startup_param_next(&startup, &cursor, &name, &value));
    cr_assert(sg_startup_param(&startup, "user").ptr == NULL);
    sg_buf_free(&packet);
}

Test(startup, layouts_the_server_refuses) {
    cr_expect(V3("") == SG_READ_BAD, "no terminator at all");
    cr_expect(V3("user\0ann\0") == SG_READ_BAD, "pairs without the terminator");
    cr_expect(V3("user\0ann") == SG_READ_BAD, "value not ended");
    cr_expect(V3("user\0") == SG_READ_BAD, "no value");
    cr_expect(V3("user") == SG_READ_BAD, "name not ended");
    cr_expect(V3("user\0ann\0\0x") == SG_READ_BAD, "bytes behind the terminator");
    cr_expect(V3("user\0ann\0\0\0") == SG_READ_BAD, "a second terminator");
    cr_expect(V3("\0user\0ann\0") == SG_READ_BAD, "empty name first");
    cr_expect(V3("user\0ann\0\0") == SG_READ_OK);
}

Test(startup, length_limits) {
    struct {
        uint32_t length;
        enum sg_read read;
    } const cases[] = {
        {0, SG_READ_BAD},          {4, SG_READ_BAD},          {7, SG_READ_BAD},
        {8, SG_READ_MORE},         {10000, SG_READ_MORE},     {10001, SG_READ_BAD},
        {0x7fffffff, SG_READ_BAD}, {0x80000008, SG_READ_BAD}, {UINT32_MAX, SG_READ_BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sg_buf buf = {0};
        struct sg_startup startup;
        sg_buf_put_u32(&buf, cases[i].length);
        cr_expect(read_packet(&buf, 4, &startup) == cases[i].read, "length %u", cases[i].length);
        sg_buf_free(&buf);
    }
    char params[SG_STARTUP_MAX_BYTES - 8] = "options";
    memset(params + 8, 'x', sizeof params - 10);
    cr_assert(read_code(3u << 16, params, sizeof params) == SG_READ_OK, "exactly the limit");
}

Test(startup, garbage_is_known_by_its_first_bytes) {
    struct sg_startup startup;
    struct guard guard = {0};
    cr_assert(sg_startup_read(guard_place(&guard, "G", 1), 1, &startup) == SG_READ_BAD);
    cr_assert(sg_startup_read(guard_place(&guard, "\x16\x03", 2), 2, &startup) == SG_READ_BAD, "a TLS ClientHello");
    cr_assert(sg_startup_read(guard_place(&guard, "\0\0\x28", 3), 3, &startup) == SG_READ_BAD);
    cr_assert(sg_startup_read(guard_place(&guard, "\0\0\x27", 3), 3, &startup) == SG_READ_MORE);
    cr_assert(sg_startup_read(guard_place(&guard, "", 0), 0, &startup) == SG_READ_MORE);
    guard_free(&guard);
}

Test(startup, encryption_requests_are_eight_bytes) {
    struct sg_startup startup;
    struct {
        uint32_t code;
        enum sg_startup_kind kind;
    } const cases[] = {{CODE_SSL, SG_STARTUP_SSL}, {CODE_GSSENC, SG_STARTUP_GSSENC}};
    for (size_t i = 0; i < 2; i++) {
        struct sg_buf packet = packet_of(cases[i].code, NULL, 0);
        cr_assert(read_packet(&packet, 7, &startup) == SG_READ_MORE);
        cr_assert(read_packet(&packet, 8, &startup) == SG_READ_OK);
        cr_assert(startup.kind == cases[i].kind && startup.bytes == 8);
        sg_buf_put(&packet, "early data", 10); /* is the caller's to notice: bytes says where the packet ends */
        cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK && startup.bytes == 8);
        sg_buf_free(&packet);
        cr_assert(read_code(cases[i].code, "x", 1) == SG_READ_BAD);
    }
}

Test(startup, cancel_keys_of_every_length) {
    char key[257 + 4];
    memset(key, 'k', sizeof key);
    memcpy(key, "\x12\x34\x56\x78", 4);
    for (size_t bytes = 0; bytes <= 257; bytes++) {
        struct sg_startup startup;
        struct sg_buf packet = packet_of(CODE_CANCEL, key, 4 + bytes);
        bool legal = bytes >= 4 && bytes <= SG_CANCEL_KEY_MAX_BYTES;
        cr_assert(read_packet(&packet, packet.len, &startup) == (legal ? SG_READ_OK : SG_READ_BAD), "%zu", bytes);
        if (legal) {
            cr_assert(startup.kind == SG_STARTUP_CANCEL && startup.cancel_pid == 0x12345678);
            cr_assert(startup.cancel_key.len == bytes && memcmp(startup.cancel_key.ptr, key + 4, bytes) == 0);
        }
        sg_buf_free(&packet);
    }
    cr_assert(read_code(CODE_CANCEL, NULL, 0) == SG_READ_BAD, "not even a pid");
    cr_assert(read_code(CODE_CANCEL, "abc", 3) == SG_READ_BAD);
}

Test(startup, unknown_request_codes) {
    cr_expect(read_code(1234u << 16 | 5677, NULL, 0) == SG_READ_BAD);
    cr_expect(read_code(1234u << 16 | 5681, NULL, 0) == SG_READ_BAD);
    cr_expect(read_code(1234u << 16, NULL, 0) == SG_READ_BAD);
}

Test(startup, other_majors_are_reported_and_not_read) {
    static const uint32_t codes[] = {0, 1u << 16, 2u << 16, 4u << 16 | 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct sg_startup startup;
        struct sg_buf packet = packet_of(codes[i], "no pairs", 8);
        cr_assert(read_packet(&packet, packet.len, &startup) == SG_READ_OK);
        cr_assert(startup.kind == SG_STARTUP_SESSION && startup.major == codes[i] >> 16);
        cr_assert(startup.minor == (codes[i] & 0xffff) && startup.params.len == 0);
        cr_assert(sg_startup_param(&startup, "user").ptr == NULL);
        sg_buf_free(&packet);
    }
}
