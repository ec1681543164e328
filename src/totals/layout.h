/* SPDX-License-Identifier: Apache-2.0 */
/* Where each byte of a file of totals is. docs/decisions/retired-totals.md says it in words. */
#ifndef KVTEL_TOTALS_LAYOUT_H
#define KVTEL_TOTALS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define TOTALS_MAGIC "kvteltot"
#define TOTALS_ORDER 0x0102030405060708u

/* A header, names of stores, families with the series of each, and a u32: CRC-32 (zlib's) of all that is before it.
 * Nothing is aligned. */
struct totals_header {
    char magic[8];
    uint64_t byte_order;
    uint32_t version;
    uint32_t by_rank; /* 1: ranks are kept apart */
    uint64_t size;    /* of the file, checksum included */
    uint64_t written_realtime_ns;
    uint64_t boot_hash;   /* as in a store; 0: not known */
    uint32_t store_count; /* names of stores, a NUL behind each */
    uint32_t stores_size; /* their bytes */
    uint32_t family_count;
    uint32_t series_count; /* of all families */
};
_Static_assert(sizeof(struct totals_header) == 64, "totals 1");

/* Then come bound_count doubles, text_size bytes (name, help, label names, a NUL behind each), and its series. */
struct totals_family {
    uint8_t type; /* enum kvtel_metric_type */
    uint8_t unit; /* enum kvtel_unit */
    uint16_t label_count;
    uint32_t bound_count; /* explicit bounds */
    int32_t exponential_first;
    uint32_t exponential_count; /* 0: no histogram */
    uint32_t text_size;
    uint32_t series_count;
};
_Static_assert(sizeof(struct totals_family) == 24, "totals 1");

/* A series is a u32 with the size of its text, the text (label values, a NUL behind each), and its numbers:
 *   counter    double value
 *   gauge      double value, u64 stamp
 *   histogram  double sum, then as varints: the bins that are not 0, and of each how many 0 are before it, and what it
 * counts A varint is 7 bits a byte, the lowest first; the top bit says that more follows. */
enum { TOTALS_VARINT = 10 };

#endif
