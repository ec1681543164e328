/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3, and the process's key. */
#include "base/hash.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static inline void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v);
    v[0] ^= word;
}

/* Reads eight bytes as a little-endian number. */
static inline uint64_t load(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint64_t kvtel_siphash(const struct kvtel_hash_key *key, const void *bytes, size_t size)
{
    uint64_t v[4] = { key->words[0] ^ 0x736f6d6570736575u, key->words[1] ^ 0x646f72616e646f6du,
                      key->words[0] ^ 0x6c7967656e657261u, key->words[1] ^ 0x7465646279746573u };
    const unsigned char *at = bytes;
    for (size_t left = size; left >= 8; left -= 8, at += 8)
        take(v, load(at));
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < size % 8; i++)
        last |= (uint64_t)at[i] << 8 * i;
    take(v, last);
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct kvtel_hash_key process_key;

/* Makes the key. If the kernel has no random numbers yet, the key is made of values that an attacker hardly knows. */
static void make_key(void)
{
    struct timespec now = { 0 }, used = { 0 };
    if (getrandom(&process_key, sizeof(process_key), GRND_NONBLOCK) == (ssize_t)sizeof(process_key))
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const uint64_t known[] = { (uint64_t)now.tv_sec, (uint64_t)now.tv_nsec,     (uint64_t)used.tv_nsec,
                               (uint64_t)getpid(),   (uint64_t)(uintptr_t)&now, (uint64_t)(uintptr_t)&process_key };
    struct kvtel_hash_key key = { { 0, 0 } };
    key.words[0] = kvtel_siphash(&key, known, sizeof(known));
    key.words[1] = kvtel_siphash(&key, known, sizeof(known));
    process_key = key;
}

uint64_t kvtel_hash(uint64_t seed, const void *bytes, size_t size)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;
    (void)pthread_once(&made, make_key);
    const struct kvtel_hash_key key = { { process_key.words[0] ^ seed, process_key.words[1] } };
    return kvtel_siphash(&key, bytes, size);
}
