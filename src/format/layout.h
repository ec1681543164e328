/* SPDX-License-Identifier: Apache-2.0 */
/* Where each byte of a store is, in the heap and in a file alike. docs/store-format.md describes the same layout for
 * readers in other languages.
 *
 * A store consists of a header page, six tables that only grow, and lanes at a fixed stride. A record of a table
 * never changes once one release store of the table's count has published it, except that a series may be removed. A
 * lane consists of 8-byte words that only its owner writes. */
#ifndef KVTEL_FORMAT_LAYOUT_H
#define KVTEL_FORMAT_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define KVTEL_LAYOUT_MAGIC "kvtelst\n"
#define KVTEL_LAYOUT_ORDER 0x0102030405060708u

enum {
    KVTEL_LAYOUT_VERSION = 2,
    KVTEL_LAYOUT_SCHEMA = 3, /* exponential bounds are powers of 2^(1/8) */
    KVTEL_LAYOUT_PAGE =
        /* Tables, lanes and their parts begin at multiples of the page size, and memory is reserved in pages. */
    4096,
    KVTEL_LAYOUT_FAMILIES = 1024,      /* at most */
    KVTEL_LAYOUT_LABELS = 16,          /* of a family, at most */
    KVTEL_LAYOUT_BOUNDS = 256,         /* explicit bounds of a family, at most; each family has room for all of them */
    KVTEL_LAYOUT_COLUMNS = 16,         /* of a group, at most; also the limit of its feeds */
    KVTEL_LAYOUT_LANES = 4096,         /* at most */
    KVTEL_LAYOUT_LANE_BYTES = 1 << 30, /* of a lane, at most; the size of the tables depends on it */
    KVTEL_ROWS_AT_ONCE = 32,           /* at most so many rows are written before the head that counts them is stored */
    KVTEL_BLOCK_ROWS = 256,            /* of a group's block: the rows that one fold takes */
};

/* Each amount is at most KVTEL_AMOUNT_MAX, so a writer cannot make a total above KVTEL_TOTAL_MAX, and the totals of
 * many stores cannot add up to infinity. */
#define KVTEL_AMOUNT_MAX 0x1p900
#define KVTEL_TOTAL_MAX 0x1p1000
#define KVTEL_COUNT_MAX (UINT64_C(1) << 62)

enum kvtel_table { KVTEL_FAMILIES, KVTEL_BOUNDS, KVTEL_SERIES, KVTEL_GROUPS, KVTEL_FEEDS, KVTEL_STRINGS, KVTEL_TABLES };

struct kvtel_layout_table {
    uint64_t at;   /* from the start of the store */
    uint64_t size; /* bytes of address space */
};

struct kvtel_layout_header {
    char magic[8];
    uint64_t byte_order;
    uint32_t version;
    uint32_t header_size;
    int32_t schema;
    uint32_t block_rows;
    uint32_t engine;
    uint32_t rank;
    uint32_t max_lanes;
    uint32_t max_series; /* of one family */
    uint64_t created_realtime_ns;
    uint64_t created_monotonic_ns;
    uint64_t boot_hash;     /* FNV-1a of /proc/sys/kernel/random/boot_id; 0: not known */
    uint64_t pid;           /* in the writer's own namespace */
    uint64_t process_start; /* clock ticks since boot, field 22 of /proc/PID/stat; 0: not known */
    struct kvtel_layout_table tables[KVTEL_TABLES];
    uint64_t lanes_at;
    uint64_t lane_stride;
    uint64_t slots_size; /* of a lane's first part; the second part ends at the stride */
    char model_name[512];
    char connector[128];
    /* Numbers of published records. */
    _Atomic uint64_t family_count;
    _Atomic uint64_t series_count;
    _Atomic uint64_t group_count;
    _Atomic uint64_t lane_count; /* lanes that were ever opened */
    /* Counters about the writer itself. */
    _Atomic uint64_t series_dropped; /* label sets refused by a family's cap */
    _Atomic uint64_t
        /* Records for which no lane was free, and records of a child of a fork or from within another call. */
        records_dropped;
    _Atomic uint64_t values_refused; /* negative values, NaN, values above KVTEL_AMOUNT_MAX */
    _Atomic uint64_t file_deleted;   /* 1: the writer found its file deleted */
    uint64_t lines_at;               /* where the lines of the lanes begin, see KVTEL_LINE_WORDS */
    uint64_t open_at;                /* word of a lane where the places of open transfers begin, see KVTEL_OPEN_WORDS */
    uint64_t reserved_at;            /* 0 */
    _Atomic uint32_t open_count;     /* places of a lane; 0: there are none */
    uint32_t reserved_count;         /* 0 */
    uint64_t reserved[2];            /* 0 */
};
_Static_assert(sizeof(struct kvtel_layout_header) == 960, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, version) == 16, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, created_realtime_ns) == 48, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, tables) == 88, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, lanes_at) == 184, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, model_name) == 208, "layout 2");
_Static_assert(offsetof(struct kvtel_layout_header, family_count) == 848, "layout 2");
_Static_assert(sizeof(struct kvtel_layout_header) <= KVTEL_LAYOUT_PAGE, "tables begin at the second page");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared by processes");

