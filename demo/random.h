/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-random numbers that are the same in each run. */
#ifndef KVTEL_DEMO_RANDOM_H
#define KVTEL_DEMO_RANDOM_H

#include <stdint.h>

/* splitmix64's finalizer. It is one to one: different keys stay different. */
static inline uint64_t demo_mix(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return key ^ (key >> 31);
}

/* The next number of the sequence; `state` is the place in it. */
static inline uint64_t demo_random(uint64_t *state)
{
    return demo_mix(*state += 0x9e3779b97f4a7c15u);
}

/* A number in [0, 1). */
static inline double demo_random_unit(uint64_t *state)
{
    return (double)(demo_random(state) >> 11) * 0x1p-53;
}

#endif
