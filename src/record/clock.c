/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks for callers that record. */
#include <kvtel/recorder.h>
#include <time.h>

__attribute__((hot)) uint64_t kvtel_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t kvtel_ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return kvtel_now_ns();
#endif
}

void kvtel_ticks_calibrate(struct kvtel_ticks *ticks, uint64_t duration_ns)
{
    uint64_t wait_ns = duration_ns ? duration_ns : 10000000;
    uint64_t ns = kvtel_now_ns(), count = kvtel_ticks_now();
    struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000u), .tv_nsec = (long)(wait_ns % 1000000000u) };
    while (nanosleep(&wait, &wait) != 0)
        continue;
    count = kvtel_ticks_now() - count;
    ns = kvtel_now_ns() - ns;
    ticks->ns_per_tick = count > 0 ? (double)ns / (double)count : 1;
}
