/*
 * systemd — what a service manager and a service say to each other: sockets it has opened (sd_listen_fds(3)) and how
 * the service is doing (sd_notify(3)). Two environment variables and a datagram; without them everything here does
 * nothing.
 *
 * Main thread.
 */
#ifndef SEGUE_SYSTEMD_H
#define SEGUE_SYSTEMD_H

#include "proxy/net/listener.h"

/* Sockets passed to this process (LISTEN_PID, LISTEN_FDS), and takes the variables out of the environment. False: one
 * of them is not a listening stream socket, or they are too many; then all are closed. None is no error: len 0. */
bool sg_systemd_sockets(struct sg_sockets *ret_sockets, struct sg_error *reterr);

/* Assignments, one a line: "READY=1\nSTATUS=...". */
void sg_systemd_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC, as RELOADING=1 wants it. */
unsigned long long sg_systemd_now_usec(void);

#endif
