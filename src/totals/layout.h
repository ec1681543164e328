/* SPDX-License-Identifier: Apache-2.0 */
/* Where each byte of a file of totals is. docs/decisions/retired-totals.md describes the format in words. */
#ifndef KVTEL_TOTALS_LAYOUT_H
#define KVTEL_TOTALS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define TOTALS_MAGIC "kvteltot"
#define TOTALS_ORDER 0x0102030405060708u

/* A file consists of this header, names of stores, families each followed by its series, and a u32 with the CRC-32
 * (zlib's) of all bytes before it. Nothing is aligned. */
struct totals_header {
    char magic[8];
    uint64_t byte_order;
    uint32_t version;
    uint32_t by_rank; /* 1: ranks are kept apart */
    uint64_t size;    /* of the file, checksum included */
    uint64_t written_realtime_ns;
    uint64_t boot_hash;   /* as in a store; 0: not known */
    uint32_t store_count; /* number of store names, each followed by a NUL */
    uint32_t stores_size; /* size of the names in bytes */
    uint32_t family_count;
    uint32_t series_count; /* of all families */
};
_Static_assert(sizeof(struct totals_header) == 64, "totals 2");

/* A family is followed by bound_count doubles, text_size bytes (name, help and label names, each followed by a NUL),
 * and its series. */
struct totals_family {
    uint8_t type; /* enum kvtel_metric_type */
    uint8_t unit; /* enum kvtel_unit */
    uint16_t label_count;
    uint32_t bound_count; /* explicit bounds */
    int32_t exponential_first;
    uint32_t exponential_count; /* 0: not a histogram */
    uint32_t text_size;
    uint32_t series_count;
};
_Static_assert(sizeof(struct totals_family) == 24, "totals 2");

/* A series is a u32 with the size of its text, the text (label values, each followed by a NUL), from version 3 on a u64
 * with the first moment from which its numbers are complete (CLOCK_REALTIME ns; 0: not known), and its numbers:
 *   counter    double value
 *   gauge      double value, u64 stamp
 *   histogram  double sum, then varints: the number of bins that are not 0, and for each of them the
 *              number of zero bins before it and its count
 * base/varint.h says what a varint is. */

#endif