/* The last word of the header's page: how the writer ended. */
enum { KVTEL_LAYOUT_ENDING_AT = KVTEL_LAYOUT_PAGE - 8 };
enum kvtel_ending {
    KVTEL_ENDING_NONE,   /* the writer is alive, or was killed */
    KVTEL_ENDING_CLOSED, /* the writer closed the store, or called exit(3) */
    KVTEL_ENDING_UNKNOWN /* the writer does not record its end */
};

/* The word before it: how many series were removed. A reader that knows a lower number reads again which ones. */
enum { KVTEL_LAYOUT_REMOVED_AT = KVTEL_LAYOUT_PAGE - 16 };

/* Behind the header, up to that word: what open transfers have in common. */
enum {
    KVTEL_LAYOUT_OPEN_AT = sizeof(struct kvtel_layout_header),
    KVTEL_LAYOUT_OPEN_MOST = 1 << 16, /* places of a lane, at most */
    KVTEL_LAYOUT_PEERS = 64,
    KVTEL_LAYOUT_PEER_SIZE = 48,
};
struct kvtel_layout_open {
    _Atomic uint64_t untracked;                             /* transfers that found no place at their begin */
    _Atomic uint64_t refused;                               /* tokens that were not those of an open transfer */
    _Atomic uint64_t peer_count;                            /* published names */
    uint64_t reserved[3];                                   /* 0 */
    char peers[KVTEL_LAYOUT_PEERS][KVTEL_LAYOUT_PEER_SIZE]; /* NUL-terminated, cut to fit */
};
_Static_assert(KVTEL_LAYOUT_OPEN_AT + sizeof(struct kvtel_layout_open) == KVTEL_LAYOUT_REMOVED_AT, "layout 2");

struct kvtel_layout_family {
    uint32_t type; /* enum kvtel_metric_type */
    uint32_t unit; /* enum kvtel_unit */
    uint32_t label_count;
    uint32_t bound_count;       /* explicit bounds */
    uint32_t bounds_at;         /* index of the first in the table of bounds */
    uint32_t text_size;         /* name, help and label names, a NUL behind each */
    uint64_t text_at;           /* in the table of strings */
    int32_t exponential_first;  /* bound i is 2^((exponential_first + i) / 8) */
    uint32_t exponential_count; /* 0: not a histogram */
    uint64_t reserved[3];       /* 0 */
};
_Static_assert(sizeof(struct kvtel_layout_family) == 64, "layout 2");

struct kvtel_layout_series {
    uint32_t family;
    uint32_t text_size; /* label values, a NUL behind each */
    uint64_t text_at;
    uint64_t cells_at;        /* word of the lane where a histogram's cells begin */
    uint32_t slot;            /* slot of the lane; a histogram has kvtel_slots_of() of them, which follow one another */
    _Atomic uint32_t removed; /* not 0: the series was removed; its numbers count no more */
    uint64_t started_realtime_ns; /* when the series was made */
    uint64_t exemplars_at; /* word of the lane where a histogram's exemplars begin; 0: it has no places for them */
};
_Static_assert(sizeof(struct kvtel_layout_series) == 48, "layout 2");

