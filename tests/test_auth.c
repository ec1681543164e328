/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication. Starts threads with pthread_create. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <crypt.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "serve/web/auth.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Hashes by libxcrypt's crypt() as Python calls it, salt abcdefghijklmnopqrstuu. */
static const char users[] = "basic_auth_users:\n"
                            "  alice: $2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
                            "  a: $2a$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
                            "  x: $2x$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
                            "  'y': $2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
                            "  first: $2$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
                            "  long: $2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i\n"
                            "  \"\\xE4\": $2b$04$abcdefghijklmnopqrstuukt5gEdxhyYU8q7nPVxOXoWsXfLuYbs6\n"
                            "  slow: $2b$08$abcdefghijklmnopqrstuuDhTyj/ncqnLTTRGGvUpBz0U8HJJSJ8u\n"
                            "  empty: $2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq\n";

#define LONGEST "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const unsigned char here[AUTH_ADDRESS] = { 127, 0, 0, 1 }, elsewhere[AUTH_ADDRESS] = { 192, 0, 2, 1 };

struct fixture {
    struct auth *auth;
    struct web_config *config;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->auth = auth_create();
    assert_non_null(fixture->auth);
    assert_int_equal(web_config_parse(users, sizeof users - 1, &fixture->config, NULL), KVTEL_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    auth_destroy(fixture->auth);
    web_config_destroy(fixture->config);
    free(fixture);
    return 0;
}

/* "user:password" as a header; the caller frees it. */
static char *header(const char *plain, size_t size)
{
    gnutls_datum_t in = { (unsigned char *)plain, (unsigned)size }, out = { 0 };
    assert_int_equal(gnutls_base64_encode2(&in, &out), 0);
    char *text = malloc(out.size + 7);
    assert_non_null(text);
    snprintf(text, out.size + 7, "Basic %.*s", (int)out.size, (char *)out.data);
    gnutls_free(out.data);
    return text;
}

static enum auth_result check_from(struct fixture *fixture, const unsigned char *address, const char *plain,
                                   size_t size)
{
    char *text = header(plain, size);
    enum auth_result result = auth_check(fixture->auth, fixture->config, address, text);
    free(text);
    return result;
}

static enum auth_result check(struct fixture *fixture, const char *plain, size_t size)
{
    return check_from(fixture, here, plain, size);
}

static const struct {
    const char *plain;
    size_t size; /* 0: strlen */
    enum auth_result result;
} credentials[] = {
    { "alice:open sesame", 0, AUTH_GOOD },
    { "a:open sesame", 0, AUTH_GOOD },
    { "x:open sesame", 0, AUTH_GOOD },
    { "y:open sesame", 0, AUTH_GOOD },
    { "first:open sesame", 0, AUTH_GOOD },
    { "\xc3\xa4:p\xc3\xa4ss:w\xc3\xb6rd", 0, AUTH_GOOD },
    { "empty:", 0, AUTH_GOOD },
    { "long:" LONGEST, 0, AUTH_GOOD },
    { "long:" LONGEST "more", 0, AUTH_GOOD }, /* bcrypt ends at 72 bytes */
    { "alice:open sesam", 0, AUTH_BAD },
    { "alice:", 0, AUTH_BAD },
    { "Alice:open sesame", 0, AUTH_BAD },
    { "alice\0:open sesame", 18, AUTH_BAD },
    { "alice:open sesame\0", 18, AUTH_BAD },
    { "alice:open sesame\0x", 19, AUTH_BAD },
    { "empty:\0", 7, AUTH_BAD },
    { "mallory:open sesame", 0, AUTH_BAD },
    { ":", 0, AUTH_BAD },
    { "alice", 0, AUTH_BAD },
};

static void passwords(void **state)
{
    for (int round = 0; round < 2; round++) /* computed, then remembered */
        for (size_t i = 0; i < COUNT(credentials); i++) {
            size_t size = credentials[i].size ? credentials[i].size : strlen(credentials[i].plain);
            if (check(*state, credentials[i].plain, size) != credentials[i].result)
                fail_msg("%s", credentials[i].plain);
        }
}

static void malformed_headers(void **state)
{
    static const char *const headers[] = { NULL,
                                           "",
                                           "Basic",
                                           "Basic ",
                                           "Basic =",
                                           "Basic YWxpY2U",
                                           "Bearer YWxpY2U6b3BlbiBzZXNhbWU=",
                                           "BasicYWxpY2U6b3BlbiBzZXNhbWU=",
                                           "Basic YWxpY2U6b3BlbiBzZXNhbWU",
                                           "Basic \xff\xff\xff\xff" };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT(headers); i++)
        assert_int_equal(auth_check(fixture->auth, fixture->config, here, headers[i]), AUTH_BAD);
    assert_int_equal(auth_check(fixture->auth, fixture->config, here, "bAsIc YWxpY2U6b3BlbiBzZXNhbWU="), AUTH_GOOD);
    struct web_config *open = NULL;
    assert_int_equal(web_config_parse("", 0, &open, NULL), KVTEL_OK);
    assert_int_equal(auth_check(fixture->auth, open, here, NULL), AUTH_GOOD);
    web_config_destroy(open);
}

