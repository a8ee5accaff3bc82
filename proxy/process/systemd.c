#include "proxy/process/systemd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FD 3

static bool is_listening_stream(int fd) {
    int type = 0, is_listening = 0, domain = 0;
    socklen_t len = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) == 0 && is_listening &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX);
}

static long number_of(const char *text) {
    char *end;
    long number = text ? strtol(text, &end, 10) : 0;
    return text && *text && *end == '\0' ? number : 0;
}

/* How many were passed to this very process, and not to one that has started it. */
static int passed(void) {
    long pid = number_of(getenv("LISTEN_PID")), fds = number_of(getenv("LISTEN_FDS"));
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return pid == (long)getpid() && fds > 0 && fds < 1024 ? (int)fds : 0;
}

bool sg_systemd_sockets(struct sg_sockets *ret_sockets, struct sg_error *reterr) {
    struct sg_sockets sockets = {.is_complete = true};
    int len = passed();
    bool good = len <= SG_LISTENER_SOCKETS;
    if (!good)
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "%d sockets were passed, at most %d can be served",
                     len, SG_LISTENER_SOCKETS);
    for (int fd = FIRST_FD; fd < FIRST_FD + len && good; fd++) {
        good = is_listening_stream(fd);
        if (!good)
            sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE,
                         "descriptor %d that was passed is not a listening stream socket", fd);
    }
    for (int fd = FIRST_FD; fd < FIRST_FD + len; fd++) {
        if (!good) {
            close(fd);
            continue;
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        sockets.fds[sockets.len++] = fd;
    }
    *ret_sockets = sockets;
    return good;
}

void sg_systemd_notify(const char *fmt, ...) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* in the abstract namespace, where the length is part of the name */
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Nobody to hear it is nobody's fault: the service manager notices by itself. */
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

unsigned long long sg_systemd_now_usec(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
}
