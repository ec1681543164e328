/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of untrusted texts: SipHash-1-3 (Aumasson, Bernstein) under a random key of this process, so that nobody
 * can choose texts that collide. The hashes differ from run to run: use them for indexes in memory, never in a file. */
#ifndef KVTEL_BASE_HASH_H
#define KVTEL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct kvtel_hash_key {
    uint64_t words[2];
};

/* SipHash-1-3 of `size` bytes. */
uint64_t kvtel_siphash(const struct kvtel_hash_key *key, const void *bytes, size_t size);

/* The hash of bytes under the process's key. Equal bytes under different seeds have different hashes. To hash a text
 * in pieces, pass the hash of the pieces before as seed. Any thread. */
uint64_t kvtel_hash(uint64_t seed, const void *bytes, size_t size);

#endif
