#include "proxy/process/handover_wire.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BYTES_OF_FDS CMSG_SPACE(SG_LISTENER_SOCKETS * sizeof(int))

bool sg_handover_address(const char *path, struct sockaddr_un *ret_address) {
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s", path);
    return len >= 0 && (size_t)len < sizeof(ret_address->sun_path);
}

bool sg_handover_send(int fd, const char *words, const struct sg_sockets *sockets) {
    _Alignas(struct cmsghdr) char control[BYTES_OF_FDS] = {0};
    struct iovec iov = {.iov_base = (char *)words, .iov_len = strlen(words)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (sockets && sockets->len > 0) {
        size_t bytes = (size_t)sockets->len * sizeof(int);
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(head), sockets->fds, bytes);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

/* What the kernel has put into this process must be kept or closed. */
static void take_fds(struct msghdr *message, struct sg_sockets *sockets) {
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t len = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < len; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            if (sockets && sockets->len < SG_LISTENER_SOCKETS)
                sockets->fds[sockets->len++] = fd;
            else
                close(fd);
        }
    }
}

ssize_t sg_handover_receive(int fd, char words[SG_HANDOVER_BYTES], struct sg_sockets *sockets) {
    _Alignas(struct cmsghdr) char control[BYTES_OF_FDS] = {0};
    struct iovec iov = {.iov_base = words, .iov_len = SG_HANDOVER_BYTES - 1};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    words[len > 0 ? len : 0] = '\0';
    if (len >= 0)
        take_fds(&message, sockets);
    return len;
}

bool sg_handover_is_trusted(int fd, pid_t *ret_pid) {
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    *ret_pid = peer.pid;
    return peer.uid == geteuid() || peer.uid == 0;
}
