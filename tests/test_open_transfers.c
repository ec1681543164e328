/* SPDX-License-Identifier: Apache-2.0 */
/* Open transfers: what readers see between a begin and its end, and what the ends record. */
#include "support/open_scene.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "support/fork.h"

static void test_a_transfer_is_seen_until_it_ends(void **state)
{
    struct scene scene;
    struct kvtel_open_list list = { 0 };
    (void)state;
    open_scene(&scene, 70);
    const uint32_t peer = kvtel_store_peer(scene.store, "engine-a/0");
    struct kvtel_transfer_start start = { .bytes = 4096, .began_ns = 77, .peer = peer };
    struct kvtel_transfer_token tokens[70];
    for (int i = 0; i < 70; i++) {
        tokens[i] = kvtel_transfer_begin(scene.operation, &start);
        start.bytes++;
    }
    list_open(&scene, &list);
    assert_int_equal(list.count, 70);
    assert_int_equal(list.all[69].bytes, 4096 + 69);
    assert_int_equal(list.all[69].began_ns, 77);
    assert_string_equal(list.all[69].peer, "engine-a/0");
    assert_int_equal(recorded(&scene), 0);
    for (int i = 0; i < 69; i++)
        assert_true(kvtel_transfer_end(&tokens[i], &(struct kvtel_transfer){ .duration_ns = 5 }));
    list_open(&scene, &list);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.all[0].bytes, 4096 + 69);
    assert_int_equal(recorded(&scene), 69);
    assert_true(kvtel_transfer_end(&tokens[69], NULL));
    assert_int_equal(count_open(&scene), 0);
    assert_int_equal(recorded(&scene), 70);
    assert_int_equal(value_of(&scene, "kvtel_unfinished_transfers", "lost"), 0);
    kvtel_open_list_free(&list);
    close_scene(&scene);
}

static void test_what_an_end_records(void **state)
{
    struct scene scene;
    struct kvtel_reading time, bytes;
    const char *const labels[] = { "m", "3" };
    const uint64_t second = 1000000000;
    (void)state;
    open_scene(&scene, 4);
    const struct {
        struct kvtel_transfer_start start;
        struct kvtel_transfer transfer;
        double seconds, bytes;
    } cases[] = {
        { { .bytes = 10, .began_ns = second }, { .duration_ns = 2 * second, .bytes = 20 }, 2, 20 },
        { { .bytes = 10, .began_ns = second }, { .done_ns = 4 * second }, 3, 10 },
        { { .bytes = 10, .began_ns = second }, { .done_ns = 4 * second, .submitted_ns = 3 * second }, 1, 10 },
        { { .bytes = 10, .began_ns = second }, { .duration_ns = KVTEL_UNMEASURED, .done_ns = 2 * second }, 1, 10 },
        { { .bytes = KVTEL_UNMEASURED, .began_ns = second }, { .duration_ns = second, .bytes = 7 }, 1, 7 },
    };
    double seconds = 0, sum = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kvtel_transfer_token token = kvtel_transfer_begin(scene.operation, &cases[i].start);
        assert_true(kvtel_transfer_end(&token, &cases[i].transfer));
        seconds += cases[i].seconds;
        sum += cases[i].bytes;
    }
    assert_int_equal(kvtel_store_read(scene.store, "vllm:nixl_xfer_time_seconds", labels, 2, &time), KVTEL_OK);
    assert_int_equal(kvtel_store_read(scene.store, "vllm:nixl_bytes_transferred", labels, 2, &bytes), KVTEL_OK);
    assert_true(time.sum > seconds - 1e-9 && time.sum < seconds + 1e-9);
    assert_true(bytes.sum > sum - 0.5 && bytes.sum < sum + 0.5);
    const uint64_t count = bytes.count;
    /* neither begin nor end tell the bytes */
    struct kvtel_transfer_token token = kvtel_transfer_begin(scene.operation, NULL);
    const uint64_t before = kvtel_now_ns() - token.began_ns;
    assert_true(kvtel_transfer_end(&token, NULL));
    assert_int_equal(kvtel_store_read(scene.store, "vllm:nixl_bytes_transferred", labels, 2, &bytes), KVTEL_OK);
    assert_int_equal(bytes.count, count);
    assert_int_equal(kvtel_store_read(scene.store, "vllm:nixl_xfer_time_seconds", labels, 2, &time), KVTEL_OK);
    assert_int_equal(time.count, sizeof cases / sizeof *cases + 1);
    assert_true(time.sum >= seconds + (double)before / 1e9 - 1e-9);
    /* a begin in the future is no measurement */
    token = kvtel_transfer_begin(scene.operation, &(struct kvtel_transfer_start){ .began_ns = 9 * second });
    assert_false(kvtel_transfer_end(&token, &(struct kvtel_transfer){ .done_ns = 8 * second }));
    assert_int_equal(info_of(&scene).values_refused, 1);
    assert_int_equal(count_open(&scene), 0);
    close_scene(&scene);
}

