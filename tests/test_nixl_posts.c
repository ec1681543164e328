/* SPDX-License-Identifier: Apache-2.0 */
/* The table of posts of NIXL's plug-in, where two threads want one record at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <time.h>

/* The files under test and their table of handles, with what is static in reach. */
#include "../nixl_plugin/handles.c"
#include "../nixl_plugin/posts.c"
#include "../nixl_plugin/post_events.c"

/* What the file calls: endings are noted by outcome. */
struct plugin_records plugin_records;
static _Atomic uint64_t endings[KVTEL_NIXL_OUTCOMES];

bool plugin_off;

uint32_t plugin_agent_index(const struct plugin_agent *agent)
{
    (void)agent;
    return 3;
}

bool plugin_agent_has_events(uint32_t index)
{
    return index == 3;
}

void plugin_count(uint32_t series)
{
    (void)series;
}

void plugin_note_source(enum plugin_source source)
{
    (void)source;
}

bool plugin_record_open(const struct plugin_call *call, struct kvtel_transfer_token *token)
{
    (void)call;
    (void)token;
    return false;
}

void plugin_record_ending(const struct plugin_ending *ending, struct kvtel_transfer_token *token)
{
    (void)token;
    endings[ending->outcome]++;
}

static int set_up(void **state)
{
    (void)state;
    plugin_posts_clear();
    for (int i = 0; i < KVTEL_NIXL_OUTCOMES; i++)
        endings[i] = 0;
    plugin_records.source = PLUGIN_FROM_EVENTS;
    plugin_post_freed = NULL;
    return 0;
}

static void post(uint64_t handle, uint64_t began_ns)
{
    const struct plugin_call call = { .handle = handle, .began_ns = began_ns, .bytes = 64 };
    plugin_posts_add(&call, began_ns + 10);
}

static struct record *newest(void)
{
    return record_of(plugin_post_tail);
}

/* A thread that ends the handle's post while this one has its record, and gives it back. */
struct other {
    pthread_t thread;
    void (*what)(struct other *other);
    atomic_bool runs;
    bool found;
};

static void *run(void *argument)
{
    struct other *other = argument;
    atomic_store(&other->runs, true);
    other->what(other);
    return NULL;
}

static bool ends_beside(uint32_t from, void (*what)(struct other *other))
{
    struct other other = { .what = what };
    struct record *record = newest();
    assert_true(take(record, from));
    assert_int_equal(pthread_create(&other.thread, NULL, run, &other), 0);
    while (!atomic_load(&other.runs))
        (void)sched_yield();
    put(record, from);
    assert_int_equal(pthread_join(other.thread, NULL), 0);
    return other.found;
}

static void complete(struct other *other)
{
    other->found = plugin_posts_complete(0xa0, 2000);
}

static void test_a_completion_is_not_lost_to_a_thread_that_looks_at_its_post(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        post(0xa0, 1000);
        assert_true(ends_beside(OPEN, complete));
    }
    assert_int_equal(endings[KVTEL_NIXL_COMPLETED], 20);
}

static void abandon(struct other *other)
{
    (void)other;
    plugin_posts_abandon(NULL);
}

static void test_an_agents_end_leaves_no_post_open(void **state)
{
    (void)state;
    post(0xa0, 1000);
    (void)ends_beside(OPEN, abandon);
    assert_int_equal(endings[KVTEL_NIXL_ABANDONED], 1);
    assert_int_equal(newest()->state, FREE);
}

static void test_what_a_thread_keeps_makes_nobody_wait_for_ever(void **state)
{
    (void)state;
    post(0xa0, 1000);
    assert_true(take(newest(), OPEN));
    assert_false(plugin_posts_complete(0xa0, 2000));
    put(newest(), OPEN);
    assert_true(plugin_posts_complete(0xa0, 2000));
}

static void test_a_post_that_began_after_the_clock_was_read_is_not_old(void **state)
{
    struct plugin_agent agent = { 0 };
    const uint64_t now = 5 * patience_ns;
    (void)state;
    plugin_records.source = PLUGIN_FROM_EVENTS;
    post(0xa0, now + 1);
    post(0xa0, now + 100);
    (void)plugin_posts_expire(&agent, now);
    assert_int_equal(endings[KVTEL_NIXL_UNKNOWN], 0);
    (void)plugin_posts_expire(&agent, now + 1 + patience_ns);
    assert_int_equal(endings[KVTEL_NIXL_UNKNOWN], 1);
}

