/*
 * A runner for Criterion's tests without Criterion's library: for the thread sanitizer, under which the library cannot
 * start, since it wants memory at addresses that the sanitizer keeps for itself.
 *
 * It walks the linker sections in which Criterion's macros leave tests and suites, and runs each test in a child of its
 * own, as Criterion does. Of Criterion's features it knows those the tests here use: fixtures of tests and suites,
 * asserts that abort and expects that go on. An alarm stands in for time limits.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SECONDS 600

extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

struct criterion_options criterion_options;

static struct {
    const struct criterion_test *test;
    const struct criterion_suite *suite; /* may be NULL */
    jmp_buf abort;
    bool failed;
} current;

/* ---- What the macros call ---- */

void criterion_internal_test_setup(void) {
    if (current.suite && current.suite->data && current.suite->data->init) {
        current.suite->data->init();
    }
    if (current.test->data->init) {
        current.test->data->init();
    }
}

void criterion_internal_test_main(void (*test)(void)) {
    if (setjmp(current.abort) == 0) {
        test();
    }
}

void criterion_internal_test_teardown(void) {
    if (current.test->data->fini) {
        current.test->data->fini();
    }
    if (current.suite && current.suite->data && current.suite->data->fini) {
        current.suite->data->fini();
    }
}

void criterion_abort_test(void) {
    current.failed = true;
    longjmp(current.abort, 1);
}

void criterion_continue_test(void) {
    current.failed = true;
}

void criterion_send_assert(struct criterion_assert_stats *stats) {
    fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
}

void cri_asserts_passed_incr(void) {
}

int cr_asprintf(char **ret_text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return length;
}

void cr_asprintf_free(char *text) {
    free(text);
}

/* The message's arguments are the expression or expressions; the first says enough beside file and line. */
char *cr_translate_assert_msg(int message, ...) {
    va_list arguments;
    va_start(arguments, message);
    const char *expression = message == CRITERION_ASSERT_MSG_FAIL ? NULL : va_arg(arguments, const char *);
    va_end(arguments);
    char *text = NULL;
    if (asprintf(&text, "assertion failed: %s", expression ? expression : "") < 0) {
        abort();
    }
    return text;
}

/* ---- The runner ---- */

static const struct criterion_suite *suite_of(const struct criterion_test *test) {
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++) {
        if (*suite && strcmp((*suite)->name, test->category) == 0) {
            return *suite;
        }
    }
    return NULL;
}

static bool passes(const struct criterion_test *test) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(TEST_SECONDS);
        current.test = test;
        current.suite = suite_of(test);
        test->test();
        /* Not _exit: the sanitizer speaks at exit. */
        exit(current.failed);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void) {
    int tested = 0;
    int failed = 0;
    for (struct criterion_test **test = __start_cr_tst; test < __stop_cr_tst; test++) {
        if (!*test || (*test)->data->disabled) {
            continue;
        }
        tested++;
        if (!passes(*test)) {
            failed++;
            fprintf(stderr, "FAIL %s::%s\n", (*test)->category, (*test)->name);
        }
    }
    fprintf(stderr, "%d passed, %d failed\n", tested - failed, failed);
    return failed > 0 || tested == 0;
}
