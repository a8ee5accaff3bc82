/* Clients counted by user and database, by many threads; options of sockets. */
#include "proxy/net/limits.h"
#include "proxy/net/socket_options.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>

#define NAMES(database, user) ((struct sg_span[2]){sg_span_of(database), sg_span_of(user)})
#define MOST(database, user)  ((int64_t[2]){(database), (user)})

Test(limits, each_limit_says_that_it_is_the_one) {
    struct sg_limits *limits = sg_limits_new();
    struct sg_limit_place a = {0}, b = {0}, c = {0};
    enum sg_limit limit;
    cr_assert(sg_limits_enter(limits, NAMES("shop", "alice"), MOST(2, 1), &a, &limit));
    cr_assert_not(sg_limits_enter(limits, NAMES("other", "alice"), MOST(2, 1), &b, &limit));
    cr_expect_eq(limit, SG_LIMIT_USER);
    cr_expect_eq(sg_limits_now(limits, SG_LIMIT_DATABASE, SG_SPAN_LIT("other")), 0u, "who is refused is not counted");
    cr_assert(sg_limits_enter(limits, NAMES("shop", "bob"), MOST(2, 1), &b, &limit));
    cr_assert_not(sg_limits_enter(limits, NAMES("shop", "carol"), MOST(2, 1), &c, &limit));
    cr_expect_eq(limit, SG_LIMIT_DATABASE);
    cr_expect_null(c.counts[0]);
    sg_limits_leave(limits, &c);
    sg_limits_leave(limits, &a);
    sg_limits_leave(limits, &a);
    cr_expect_eq(sg_limits_now(limits, SG_LIMIT_DATABASE, SG_SPAN_LIT("shop")), 1u);
    cr_assert(sg_limits_enter(limits, NAMES("shop", "alice"), MOST(2, 1), &a, &limit), "the place is free again");
    sg_limits_leave(limits, &a);
    sg_limits_leave(limits, &b);
    sg_limits_free(limits);
}

Test(limits, nothing_is_a_name_too_and_a_user_is_no_database) {
    struct sg_limits *limits = sg_limits_new();
    struct sg_limit_place a = {0}, b = {0};
    enum sg_limit limit;
    cr_assert(sg_limits_enter(limits, NAMES("x", ""), MOST(1, 1), &a, &limit));
    cr_assert(sg_limits_enter(limits, NAMES("", "x"), MOST(1, 1), &b, &limit));
    sg_limits_free(limits); /* with clients still in it */
}

Test(limits, names_count_as_far_as_the_server_looks_at_them) {
    struct sg_limits *limits = sg_limits_new();
    struct sg_limit_place a = {0}, b = {0};
    enum sg_limit limit;
    char name[80];
    memset(name, 'x', sizeof(name));
    struct sg_span names[2] = {SG_SPAN_LIT("d"), {name, 80}};
    cr_assert(sg_limits_enter(limits, names, MOST(0, 1), &a, &limit));
    names[1].len = 63;
    cr_expect_not(sg_limits_enter(limits, names, MOST(0, 1), &b, &limit));
    names[1].len = 62;
    cr_expect(sg_limits_enter(limits, names, MOST(0, 1), &b, &limit));
    sg_limits_leave(limits, &a);
    sg_limits_leave(limits, &b);
    sg_limits_free(limits);
}

#define THREADS        4
#define ROUNDS         20000
#define MOST_AT_A_TIME 2

static _Atomic int inside, most_inside;

static void *come_and_go(void *arg) {
    struct sg_limits *limits = arg;
    long refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct sg_limit_place place = {0};
        enum sg_limit limit;
        if (!sg_limits_enter(limits, NAMES("d", "u"), MOST(MOST_AT_A_TIME, 0), &place, &limit)) {
            refused++;
            continue;
        }
        int now = atomic_fetch_add(&inside, 1) + 1;
        if (now > atomic_load(&most_inside)) {
            atomic_store(&most_inside, now);
        }
        atomic_fetch_sub(&inside, 1);
        sg_limits_leave(limits, &place);
    }
    return (void *)refused;
}

Test(limits, many_threads) {
    struct sg_limits *limits = sg_limits_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, limits), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect_leq(most_inside, MOST_AT_A_TIME);
    cr_expect_geq(most_inside, 1);
    cr_expect_eq(sg_limits_now(limits, SG_LIMIT_USER, SG_SPAN_LIT("u")), 0u);
    sg_limits_free(limits);
}

static int option(const uv_tcp_t *tcp, int level, int name) {
    uv_os_fd_t fd;
    int value = -1;
    socklen_t len = sizeof(value);
    cr_assert_eq(uv_fileno((const uv_handle_t *)tcp, &fd), 0);
    cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

Test(socket_options, are_those_of_the_socket) {
    uv_loop_t loop;
    uv_tcp_t tcp, plain;
    uv_loop_init(&loop);
    uv_tcp_init_ex(&loop, &tcp, AF_INET);
    uv_tcp_init_ex(&loop, &plain, AF_INET);
    const struct sg_socket_options all = {true, 7, 5, 3, 1234, 20000}, none = {.keepalive = false};
    sg_socket_options_set(&all, (uv_handle_t *)&tcp);
    sg_socket_options_set(&none, (uv_handle_t *)&plain);
    cr_expect_eq(option(&tcp, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_expect_eq(option(&tcp, IPPROTO_TCP, TCP_KEEPIDLE), 7);
    cr_expect_eq(option(&tcp, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    cr_expect_eq(option(&tcp, IPPROTO_TCP, TCP_KEEPCNT), 3);
    cr_expect_eq(option(&tcp, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
    cr_expect_eq(option(&tcp, SOL_SOCKET, SO_SNDBUF), 40000);
    cr_expect_eq(option(&tcp, SOL_SOCKET, SO_RCVBUF), 40000);
    cr_expect_eq(option(&tcp, IPPROTO_TCP, TCP_NODELAY), 1);
    cr_expect_eq(option(&plain, SOL_SOCKET, SO_KEEPALIVE), 0);
    cr_expect_eq(option(&plain, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    cr_expect_eq(option(&plain, IPPROTO_TCP, TCP_NODELAY), 1);
    uv_close((uv_handle_t *)&tcp, NULL);
    uv_close((uv_handle_t *)&plain, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