/* Pairs with the release store of kvtel_store_series_remove(): a series that was made after this one was removed is
 * seen only by those who see that this one was removed. */
static inline int kvtel_layout_is_removed(const struct kvtel_layout_series *series)
{
    return atomic_load_explicit(&series->removed, memory_order_acquire) != 0;
}

/* Rows of values that are written together, and the series that each column feeds. */
struct kvtel_layout_group {
    uint32_t slot; /* slot of its row counter */
    uint32_t columns;
    uint32_t feeds_at; /* index in the table of feeds */
    uint32_t feed_count;
    uint64_t block_at; /* word of the lane: KVTEL_BLOCK_ROWS rows of `columns` words */
    uint32_t ns;       /* a bit for each column whose integers are nanoseconds; other integers are shown as they are */
    uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct kvtel_layout_group) == 32, "layout 2");

enum kvtel_column_kind {
    KVTEL_COLUMN_OBSERVE, /* histogram: the value */
    KVTEL_COLUMN_ADD,     /* counter: the value */
    KVTEL_COLUMN_ONE      /* counter: 1 for each row that has a value */
};

struct kvtel_layout_feed {
    uint32_t series;
    uint16_t column;
    uint16_t kind;
};
_Static_assert(sizeof(struct kvtel_layout_feed) == 8, "layout 2");

/* Each lane has a line of two cache lines, so that a processor that fetches pairs of cache lines does not fetch a
 * neighbour's. The lines of all lanes stand together: one read of a file finds the lanes that moved. Words of a line:
 */
enum {
    KVTEL_LINE_WORDS = 16,
    KVTEL_LINE_CHANGES = 0, /* goes up with every write that no head tells of: counters, gauges, rows of later groups */
    KVTEL_LINE_HEADS = 1,   /* heads of the first groups: number of rows ever written */
    KVTEL_LINE_GROUPS = KVTEL_LINE_WORDS - KVTEL_LINE_HEADS,
};

/* A lane is slots, each one cache line, then blocks and cells. Words of a slot: */
enum {
    KVTEL_SLOT_WORDS = 8,

    /* slot of a group */
    KVTEL_SLOT_HEAD = 0,  /* number of rows ever written, of a group whose head is not in the lane's line; row r is at
                             index r % 256 of the block */
    KVTEL_SLOT_NOTED = 1, /* for the writer only: a bit for each column of which a word of the block is no value, and
                             above them a bit for each one of which a word is a double */
    KVTEL_NOTED_DOUBLES = KVTEL_LAYOUT_COLUMNS,

    /* slot of a series that a group feeds: 2 * folds, odd while a fold adds to a histogram's cells; slot of a gauge:
     * how often it was set */
    KVTEL_SLOT_SEQ = 0,

    /* counter: value[folds & 1] is the folded amount of doubles, integers[folds & 1] that of integers, `direct` the
     * amount added without a group; the counter is the sum of the three */
    KVTEL_SLOT_VALUE = 1,
    KVTEL_SLOT_DIRECT = 3,
    KVTEL_SLOT_INTEGERS = 4,

    /* gauge: value[seq & 1], and the CLOCK_MONOTONIC time in ns when it was set (0: never) */
    KVTEL_SLOT_STAMP = 3,

    /* histogram: sum[folds & 1] of the doubles and count[folds & 1] of all values folded; cells outside [first, end)
     * are 0; then, in the slots that follow, the sum of the integers and, for each explicit bound that lies inside a
     * cell, how many values of the cell are at or below the bound, both [folds & 1] */
    KVTEL_SLOT_SUM = 1,
    KVTEL_SLOT_COUNT = 3,
    KVTEL_SLOT_FIRST = 5,
    KVTEL_SLOT_END = 6,
    KVTEL_SLOT_TOTAL = 8,
    KVTEL_SLOT_BELOW = 10, /* first all explicit bounds of folds & 1 = 0, then those of 1 */
};

