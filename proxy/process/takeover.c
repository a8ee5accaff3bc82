/* The new process's side of a hand-over. */
#include "proxy/process/handover.h"
#include "proxy/process/handover_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_S 10

static bool fail(struct sg_takeover *takeover, const char *path, const char *why, struct sg_error *reterr) {
    sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "cannot take over from the process at \"%s\": %s", path, why);
    sg_takeover_drop(takeover);
    return false;
}

static bool read_offer(struct sg_takeover *takeover, const char *path, struct sg_error *reterr) {
    char words[SG_HANDOVER_BYTES];
    ssize_t len = sg_handover_receive(takeover->fd, words, &takeover->sockets);
    size_t refused = strlen(SG_HANDOVER_REFUSED);
    if (len <= 0)
        return fail(takeover, path, len < 0 ? strerror(errno) : "it has hung up", reterr);
    if (strncmp(words, SG_HANDOVER_REFUSED, refused) == 0)
        return fail(takeover, path, words + refused, reterr);
    takeover->sockets.is_complete = strcmp(words, SG_HANDOVER_COMPLETE) == 0;
    if (strncmp(words, SG_HANDOVER_SOCKETS, strlen(SG_HANDOVER_SOCKETS)) != 0)
        return fail(takeover, path, "it speaks another language", reterr);
    return true;
}

bool sg_takeover_ask(const char *path, struct sg_takeover *ret_takeover, struct sg_error *reterr) {
    struct sg_takeover takeover = {.fd = -1};
    struct sockaddr_un address;
    struct timeval limit = {.tv_sec = ANSWER_S};
    *ret_takeover = takeover;
    if (!sg_handover_address(path, &address))
        return fail(&takeover, path, strerror(ENAMETOOLONG), reterr);
    takeover.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (takeover.fd < 0)
        return fail(&takeover, path, strerror(errno), reterr);
    setsockopt(takeover.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(takeover.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(takeover.fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        bool is_nobody = errno == ENOENT || errno == ECONNREFUSED;
        if (!is_nobody)
            return fail(&takeover, path, strerror(errno), reterr);
        sg_takeover_drop(&takeover);
        return true;
    }
    if (!sg_handover_is_trusted(takeover.fd, &takeover.from))
        return fail(&takeover, path, "it belongs to another user", reterr);
    if (!sg_handover_send(takeover.fd, SG_HANDOVER_WANT, NULL))
        return fail(&takeover, path, strerror(errno), reterr);
    if (!read_offer(&takeover, path, reterr))
        return false;
    *ret_takeover = takeover;
    return true;
}

bool sg_takeover_finish(struct sg_takeover *takeover, struct sg_error *reterr) {
    char words[SG_HANDOVER_BYTES] = "";
    bool is_done = sg_handover_send(takeover->fd, SG_HANDOVER_TAKE, NULL) &&
                   sg_handover_receive(takeover->fd, words, NULL) > 0 && strcmp(words, SG_HANDOVER_YOURS) == 0;
    if (!is_done)
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "process %d has not answered when its place was taken",
                     (int)takeover->from);
    close(takeover->fd);
    takeover->fd = -1;
    return is_done;
}

void sg_takeover_drop(struct sg_takeover *takeover) {
    sg_sockets_close(&takeover->sockets);
    if (takeover->fd >= 0)
        close(takeover->fd);
    takeover->fd = -1;
}
