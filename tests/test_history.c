/* SPDX-License-Identifier: Apache-2.0 */
/* The history of the last hour: points, how they age, and how much memory they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <math.h>
#include <stdlib.h>

#include "support/history_told.h"

static void what_grew_is_in_a_point(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, 2);
    grow(&told, 0, 8, 1000); /* before the history began: not of it */
    fail_some(&told, 0, 7);
    take(history, &told, 0);
    assert_int_equal(history_point_count(history), 0);
    grow(&told, 0, 16, 90);
    grow(&told, 0, 40, 10);
    fail_some(&told, 0, 2);
    take(history, &told, 5);
    take(history, &told, 10);
    show(history, 10);
    assert_true(number(member(&shown, "format")) == 1 && number(member(&shown, "duration_seconds")) == HOUR);
    assert_true(number(item(member(&shown, "end"), 0)) == START + 5);
    assert_true(number(item(member(&shown, "seconds"), 1)) == 5);
    const struct kvtel_value *flow = flow_of(0), *time = member(flow, "time");
    assert_true(number(item(member(flow, "transfers"), 0)) == 100 && number(item(member(flow, "transfers"), 1)) == 0);
    assert_true(number(item(member(flow, "bytes"), 0)) == 100 * 1024);
    assert_true(fabs(number(item(member(time, "p50"), 0)) / bounds[16] - 1) < 0.05);
    assert_true(fabs(number(item(member(time, "p99"), 0)) / bounds[40] - 1) < 0.05);
    assert_int_equal(item(member(time, "p50"), 1)->kind, KVTEL_VALUE_NIL);
    assert_true(number(member(member(flow, "at_end"), "transfers")) == 1100);
    const struct kvtel_value *entry = item(member(&shown, "connectors"), 0);
    assert_true(sum(member(member(entry, "failures"), "transfer")) == 2);
    assert_true(number(member(member(entry, "failures_at_end"), "transfer")) == 9);
    const struct kvtel_value *band = item(member(flow, "bands"), 0);
    assert_true(number(member(member(band, "time"), "count")) == 100);
    assert_int_equal(member(member(band, "size"), "bins")->size, 2);
    assert_true(sum(member(flow_of(1), "transfers")) == 0);
    close_all(history);
}

/* A writer's store that went away, an engine that comes, and one that goes. */
static void what_cannot_be_known_is_null(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, 2);
    told.summary.count = told.summary.all = 1;
    grow(&told, 0, 3, 50);
    take(history, &told, 0);
    told.summary.count = told.summary.all = 2;
    grow(&told, 1, 3, 20); /* it came since: all of it grew */
    take(history, &told, 5);
    told.flows[0].transfers = 10;
    take(history, &told, 10);
    told.summary.all = 300; /* more than are told: what comes may have been there */
    told.names[1][0] = '7';
    fail_some(&told, 0, 4); /* what was told before too grew all the same */
    fail_some(&told, 1, 5);
    take(history, &told, 15);
    show(history, 15);
    for (size_t i = 0; i < 3; i++)
        assert_true(sum(member(member(item(member(&shown, "connectors"), i), "failures"), "transfer")) == (i ? 0 : 4));
    const struct kvtel_value *first = member(flow_of(0), "transfers"), *second = member(flow_of(1), "transfers");
    assert_true(number(item(first, 0)) == 0 && number(item(first, 2)) == 0);
    assert_int_equal(item(first, 1)->kind, KVTEL_VALUE_NIL);
    assert_true(number(item(second, 0)) == 20);
    assert_int_equal(item(second, 2)->kind, KVTEL_VALUE_NIL);
    assert_int_equal(member(flow_of(1), "at_end")->kind, KVTEL_VALUE_NIL);
    assert_int_equal(item(member(flow_of(2), "transfers"), 2)->kind, KVTEL_VALUE_NIL);
    close_all(history);
}

/* How many times of a flow are in its bands. */
static double binned(const struct kvtel_value *flow)
{
    double all = 0;
    for (size_t i = 0; i < member(flow, "bands")->size; i++)
        all += number(member(member(item(member(flow, "bands"), i), "time"), "count"));
    return all;
}