static void test_a_full_table_is_counted(void **state)
{
    struct scene scene;
    struct kvtel_transfer_token tokens[5];
    (void)state;
    open_scene(&scene, 2);
    for (int i = 0; i < 5; i++)
        tokens[i] = begin(&scene, 100);
    assert_int_equal(count_open(&scene), 2);
    assert_int_equal(info_of(&scene).transfers_untracked, 3);
    for (int i = 0; i < 4; i++)
        assert_true(kvtel_transfer_end(&tokens[i], NULL));
    assert_true(kvtel_transfer_fail(&tokens[4], KVTEL_FAILED_TRANSFER));
    assert_int_equal(recorded(&scene), 4);
    assert_int_equal(value_of(&scene, "kvtel_unfinished_transfers", "failed"), 1);
    for (int i = 0; i < 5; i++)
        assert_false(kvtel_transfer_end(&tokens[i], NULL));
    assert_int_equal(info_of(&scene).tokens_refused, 5);
    tokens[0] = begin(&scene, 1); /* the places are free again */
    tokens[1] = begin(&scene, 2);
    assert_int_equal(count_open(&scene), 2);
    assert_int_equal(info_of(&scene).transfers_untracked, 3);
    close_scene(&scene);
}

static void test_tokens_that_are_refused(void **state)
{
    struct scene scene;
    (void)state;
    open_scene(&scene, 4);
    struct kvtel_transfer_token token = begin(&scene, 1), copy = token, none = { 0 }, other = token;
    assert_true(kvtel_transfer_end(&token, NULL));
    assert_false(kvtel_transfer_end(&token, NULL));
    assert_false(kvtel_transfer_fail(&token, KVTEL_FAILED_TRANSFER));
    assert_false(kvtel_transfer_end(&copy, NULL));
    assert_int_equal(info_of(&scene).tokens_refused, 3);
    struct kvtel_transfer_token next = begin(&scene, 2); /* in the same place */
    other.state = token.state;
    assert_int_equal(next.place, other.place);
    assert_false(kvtel_transfer_fail(&other, KVTEL_FAILED_TRANSFER));
    assert_int_equal(info_of(&scene).tokens_refused, 4);
    assert_int_equal(count_open(&scene), 1);
    assert_false(kvtel_transfer_end(&none, NULL));
    assert_false(kvtel_transfer_fail(&none, KVTEL_FAILED_TRANSFER));
    assert_false(kvtel_transfer_end(NULL, NULL));
    struct kvtel_transfer_token wrong[] = { next, next, next };
    wrong[0].place = 5;
    wrong[1].lane = 8;
    wrong[2].lane = 3; /* a lane that does not exist */
    for (int i = 0; i < 3; i++)
        assert_false(kvtel_transfer_end(&wrong[i], NULL));
    assert_int_equal(info_of(&scene).tokens_refused, 7);
    assert_null(kvtel_transfer_begin(NULL, NULL).operation);
    assert_int_equal(recorded(&scene), 1);
    assert_true(kvtel_transfer_end(&next, NULL));
    close_scene(&scene);
}

