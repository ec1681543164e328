/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of every benchmark: the clock, the median of rounds, one JSON line for each figure. C and C++.
 *
 * run.py runs all benchmarks and prints a peer's figure beside kvtel's figure of the same name. */
#ifndef KVTEL_BENCH_H
#define KVTEL_BENCH_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_FEWEST_ROUNDS = 11, BENCH_MOST_ROUNDS = 101, BENCH_WARMUP_ROUNDS = 3 };
#define BENCH_ENOUGH_NS 1e9

static inline double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds of the median round, after warm-up rounds that are not counted. A round should take 100 us or more.
 * `before` is called before each round and is not counted; NULL: nothing. */
static inline double bench_median_behind_ns(void (*before)(void *context), void (*run_round)(void *context),
                                            void *context)
{
    double times[BENCH_MOST_ROUNDS], spent = 0;
    size_t rounds = 0;
    for (int i = 0; i < BENCH_WARMUP_ROUNDS; i++) {
        if (before)
            before(context);
        run_round(context);
    }
    while (rounds < BENCH_FEWEST_ROUNDS || (rounds < BENCH_MOST_ROUNDS && spent < BENCH_ENOUGH_NS)) {
        if (before)
            before(context);
        double start = bench_now_ns();
        run_round(context);
        times[rounds] = bench_now_ns() - start;
        spent += times[rounds++];
    }
    qsort(times, rounds, sizeof times[0], bench_compare);
    return times[rounds / 2];
}

static inline double bench_median_ns(void (*run_round)(void *context), void *context)
{
    return bench_median_behind_ns(NULL, run_round, context);
}

/* Reports a figure that is to be so many times better than that of a peer, which the same run measures; NULL: no peer.
 * With a unit that ends in "/s" larger is better, with any other smaller. `bar`: the value to reach; 0: none. */
static inline void bench_report_against(const char *name, double value, const char *unit, double bar, const char *peer,
                                        double times)
{
    printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"", name, value, unit);
    if (bar > 0)
        printf(", \"bar\": %.6g", bar);
    if (peer)
        printf(", \"against\": {\"peer\": \"%s\", \"times\": %.6g}", peer, times);
    printf("}\n");
    fflush(stdout);
}

/* Reports a figure without a bar that a peer sets. */
static inline void bench_report(const char *name, double value, const char *unit, double bar)
{
    bench_report_against(name, value, unit, bar, NULL, 0);
}

/* Reports the figure of a peer for the same work. */
static inline void bench_report_peer(const char *name, const char *peer, double value, const char *unit)
{
    printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"peer\": \"%s\"}\n", name, value, unit, peer);
    fflush(stdout);
}

/* Ends the program with a message if the condition is false. */
static inline void bench_require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "benchmark failed: %s\n", what);
    exit(1);
}

#endif