/* Where bcrypt can be held up, so that a test decides when it goes on. */
static struct {
    atomic_bool closed;
    atomic_int passes, entered, waiting; /* computations allowed and begun; calls that waited in the line */
    atomic_int last_good;                /* place, in the order of all computations, of the last of "open sesame" */
    atomic_long rounds; /* of bcrypt: what all computations took, in a unit that no scheduler changes */
} gate;

char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
int __real_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *mutex, const struct timespec *until);

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    const int place = atomic_fetch_add(&gate.entered, 1);
    if (strcmp(phrase, "open sesame") == 0)
        atomic_store(&gate.last_good, place);
    atomic_fetch_add(&gate.rounds, 1L << atoi(strchr(setting + 1, '$') + 1));
    while (atomic_load(&gate.closed)) {
        int passes = atomic_load(&gate.passes);
        if (passes > 0 && atomic_compare_exchange_weak(&gate.passes, &passes, passes - 1))
            break;
        sched_yield();
    }
    return __real_crypt_r(phrase, setting, data);
}

/* Called with the line's mutex: a caller that is counted has joined the line. No caller gives up because the machine is
 * slow. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *wake, pthread_mutex_t *mutex, const struct timespec *until)
{
    atomic_fetch_add(&gate.waiting, 1);
    const struct timespec late = { .tv_sec = until->tv_sec + 120, .tv_nsec = until->tv_nsec };
    return __real_pthread_cond_timedwait(wake, mutex, &late);
}

static void gate_close(void)
{
    atomic_store(&gate.passes, 0);
    atomic_store(&gate.entered, 0);
    atomic_store(&gate.waiting, 0);
    atomic_store(&gate.closed, true);
}

static void gate_let_one_pass(void)
{
    atomic_fetch_add(&gate.passes, 1);
}

static void gate_open(void)
{
    atomic_store(&gate.closed, false);
}

static void wait_until(const atomic_int *value, int least)
{
    while (atomic_load(value) < least)
        sched_yield();
}

/* A result that is remembered costs no bcrypt, and guesses do not push it out. */
static void remembered(void **state)
{
    char guess[32];
    assert_int_equal(check(*state, "slow:slow", 9), AUTH_GOOD);
    for (int i = 0; i < 150; i++) {
        snprintf(guess, sizeof guess, "alice:guess %d", i);
        assert_int_equal(check(*state, guess, strlen(guess)), AUTH_BAD);
    }
    const int computed = atomic_load(&gate.entered);
    assert_int_equal(check(*state, "slow:slow", 9), AUTH_GOOD);
    assert_int_equal(atomic_load(&gate.entered), computed);
}