static void test_a_forked_child_ends_nothing(void **state)
{
    struct scene scene;
    (void)state;
    skip_unless_fork_wipes();
    open_scene(&scene, 4);
    struct kvtel_transfer_token token = begin(&scene, 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool any = kvtel_transfer_end(&token, NULL) || kvtel_transfer_fail(&token, KVTEL_FAILED_TRANSFER);
        struct kvtel_transfer_token own = begin(&scene, 2);
        _exit(any || own.operation || kvtel_store_peer(scene.store, "peer") != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(info_of(&scene).tokens_refused, 2);
    assert_int_equal(info_of(&scene).records_dropped, 1);
    assert_int_equal(count_open(&scene), 1);
    assert_true(kvtel_transfer_end(&token, NULL));
    close_scene(&scene);
}

static void test_failures(void **state)
{
    struct scene scene;
    (void)state;
    open_scene(&scene, 4);
    struct kvtel_transfer_token token = begin(&scene, 1);
    assert_true(kvtel_transfer_fail(&token, KVTEL_FAILED_TRANSFER));
    assert_int_equal(count_open(&scene), 0);
    assert_int_equal(value_of(&scene, "kvtel_unfinished_transfers", "failed"), 1);
    assert_int_equal(value_of(&scene, "vllm:nixl_num_failed_transfers", NULL), 1);
    assert_int_equal(recorded(&scene), 0);
    token = begin(&scene, 1);
    assert_true(kvtel_transfer_fail(&token, (enum kvtel_failure)77)); /* a class that there is not */
    assert_int_equal(value_of(&scene, "kvtel_unfinished_transfers", "failed"), 2);
    close_scene(&scene);
}

static void test_without_a_table(void **state)
{
    struct scene scene;
    (void)state;
    open_scene(&scene, 0);
    struct kvtel_transfer_token token = begin(&scene, 1), failing = begin(&scene, 1);
    assert_int_equal(count_open(&scene), 0);
    assert_true(kvtel_transfer_end(&token, NULL));
    assert_false(kvtel_transfer_end(&token, NULL));
    assert_true(kvtel_transfer_fail(&failing, KVTEL_FAILED_TRANSFER));
    assert_int_equal(recorded(&scene), 1);
    assert_int_equal(info_of(&scene).transfers_untracked, 0);
    assert_int_equal(info_of(&scene).tokens_refused, 1);
    struct kvtel_snapshot *snapshot = read_file(kvtel_store_path(scene.store));
    assert_null(kvtel_snapshot_find(snapshot, "kvtel_unfinished_transfers"));
    kvtel_snapshot_destroy(snapshot);
    close_scene(&scene);
}

static void test_peers(void **state)
{
    struct scene scene;
    struct kvtel_open_list list = { 0 };
    char name[32];
    (void)state;
    open_scene(&scene, 4);
    assert_int_equal(kvtel_store_peer(scene.store, ""), 0);
    assert_int_equal(kvtel_store_peer(scene.store, NULL), 0);
    assert_int_equal(kvtel_store_peer(NULL, "a"), 0);
    /* the cut is between two characters */
    uint32_t cut = kvtel_store_peer(scene.store, "a23456789012345678901234567890123456789012345\xe2\x82\xac: too long");
    assert_int_equal(cut, 1);
    assert_int_equal(kvtel_store_peer(scene.store, "bad\x01\xff"), 2);
    for (uint32_t i = 3; i <= 70; i++) {
        (void)snprintf(name, sizeof name, "peer-%u", (unsigned)i);
        assert_int_equal(kvtel_store_peer(scene.store, name), i <= 64 ? i : 65);
        assert_int_equal(kvtel_store_peer(scene.store, name), i <= 64 ? i : 65);
    }
    const uint32_t peers[] = { 1, 2, 64, 65 };
    const char *const expected[] = { "a23456789012345678901234567890123456789012345", "bad??", "peer-64", "other" };
    for (int i = 0; i < 4; i++)
        (void)kvtel_transfer_begin(scene.operation, &(struct kvtel_transfer_start){ .peer = peers[i] });
    list_open(&scene, &list);
    assert_int_equal(list.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(list.all[i].peer, expected[i]);
    assert_int_equal(list.all[0].bytes, KVTEL_OPEN_NO_BYTES);
    kvtel_open_list_free(&list);
    close_scene(&scene);
}

/* -- Threads -- */

enum { ROUNDS = 1000, RING = 16 };

struct ring {
    struct scene *scene;
    struct kvtel_transfer_token tokens[RING];
    atomic_uint put, taken;
    atomic_bool done;
};

static void *end_all(void *argument)
{
    struct ring *ring = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        while (atomic_load_explicit(&ring->put, memory_order_acquire) == i)
            (void)sched_yield();
        assert_true(kvtel_transfer_end(&ring->tokens[i % RING], &(struct kvtel_transfer){ .duration_ns = 1 }));
        atomic_store_explicit(&ring->taken, i + 1, memory_order_release);
    }
    return NULL;
}

/* Each transfer began at 1000 plus its bytes: a place that was read in part would show something else. */
static void *read_all(void *argument)
{
    struct ring *ring = argument;
    struct kvtel_open_list list = { 0 };
    struct kvtel_store_reader *reader;
    struct kvtel_view view;
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(ring->scene->store), &reader, NULL), KVTEL_OK);
    while (!atomic_load(&ring->done)) {
        assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_OK);
        for (int own = 0; own < 2; own++) {
            assert_int_equal(kvtel_open_read(&view, &list), KVTEL_OK);
            assert_true(list.count <= RING);
            for (size_t i = 0; i < list.count; i++)
                assert_int_equal(list.all[i].began_ns, 1000 + list.all[i].bytes);
            view = kvtel_store_view(ring->scene->store);
        }
    }
    kvtel_open_list_free(&list);
    kvtel_store_reader_close(reader);
    return NULL;
}

