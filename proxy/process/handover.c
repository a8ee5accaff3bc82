#include "proxy/process/handover.h"

#include "proxy/log.h"
#include "proxy/process/handover_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4

struct sg_handover {
    struct sg_handover_events events;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    uv_poll_t door; /* readable: a new process has come */
    int door_fd;
    uv_poll_t guest; /* the one that is talked to; guest_fd -1: none */
    int guest_fd;
    pid_t guest_pid;
    bool is_offered, is_taken, is_closing;
    unsigned handles; /* that have yet to close */
};

static void on_door(uv_poll_t *poll, int status, int events);

static void release(struct sg_handover *handover) {
    if (--handover->handles == 0)
        free(handover);
}

static void on_door_closed(uv_handle_t *handle) {
    release(handle->data);
}

/* Only now may the handle be made anew, for the next guest. */
static void on_guest_closed(uv_handle_t *handle) {
    struct sg_handover *handover = handle->data;
    handover->guest_fd = -1;
    if (!handover->is_closing)
        uv_poll_start(&handover->door, UV_READABLE, on_door);
    release(handover);
}

static void dismiss(struct sg_handover *handover) {
    if (handover->guest_fd >= 0 && !uv_is_closing((uv_handle_t *)&handover->guest)) {
        uv_close((uv_handle_t *)&handover->guest, on_guest_closed);
        close(handover->guest_fd);
    }
}

/* ---- The conversation ---- */

static bool offer(struct sg_handover *handover) {
    struct sg_sockets sockets;
    struct sg_error err = {0};
    char refusal[SG_HANDOVER_BYTES];
    if (handover->events.offer(handover->events.arg, &sockets, &err)) {
        sg_log(SG_LOG_INFO, "process %d is about to take over", (int)handover->guest_pid);
        handover->is_offered = true;
        return sg_handover_send(handover->guest_fd, sockets.is_complete ? SG_HANDOVER_COMPLETE : SG_HANDOVER_SOCKETS,
                                &sockets);
    }
    snprintf(refusal, sizeof(refusal), "%s%.400s", SG_HANDOVER_REFUSED, err.message);
    sg_handover_send(handover->guest_fd, refusal, NULL);
    return false;
}

/* False: the conversation is over. */
static bool converse(struct sg_handover *handover) {
    char words[SG_HANDOVER_BYTES];
    ssize_t len = sg_handover_receive(handover->guest_fd, words, NULL);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    if (strcmp(words, SG_HANDOVER_WANT) == 0 && !handover->is_offered)
        return offer(handover);
    if (strcmp(words, SG_HANDOVER_TAKE) == 0 && handover->is_offered) {
        handover->is_taken = true;
        handover->events.taken(handover->events.arg,
                               handover->guest_pid); /* closes the door, and leaves us the guest */
        sg_handover_send(handover->guest_fd, SG_HANDOVER_YOURS, NULL);
        return false;
    }
    if (handover->is_offered)
        sg_log(SG_LOG_WARN, "process %d has not taken over after all: nothing has changed", (int)handover->guest_pid);
    return false;
}

static void on_guest(uv_poll_t *poll, int status, int events) {
    struct sg_handover *handover = poll->data;
    if (status < 0 || !converse(handover))
        dismiss(handover);
}

static void on_door(uv_poll_t *poll, int status, int events) {
    struct sg_handover *handover = poll->data;
    int fd = accept4(handover->door_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (!sg_handover_is_trusted(fd, &handover->guest_pid)) {
        sg_log(SG_LOG_WARN, "another user's process %d has asked for the sockets", (int)handover->guest_pid);
        close(fd);
        return;
    }
    handover->guest_fd = fd;
    handover->is_offered = false;
    uv_poll_init(poll->loop, &handover->guest, fd);
    handover->guest.data = handover;
    handover->handles++;
    uv_poll_stop(&handover->door); /* inv. 2 */
    uv_poll_start(&handover->guest, UV_READABLE, on_guest);
}

/* ---- The door ---- */

/* A socket file nobody waits at is what a killed process left behind. */
static void remove_stale(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static int open_door(const struct sockaddr_un *address) {
    remove_stale(address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode before the name, so that there is no moment in which others might come in. */
    if (fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

struct sg_handover *sg_handover_open(uv_loop_t *loop, const char *path, const struct sg_handover_events *events,
                                     struct sg_error *reterr) {
    struct sockaddr_un address;
    int fd = -1;
    if (!sg_handover_address(path, &address))
        errno = ENAMETOOLONG;
    else
        fd = open_door(&address);
    if (fd < 0) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "cannot wait at handover_socket \"%s\": %s", path,
                     strerror(errno));
        return NULL;
    }
    struct sg_handover *handover = calloc(1, sizeof(*handover));
    if (!handover)
        abort();
    handover->events = *events;
    memcpy(handover->path, address.sun_path, sizeof(handover->path));
    handover->door_fd = fd;
    handover->guest_fd = -1;
    handover->handles = 1;
    uv_poll_init(loop, &handover->door, fd);
    handover->door.data = handover;
    uv_poll_start(&handover->door, UV_READABLE, on_door);
    return handover;
}

void sg_handover_close(struct sg_handover *handover) {
    if (!handover)
        return;
    handover->is_closing = true;
    unlink(handover->path);
    uv_close((uv_handle_t *)&handover->door, on_door_closed);
    close(handover->door_fd);
    if (!handover->is_taken) /* otherwise it still gets its answer */
        dismiss(handover);
}