/* Another hash for the same user makes the old password bad at once. */
static void changed_hash(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "basic_auth_users: {alice: $2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq}";
    assert_int_equal(check(fixture, "alice:open sesame", 17), AUTH_GOOD);
    web_config_destroy(fixture->config);
    fixture->config = NULL;
    assert_int_equal(web_config_parse(text, sizeof text - 1, &fixture->config, NULL), KVTEL_OK);
    assert_int_equal(check(fixture, "alice:open sesame", 17), AUTH_BAD);
    assert_int_equal(check(fixture, "alice:", 6), AUTH_GOOD);
    assert_int_equal(check(fixture, "a:open sesame", 13), AUTH_BAD);
}

struct waiter {
    struct fixture *fixture;
    enum auth_result result;
};

static void *wait_for_bcrypt(void *argument)
{
    struct waiter *waiter = argument;
    waiter->result = check(waiter->fixture, "slow:slow", 9);
    return NULL;
}

/* While one client's bcrypt runs, a remembered one does not wait. Of several with the same password one computes. */
static void slow_does_not_block_known(void **state)
{
    struct waiter waiters[4];
    pthread_t threads[COUNT(waiters)];
    assert_int_equal(check(*state, "alice:open sesame", 17), AUTH_GOOD);
    gate_close();
    for (size_t i = 0; i < COUNT(waiters); i++) {
        waiters[i].fixture = *state;
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_bcrypt, &waiters[i]), 0);
    }
    wait_until(&gate.entered, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(check(*state, "alice:open sesame", 17), AUTH_GOOD);
    gate_open();
    for (size_t i = 0; i < COUNT(waiters); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(waiters[i].result, AUTH_GOOD);
    }
    assert_int_equal(atomic_load(&gate.entered), 1);
}

/* The work of ten wrong passwords. */
static long cost_of_wrong(struct fixture *fixture, const char *user)
{
    static int number;
    const long before = atomic_load(&gate.rounds);
    for (int i = 0; i < 10; i++) {
        char guess[64];
        snprintf(guess, sizeof guess, "%s:wrong %d", user, number++);
        assert_int_equal(check(fixture, guess, strlen(guess)), AUTH_BAD);
    }
    return atomic_load(&gate.rounds) - before;
}

/* A wrong password takes as much work for a user of cost 4 as for one of cost 8, and for nobody. */
static void every_name_costs_the_same(void **state)
{
    assert_int_equal(cost_of_wrong(*state, "slow"), 10 << 8);
    assert_int_equal(cost_of_wrong(*state, "alice"), 10 << 8);
    assert_int_equal(cost_of_wrong(*state, "mallory"), 10 << 8);
}

/* What each thread of a line does: one check. */
struct guess {
    struct fixture *fixture;
    const char *plain;
    const unsigned char *address;
    pthread_t thread;
    atomic_bool answered;
    enum auth_result result;
};

static void *guess_once(void *argument)
{
    struct guess *guess = argument;
    guess->result = check_from(guess->fixture, guess->address, guess->plain, strlen(guess->plain));
    atomic_store(&guess->answered, true);
    return NULL;
}

static int count_answers(struct guess *guesses, size_t count)
{
    int answers = 0;
    for (size_t i = 0; i < count; i++)
        answers += atomic_load(&guesses[i].answered);
    return answers;
}

/* A good password that is not remembered yet comes through, whatever waits in line, before it and after it: guesses at
 * other names from the same address, and guesses at its own from another. */