/* The record that the handle's post has. */
static struct record *of(uint64_t handle)
{
    uint64_t word;
    assert_non_null(handle_find(handle, &word));
    assert_true(word != 0);
    return record_at(word);
}

static void test_a_record_is_used_again_where_no_event_will_tell_of_the_post(void **state)
{
    (void)state;
    plugin_records.source = PLUGIN_FROM_APPLICATION;
    post(0xa0, 1000);
    struct record *record = of(0xa0);
    const uint64_t number = record->number;
    assert_true(plugin_posts_complete(0xa0, 2000));
    for (uint64_t again = 1; again <= 3; again++) {
        post(0xa0 + again * 0x1000, 3000);
        assert_ptr_equal(of(0xa0 + again * 0x1000), record);
        assert_true(record->number > number + again - 1);
        assert_ptr_equal(record_of(record->number), record);
        assert_true(plugin_posts_complete(0xa0 + again * 0x1000, 4000));
    }
    assert_int_equal(plugin_post_tail, 1);
    assert_int_equal(endings[KVTEL_NIXL_COMPLETED], 4);
}

static void test_a_handle_that_is_posted_again_and_again_keeps_two_posts(void **state)
{
    (void)state;
    plugin_records.source = PLUGIN_FROM_NOBODY;
    for (uint64_t i = 0; i < 10; i++)
        post(0xa0, 1000 + i);
    assert_int_equal(endings[KVTEL_NIXL_UNKNOWN], 8);
    assert_int_equal(plugin_post_parked, 0);
    assert_true(plugin_post_tail <= 3);
    plugin_posts_abandon(NULL);
    assert_int_equal(endings[KVTEL_NIXL_ABANDONED], 1);
    assert_int_equal(endings[KVTEL_NIXL_UNKNOWN], 9);
}

static void test_a_freed_record_that_another_thread_uses_is_left_to_it(void **state)
{
    (void)state;
    plugin_records.source = PLUGIN_FROM_APPLICATION;
    post(0xa0, 1000);
    struct record *record = of(0xa0);
    assert_true(plugin_posts_complete(0xa0, 2000));
    assert_true(take(record, FREE));
    post(0xb0, 3000);
    assert_ptr_not_equal(of(0xb0), record);
    assert_true(plugin_posts_complete(0xb0, 4000));
    put(record, FREE);
}

static void test_events_find_posts_although_their_records_were_used_before(void **state)
{
    struct plugin_agent agent = { .budget = BUDGET };
    (void)state;
    plugin_records.source = PLUGIN_FROM_APPLICATION;
    post(0xa0, 1000);
    assert_true(plugin_posts_complete(0xa0, 2000));
    plugin_records.source = PLUGIN_FROM_EVENTS;
    post(0xb0, 3000);
    assert_true(plugin_posts_done_in_post(&agent, PLUGIN_TX, 64));
    assert_int_equal(endings[KVTEL_NIXL_IN_POST], 1);
}

/* All records are taken: a handle posted again keeps its earlier post, and its thread does not wait for itself. */
static void test_a_handle_whose_next_post_finds_no_record(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= PLUGIN_POSTS; i++)
        post(i << 12, 1000);
    struct record *const before = of(1 << 12);
    const time_t began = time(NULL);
    for (int again = 0; again < 20; again++)
        post(1 << 12, 2000);
    assert_true(time(NULL) - began < 60); /* it waited 4 seconds for each */
    assert_ptr_equal(of(1 << 12), before);
    assert_int_equal(atomic_load(&before->state), OPEN);
    assert_true(plugin_posts_complete(1 << 12, 3000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_completion_is_not_lost_to_a_thread_that_looks_at_its_post, set_up),
        cmocka_unit_test_setup(test_an_agents_end_leaves_no_post_open, set_up),
        cmocka_unit_test_setup(test_what_a_thread_keeps_makes_nobody_wait_for_ever, set_up),
        cmocka_unit_test_setup(test_a_post_that_began_after_the_clock_was_read_is_not_old, set_up),
        cmocka_unit_test_setup(test_a_record_is_used_again_where_no_event_will_tell_of_the_post, set_up),
        cmocka_unit_test_setup(test_a_handle_that_is_posted_again_and_again_keeps_two_posts, set_up),
        cmocka_unit_test_setup(test_a_freed_record_that_another_thread_uses_is_left_to_it, set_up),
        cmocka_unit_test_setup(test_events_find_posts_although_their_records_were_used_before, set_up),
        cmocka_unit_test_setup(test_a_handle_whose_next_post_finds_no_record, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
