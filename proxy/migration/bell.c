#include "proxy/migration/bell.h"

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void sg_bell_init(struct sg_bell *bell) {
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->fd < 0) {
        abort();
    }
}

void sg_bell_free(struct sg_bell *bell) {
    close(bell->fd);
}

void sg_bell_ring(struct sg_bell *bell) {
    uint64_t one = 1;
    ssize_t written = write(bell->fd, &one, sizeof(one));
    (void)written; /* EAGAIN: it has been ringing all along */
}

void sg_bell_wait(struct sg_bell *bell, int other_fd, int timeout_ms) {
    struct pollfd fds[] = {{.fd = bell->fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}};
    uint64_t rings;
    if (poll(fds, 2, timeout_ms) > 0 && (fds[0].revents & POLLIN)) {
        ssize_t got = read(bell->fd, &rings, sizeof(rings));
        (void)got;
    }
}
