/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the history, and where each byte of its file is. docs/decisions/history.md describes both in words. */
#ifndef KVTEL_HISTORY_LAYOUT_H
#define KVTEL_HISTORY_LAYOUT_H

#include <stdint.h>

/* Connectors and engines, and flows and classes of failures of each. What exceeds these is not kept. */
enum { HISTORY_ENTRIES = 512, HISTORY_FLOWS = 16, HISTORY_CLASSES = 16, HISTORY_NAME = 1024 /* bytes */ };
/* Entries of which the number is below HISTORY_OWN are a connector in an engine each. The others are the rest: all of a
 * connector in the engines that have no entry of their own. */
enum { HISTORY_RESTS = 32, HISTORY_OWN = HISTORY_ENTRIES - HISTORY_RESTS };
enum { HISTORY_POINTS = 224 };
/* Memory of a history at most, in bytes, names included. When it is reached, older points are merged. */
enum { HISTORY_MEMORY = 14 << 20 };
/* Of these, names with what belongs to each may take so much, and counts of histograms at the last point. Above it,
 * names that are new are left out, and points have no histograms of flows whose counts have no room. */
enum { HISTORY_NAMES_MEMORY = 2 << 20, HISTORY_COUNTS_MEMORY = 4 << 20 };

/* Histograms have this many bins in each octave. The number of a bin is BINS_PER_OCTAVE * log2(its upper bound), plus
 * HISTORY_BIN_ONE: that is the number of the bin up to 1. Bins are numbered from 1. */
enum { HISTORY_PER_OCTAVE = 8, HISTORY_BIN_ONE = 257, HISTORY_BINS = 768 };

/* What a histogram is of. */
enum history_histogram { HISTORY_TIME, HISTORY_POST, HISTORY_SIZE, HISTORY_HISTOGRAMS };

#define HISTORY_MAGIC "kvtelhis"
#define HISTORY_NAME_OF_FILE "history.kvtel-history"
enum { HISTORY_VERSION = 2 };

/* A file consists of this header, the names, the points, and a u32 with the CRC-32 (zlib's) of all bytes before it.
 * Numbers in the header are of the machine's byte order, as `order` shows; all others are varints (base/varint.h).
 *
 * Names, for each entry: its number plus 1; connector, model and engine, each followed by a NUL; the number of its
 * flows, and for each a number with what it measures (enum history_measure) and its name with a NUL; the number of its
 * classes of failures, and their names. A point: its end (ms since 1970), how many ms it covers, its size, its bytes
 * (point.h). */
struct history_header {
    char magic[8];
    uint64_t order;
    uint32_t version;
    uint32_t entry_count, point_count;
    uint32_t unused;
    uint64_t size; /* of the file, checksum included */
};
_Static_assert(sizeof(struct history_header) == 40, "history 2");
#define HISTORY_ORDER 0x0102030405060708u

/* What a flow measures, as bits. */
enum history_measure {
    HISTORY_HAS_TRANSFERS = 1,
    HISTORY_HAS_BYTES = 2,
    HISTORY_HAS_FAILED = 4,
    HISTORY_HAS_TIME = 8, /* the histograms, in the order of enum history_histogram */
    HISTORY_HAS_POST = 16,
    HISTORY_HAS_SIZE = 32
};

#endif