static void test_another_thread_ends(void **state)
{
    struct scene scene;
    struct ring ring = { .scene = &scene };
    pthread_t ender, reader;
    (void)state;
    open_scene(&scene, RING);
    assert_int_equal(pthread_create(&ender, NULL, end_all, &ring), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &ring), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        while (i - atomic_load_explicit(&ring.taken, memory_order_acquire) == RING)
            (void)sched_yield();
        ring.tokens[i % RING] = begin(&scene, 1 + i);
        atomic_store_explicit(&ring.put, i + 1, memory_order_release);
    }
    assert_int_equal(pthread_join(ender, NULL), 0);
    atomic_store(&ring.done, true);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(recorded(&scene), ROUNDS);
    assert_int_equal(info_of(&scene).transfers_untracked, 0); /* all places came back in time */
    assert_int_equal(info_of(&scene).tokens_refused, 0);
    assert_int_equal(count_open(&scene), 0);
    close_scene(&scene);
}

struct race {
    const struct kvtel_transfer_token *token;
    pthread_barrier_t *barrier;
    bool won;
};

static void *race(void *argument)
{
    struct race *race = argument;
    struct kvtel_transfer_token copy = *race->token;
    pthread_barrier_wait(race->barrier);
    race->won = kvtel_transfer_end(&copy, NULL);
    return NULL;
}

static void test_one_of_two_ends_wins(void **state)
{
    enum { RACES = 50 };
    struct scene scene;
    pthread_barrier_t barrier;
    (void)state;
    open_scene(&scene, 4);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int i = 0; i < RACES; i++) {
        const struct kvtel_transfer_token token = begin(&scene, 8);
        struct race races[2] = { { &token, &barrier, false }, { &token, &barrier, false } };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, race, &races[0]), 0);
        (void)race(&races[1]);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(races[0].won != races[1].won);
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(recorded(&scene), RACES);
    assert_int_equal(info_of(&scene).tokens_refused, RACES);
    assert_int_equal(info_of(&scene).transfers_untracked, 0);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_transfer_is_seen_until_it_ends),
        cmocka_unit_test(test_what_an_end_records),
        cmocka_unit_test(test_a_full_table_is_counted),
        cmocka_unit_test(test_tokens_that_are_refused),
        cmocka_unit_test(test_a_forked_child_ends_nothing),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_without_a_table),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_another_thread_ends),
        cmocka_unit_test(test_one_of_two_ends_wins),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
