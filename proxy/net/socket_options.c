#include "socket_options.h"

#include "proxy/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static void set(int fd, int level, int option, int value, const char *key) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    if (setsockopt(fd, level, option, &value, sizeof(value)) != 0) {
        sg_log_limited(&limit, SG_LOG_WARN, "%s = %d: %s", key, value, strerror(errno));
    }
}

static void set_unless_zero(int fd, int level, int option, int value, const char *key) {
    if (value > 0) {
        set(fd, level, option, value, key);
    }
}

void sg_socket_options_set(const struct sg_socket_options *options, const uv_handle_t *handle) {
    uv_os_fd_t fd;
    if (handle->type != UV_TCP || uv_fileno(handle, &fd) != 0) {
        return;
    }
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"); /* we write whole turns of the loop */
    if (options->keepalive) {
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "tcp_keepalive");
        set_unless_zero(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keepidle_s, "tcp_keepidle");
        set_unless_zero(fd, IPPROTO_TCP, TCP_KEEPINTVL, options->keepintvl_s, "tcp_keepintvl");
        set_unless_zero(fd, IPPROTO_TCP, TCP_KEEPCNT, options->keepcnt, "tcp_keepcnt");
    }
    set_unless_zero(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout_ms, "tcp_user_timeout");
    set_unless_zero(fd, SOL_SOCKET, SO_SNDBUF, options->buffer_bytes, "tcp_socket_buffer");
    set_unless_zero(fd, SOL_SOCKET, SO_RCVBUF, options->buffer_bytes, "tcp_socket_buffer");
}