static void users_do_not_wait_for_strangers(void **state)
{
    static const struct {
        const char *format;
        const unsigned char *address;
    } rows[] = { { "mallory%d:guess", here }, { "slow:guess %d", elsewhere } };
    static const char *const good[] = { "alice:open sesame", "a:open sesame", "x:open sesame", "y:open sesame",
                                        "first:open sesame" };
    enum { BEFORE = 16, GOOD = COUNT(good), LINE = BEFORE + GOOD + BEFORE };
    for (size_t row = 0; row < COUNT(rows); row++) {
        static struct guess line[LINE];
        static char guesses[LINE][32];
        teardown(state);
        setup(state);
        gate_close();
        for (int i = 0; i < LINE; i++) {
            const bool known = i >= BEFORE && i < BEFORE + GOOD;
            (void)snprintf(guesses[i], sizeof(guesses[i]), rows[row].format, i);
            line[i] = (struct guess){ .fixture = *state,
                                      .plain = known ? good[i - BEFORE] : guesses[i],
                                      .address = known ? rows[row].address : here };
            assert_int_equal(pthread_create(&line[i].thread, NULL, guess_once, &line[i]), 0);
            wait_until(i == 0 ? &gate.entered : &gate.waiting, i == 0 ? 1 : i);
        }
        gate_open();
        for (int i = 0; i < LINE; i++) {
            pthread_join(line[i].thread, NULL);
            const bool known = i >= BEFORE && i < BEFORE + GOOD;
            assert_int_equal(line[i].result, known ? AUTH_GOOD : AUTH_BAD);
        }
        if (atomic_load(&gate.last_good) > 3 * GOOD)
            fail_msg("%s: the last of %d users was checked after %d guesses", rows[row].format, GOOD,
                     atomic_load(&gate.last_good) - GOOD);
    }
}

/* In a full line, too, a wrong password tells nothing of the name: a user's is answered after as many computations as a
 * stranger's in the same place. Here bcrypt runs when the test lets it, so the order is the line's and not that of a
 * scheduler. */
static void a_full_line_tells_no_names(void **state)
{
    /* The caller with the turn, two before the probe, the probe, two after it. The newest goes first, so a stranger's
     * probe is the fourth; after each computation so many callers have an answer. */
    static const struct {
        const char *probe;
        int answers[6];
    } rows[] = {
        { "bob:wrong", { 1, 2, 3, 4, 5, 6 } },
        { "slow:wrong", { 1, 1, 2, 4, 5, 6 } }, /* the second is its own; its answer waits */
    };
    enum { LINE = 6, PROBE = 3 };
    for (size_t row = 0; row < COUNT(rows); row++) {
        struct guess line[LINE] = { 0 };
        const char *plain[LINE] = { "m:0", "m:1", "m:2", rows[row].probe, "m:4", "m:5" };
        teardown(state);
        setup(state);
        gate_close();
        for (int i = 0; i < LINE; i++) {
            line[i].fixture = *state;
            line[i].plain = plain[i];
            line[i].address = here;
            assert_int_equal(pthread_create(&line[i].thread, NULL, guess_once, &line[i]), 0);
            wait_until(i == 0 ? &gate.entered : &gate.waiting, i == 0 ? 1 : i);
        }
        for (int i = 0; i < LINE; i++) {
            gate_let_one_pass();
            wait_until(&gate.entered, i + 2 < LINE ? i + 2 : LINE);
            while (count_answers(line, LINE) < rows[row].answers[i])
                sched_yield();
            if (count_answers(line, LINE) != rows[row].answers[i] || atomic_load(&line[PROBE].answered) != (i >= 3))
                fail_msg("%s: %d answers after %d computations", rows[row].probe, count_answers(line, LINE), i + 1);
        }
        gate_open();
        for (int i = 0; i < LINE; i++)
            pthread_join(line[i].thread, NULL);
    }
}

static void stopped(void **state)
{
    struct fixture *fixture = *state;
    auth_stop(fixture->auth);
    assert_int_equal(check(fixture, "alice:open sesame", 17), AUTH_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_does_not_block_known, setup, teardown),
        cmocka_unit_test_setup_teardown(every_name_costs_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(users_do_not_wait_for_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_line_tells_no_names, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