static void points_are_merged_as_they_get_older(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    double seconds = 0;
    (void)state;
    tell(&told, 1);
    take(history, &told, seconds);
    for (int i = 1; i <= 1440; i++) { /* two hours */
        grow(&told, 0, (uint32_t)i % BOUNDS, 10);
        fail_some(&told, 0, 1);
        take(history, &told, seconds = STEP * i);
    }
    show(history, seconds);
    const struct kvtel_value *spans = member(&shown, "seconds"), *flow = flow_of(0);
    assert_in_range(spans->size, 140, 160);
    assert_true(number(item(spans, 0)) == 60 && number(item(spans, spans->size - 1)) == 5);
    double covered = sum(spans);
    assert_true(covered > HOUR - 60 && covered <= HOUR + 60);
    assert_true(sum(member(flow, "transfers")) == covered * 2); /* nothing is lost, nothing counts twice */
    assert_true(sum(member(member(item(member(&shown, "connectors"), 0), "failures"), "transfer")) == covered / 5);
    assert_true(binned(flow) == covered * 2);
    /* an exporter that slept: what is too old is gone */
    take(history, &told, seconds + 2 * HOUR);
    assert_int_equal(history_point_count(history), 1);
    /* and one whose clock was set back does not show the future */
    take(history, &told, 100);
    show(history, 100);
    assert_true(number(item(member(&shown, "end"), history_point_count(history) - 1)) == START + 100);
    close_all(history);
}

/* The most that 256 busy engines take of the heap, as its allocator counts it. */
static void memory_of_256_engines(void **state)
{
    static struct told told;
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct history *history = history_create(HOUR);
    size_t most = 0;
    (void)state;
    tell(&told, ENGINES);
    double seconds = 0;
    for (int i = 0; i < 260; i++) { /* an hour and more: what is old by now need not have been made of short points */
        seconds += i < 60 ? 60 : STEP;
        for (size_t engine = 0; engine < ENGINES; engine++)
            for (uint32_t bin = 0; bin < BOUNDS; bin++)
                grow(&told, engine, bin, 100 + (uint64_t)i % 7 * 1000);
        take(history, &told, seconds);
        const size_t now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        most = now > most ? now : most;
    }
    print_message("256 engines: %.1f MB at most, %zu points\n", (double)most / 1e6, history_point_count(history));
    assert_true(history_memory(history) <= HISTORY_MEMORY);
    assert_true(most < 16000000);
    show(history, seconds); /* older points are longer instead: the whole hour is there */
    assert_true(sum(member(&shown, "seconds")) > HOUR - 300);
    assert_true(number(item(member(&shown, "seconds"), 0)) <= 300);
    close_all(history);
}

/* More histograms than there is room for: what came is counted, but not sorted into bins, until others are gone. */
static void histograms_have_a_share(void **state)
{
    enum { EACH = HISTORY_FLOWS, WIDE = 750, SOME = 80 };
    static struct told told;
    static struct kvtel_flow_summary flows[EACH];
    static struct kvtel_flow_bins bins[EACH];
    static char names[EACH][16];
    static double wide[WIDE];
    static uint64_t counts[WIDE + 1];
    struct kvtel_snapshot_family all = { .bound_count = WIDE, .bounds = wide };
    struct history *history = history_create(HOUR);
    double seconds = 0;
    (void)state;
    tell(&told, SOME);
    for (int i = 0; i < WIDE; i++)
        wide[i] = exp2((double)(i - 250) / 8);
    for (size_t i = 0; i < SOME; i++) {
        told.entries[i].summary.flows = flows;
        told.entries[i].summary.flow_count = EACH;
        told.entries[i].bins = bins;
    }
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < WIDE; i++)
            counts[i]++;
        for (int i = 0; i < EACH; i++) {
            const struct kvtel_interval_bins made = {
                .family = &all, .bins = counts, .bin_count = WIDE + 1, .count = counts[0] * WIDE
            };
            (void)snprintf(names[i], sizeof names[i], "%d", i);
            flows[i] = (struct kvtel_flow_summary){ .name = names[i], .has_transfers = true, .transfers = made.count };
            bins[i] = (struct kvtel_flow_bins){ .time = made, .post = made, .size = made };
        }
        if (round == 20) { /* the others went away */
            seconds = 2 * HOUR;
            told.summary = (struct kvtel_snapshot_summary){ .entries = &told.entries[SOME - 2], .count = 2, .all = 2 };
        }
        take(history, &told, seconds += STEP);
        assert_true(history_memory(history) <= HISTORY_MEMORY);
    }
    show(history, seconds);
    assert_int_equal(member(&shown, "connectors")->size, 2);
    assert_true(sum(member(flow_of(1), "transfers")) == 20 * WIDE && binned(flow_of(1)) == 19 * WIDE);
    close_all(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_grew_is_in_a_point),
        cmocka_unit_test(what_cannot_be_known_is_null),
        cmocka_unit_test(points_are_merged_as_they_get_older),
        cmocka_unit_test(memory_of_256_engines),
        cmocka_unit_test(histograms_have_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
