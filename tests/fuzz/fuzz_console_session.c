/*
 * Any bytes at all from a client whom the server has let in, to a console session of its own thread.
 *
 * Properties: the session ends when the client has; what it sent is whole messages of known types; every Query and Sync
 * that was understood has its ReadyForQuery, so the answer ends in one, or in an error.
 */
#include "check.h"
#include "proxy/admin/console.h"
#include "proxy/config/config.h"
#include "proxy/log.h"
#include "proxy/net/hub.h"
#include "segue/protocol.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sg_console *console;

static void on_request(void *arg, enum sg_console_request request) {
    (void)arg;
    (void)request;
}

static void set_up(void) {
    struct sg_config_faults faults = {0};
    struct sg_log_config quiet = {.min_level = SG_LOG_ERROR};
    struct sg_error err;
    sg_log_open(&quiet, &err);
    struct sg_console_config config = {
        .control_conninfo = "host=/nonexistent",
        .database = "shop",
        .control_user = "fuzz",
        .on_request = on_request,
        .config = sg_config_parse("fuzz.ini", SG_SPAN_LIT("[databases]\n* = host=127.0.0.1\n"), NULL, 0, &faults),
        .hub = sg_hub_new("shop")};
    console = sg_console_new(&config);
}

static void check_answer(const uint8_t *answer, size_t len) {
    uint8_t last = 0;
    for (size_t at = 0; at < len;) {
        struct sg_frame frame;
        CHECK(sg_frame_header(answer + at, len - at, SG_FRAME_MAX_BYTES, &frame) == SG_READ_OK);
        CHECK(strchr("RSKZTDCEN123tnsI", frame.type));
        at += SG_FRAME_HEADER_BYTES + frame.body_bytes;
        CHECK(at <= len);
        last = frame.type;
    }
    CHECK(last != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int pair[2];
    struct sg_buf answer = {0};
    if (!console)
        set_up();
    /* Half of the bytes come with the hand-over, half over the socket, which must hold them without a reader. */
    size_t early = size / 2, late = size - early;
    if (late > 65536)
        late = 65536;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(late == 0 || send(pair[0], data + early, late, 0) == (ssize_t)late);
    shutdown(pair[0], SHUT_WR);
    sg_console_adopt(console, pair[1], NULL, "fuzz", (struct sg_span){(const char *)data, early});
    for (ssize_t n = 1; n > 0; answer.len += (size_t)n) {
        sg_buf_reserve(&answer, 65536);
        n = recv(pair[0], answer.data + answer.len, 65536, 0);
        CHECK(n >= 0);
    }
    check_answer(answer.data, answer.len);
    sg_buf_free(&answer);
    close(pair[0]);
    return 0;
}
