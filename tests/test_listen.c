/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets by address, and from systemd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/web/listen.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void addresses(void **state)
{
    static const struct {
        const char *address;
        const char *bound[2]; /* how it begins: with IPv6, and where there is none */
    } good[] = {
        { "127.0.0.1:0", { "127.0.0.1:" } },
        { "localhost:0", { "127.0.0.1:" } },
        { "0.0.0.0:0", { "0.0.0.0:" } },
        { ":0", { "[::]:", "0.0.0.0:" } },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct listen_socket socket;
        struct kvtel_error error = { 0 };
        if (listen_open(&good[i].address, 1, &socket, &error) != KVTEL_OK)
            fail_msg("%s: %s", good[i].address, error.message);
        const char *const *bound = good[i].bound;
        if (strncmp(socket.address, bound[0], strlen(bound[0])) != 0 &&
            !(bound[1] && strncmp(socket.address, bound[1], strlen(bound[1])) == 0))
            fail_msg("%s: %s", good[i].address, socket.address);
        assert_true(fcntl(socket.fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(socket.fd, F_GETFL) & O_NONBLOCK);
        listen_close(&socket, 1);
    }
}

/* Bound to one port, in the order in which they stand. */
static enum kvtel_status open_both(const char *first, const char *second, struct listen_socket sockets[2],
                                   struct kvtel_error *error)
{
    char texts[2][64];
    struct listen_socket probe;
    assert_int_equal(listen_open((const char *[]){ "127.0.0.1:0" }, 1, &probe, NULL), KVTEL_OK);
    const char *port = strrchr(probe.address, ':');
    snprintf(texts[0], sizeof texts[0], "%s%s", first, port);
    snprintf(texts[1], sizeof texts[1], "%s%s", second, port);
    listen_close(&probe, 1);
    return listen_open((const char *[]){ texts[0], texts[1] }, 2, sockets, error);
}

static void several(void **state)
{
    static const struct {
        const char *first, *second, *reason; /* NULL: both are open */
    } rows[] = {
        { "0.0.0.0", "[::]", NULL },
        { "[::]", "0.0.0.0", NULL },
        { "127.0.0.1", "127.0.0.2", NULL },
        { "127.0.0.1", "[::1]", NULL },
        { "", "0.0.0.0", "one has what the other has; leave one out" },
        { "0.0.0.0", "", "one has what the other has" },
        { "0.0.0.0", "127.0.0.1", "one has what the other has" },
        { "[::]", "127.0.0.1", "one has what the other has" },
        { "127.0.0.1", "127.0.0.1", "one has what the other has" },
    };
    (void)state;
    struct listen_socket six;
    if (listen_open((const char *[]){ "[::1]:0" }, 1, &six, NULL) != KVTEL_OK)
        skip(); /* no IPv6 here */
    assert_true(six.loopback);
    listen_close(&six, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct listen_socket sockets[2];
        struct kvtel_error error = { 0 };
        if ((open_both(rows[i].first, rows[i].second, sockets, &error) == KVTEL_OK) != !rows[i].reason ||
            (rows[i].reason && !strstr(error.message, rows[i].reason)))
            fail_msg("%s and %s: %s", rows[i].first, rows[i].second, error.message);
        if (rows[i].reason)
            continue;
        assert_int_equal(sockets[0].loopback, *rows[i].first == '1');
        listen_close(sockets, 2);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *address, *reason;
    } bad[] = {
        { "", "no port" },
        { "9400", "write host:port, or :port" },
        { "host", "no port" },
        { "::1:9400", "in brackets" },
        { "[::1]", "no port" },
        { "[]:9400", "nothing in the brackets" },
        { ":", "the port" },
        { ":http", "the port" },
        { ":65536", "the port" },
        { ":-1", "the port" },
        { ":9400 ", "the port" },
        { "[127.0.0.1]:1", "write an address" },
        { "vsock://:1", "TCP" },
        { "unix:/run/s:1", "TCP" },
        { "[::1:1", "in brackets" },
        { "a]:1", "malformed host" },
        { "192.0.2.1:0", "no interface" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct listen_socket socket;
        struct kvtel_error error = { 0 };
        if (listen_open(&bad[i].address, 1, &socket, &error) == KVTEL_OK || !strstr(error.message, bad[i].reason) ||
            !strstr(error.message, bad[i].address))
            fail_msg("%s: %s", bad[i].address, error.message);
    }
}

static void port_in_use(void **state)
{
    struct listen_socket first, second;
    struct kvtel_error error = { 0 };
    (void)state;
    assert_int_equal(listen_open((const char *[]){ "127.0.0.1:0" }, 1, &first, NULL), KVTEL_OK);
    assert_int_equal(listen_open((const char *[]){ first.address }, 1, &second, &error), KVTEL_E_IO);
    assert_non_null(strstr(error.message, first.address));
    assert_non_null(strstr(error.message, "another program listens there"));
    listen_close(&first, 1);
}

/* In a child, whose descriptor 3 is `fd`, if that is one. Returns what listen_systemd says there. */
static int from_systemd(int fd, const char *count, const char *pid)
{
    pid_t child = fork();
    if (child == 0) {
        char own[16];
        struct listen_socket *sockets = NULL;
        struct kvtel_error error = { 0 };
        size_t taken = 0;
        snprintf(own, sizeof own, "%d", getpid());
        if (fd >= 0 && dup2(fd, 3) != 3)
            _exit(90);
        if (count)
            setenv("LISTEN_FDS", count, 1);
        setenv("LISTEN_PID", pid ? pid : own, 1);
        enum kvtel_status status = listen_systemd(&sockets, &taken, &error);
        bool good = status == KVTEL_OK
                        ? taken == 1 && sockets[0].fd == 3 && strncmp(sockets[0].address, "127.0.0.1:", 10) == 0
                        : error.message[0] != '\0';
        good = good && !getenv("LISTEN_FDS") && !getenv("LISTEN_PID") &&
               (status != KVTEL_OK || fcntl(3, F_GETFD) & FD_CLOEXEC);
        free(sockets);
        _exit(good ? -status : 91);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void systemd(void **state)
{
    struct listen_socket socket;
    (void)state;
    assert_int_equal(listen_open((const char *[]){ "127.0.0.1:0" }, 1, &socket, NULL), KVTEL_OK);
    assert_int_equal(from_systemd(socket.fd, "1", NULL), KVTEL_OK);
    assert_int_equal(from_systemd(socket.fd, "1", "1"), KVTEL_E_IO); /* for another process */
    assert_int_equal(from_systemd(socket.fd, "0", NULL), KVTEL_E_IO);
    assert_int_equal(from_systemd(socket.fd, "1x", NULL), KVTEL_E_IO);
    assert_int_equal(from_systemd(socket.fd, NULL, NULL), KVTEL_E_IO);
    listen_close(&socket, 1);

    int pair[2];
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(from_systemd(pair[0], "1", NULL), KVTEL_E_IO); /* no socket at all */
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),   cmocka_unit_test(several), cmocka_unit_test(refused),
        cmocka_unit_test(port_in_use), cmocka_unit_test(systemd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