/* The place of an open transfer, one cache line. Only the lane's owner begins a transfer in it; any thread of the
 * writer may end it. The state goes up by 1 when a transfer begins there, by 1 when its end begins, and to the next
 * multiple of 4 when the end was recorded, so no value comes twice. Words of a place: */
enum {
    KVTEL_OPEN_WORDS = 8,
    KVTEL_OPEN_STATE = 0,    /* 4 n + one of kvtel_open_state */
    KVTEL_OPEN_BEGAN = 1,    /* CLOCK_MONOTONIC ns; the other words have no meaning while the place is free */
    KVTEL_OPEN_BYTES = 2,    /* all ones: not known */
    KVTEL_OPEN_OUTCOMES = 3, /* counters: series of outcome "lost", and 2^32 times that of "abandoned" */
    KVTEL_OPEN_PEER = 4, /* 1 + index in the table of peers; 0: none; above KVTEL_LAYOUT_PEERS: one that is not there */
    KVTEL_OPEN_WITNESS = 6, /* while ending: the word whose change records the end, see kvtel_open_witness() */
    KVTEL_OPEN_BEFORE = 7,  /* while ending: that word before */
};
/* The family that counts what became of transfers that did not complete. */
#define KVTEL_OPEN_FAMILY "kvtel_unfinished_transfers"

enum kvtel_open_state { KVTEL_OPEN_FREE, KVTEL_OPEN_OPEN, KVTEL_OPEN_ENDING };

/* Where a word is: bit 63: in the line of the lane, not in the lane; bits 32 .. 47: the lane; bits 0 .. 31: the word. 0
 * stands for none yet: the first word of a lane belongs to a series that a group feeds, or to a gauge. All ones: the
 * end is recorded by no single word, and counts as recorded. */
#define KVTEL_OPEN_NO_WITNESS UINT64_MAX
static inline uint64_t kvtel_open_witness(uint32_t lane, uint64_t word, int in_line)
{
    return (uint64_t)(in_line != 0) << 63 | (uint64_t)lane << 32 | word;
}

/* Exemplars of a histogram: a word for each explicit bucket, the last one up to +Inf, with the number of exemplars that
 * were ever written there, up to a multiple of 8 words; then a place for each, of two halves. Number n is in half n
 * & 1. Words of a half: */
enum {
    KVTEL_EXEMPLAR_VALUE = 0, /* bits of a double */
    KVTEL_EXEMPLAR_TIME = 1,  /* CLOCK_REALTIME ns */
    KVTEL_EXEMPLAR_SIZE = 2,  /* bytes of the labels' text */
    KVTEL_EXEMPLAR_LABELS = 3,
    KVTEL_EXEMPLAR_TEXT_WORDS = 21,
    KVTEL_EXEMPLAR_HALF_WORDS = KVTEL_EXEMPLAR_LABELS + KVTEL_EXEMPLAR_TEXT_WORDS,
};

/* Where the place of a bucket begins, from the start of the series' exemplars on. For `bucket` the number of buckets:
 * the number of words of all of them. */
static inline uint64_t kvtel_exemplar_place(uint32_t buckets, uint32_t bucket)
{
    return (buckets + UINT64_C(7)) / 8 * 8 + (uint64_t)bucket * 2 * KVTEL_EXEMPLAR_HALF_WORDS;
}

/* Number of slots of a histogram with so many explicit bounds. */
static inline uint32_t kvtel_slots_of(uint32_t bound_count)
{
    return (KVTEL_SLOT_BELOW + 2 * bound_count + KVTEL_SLOT_WORDS - 1) / KVTEL_SLOT_WORDS;
}

/* The sum of a histogram's integers stays here instead of passing it. */
#define KVTEL_INTEGERS_MAX INT64_MAX

/* A word of a lane. `volatile` keeps the stores of a fold in program order. A reader relies on this order when the
 * writer was killed in the middle of a fold. */
typedef volatile _Atomic uint64_t kvtel_word;
_Static_assert(sizeof(kvtel_word) == 8, "layout 2");

#endif
