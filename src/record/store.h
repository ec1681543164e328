/* SPDX-License-Identifier: Apache-2.0 */
/* A store as the process that writes it sees it: the shared layout plus this process's own memory. */
#ifndef KVTEL_RECORD_STORE_H
#define KVTEL_RECORD_STORE_H

#include <kvtel/store.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/metric.h"
#include "histogram/bins.h"
#include "base/index.h"
#include "format/layout.h"
#include "record/memory.h"
#include "format/view.h"
#include "record/cells.h"

enum { KVTEL_DEFAULT_MAX_SERIES = 10000, KVTEL_DEFAULT_MAX_LANES = 256 };

/* One arrow from a column of a group to a series, with what the fold needs to know of the series. */
struct kvtel_local_feed {
    const struct kvtel_bins *bins;
    uint64_t cells_at;
    uint32_t series;
    uint32_t slot;
    uint16_t column;
    uint16_t kind;
};

/* Immutable as soon as a series points to the group, but for `feeds_removed`. */
struct kvtel_row_group {
    struct kvtel_row_group *next;
    uint64_t block_at;
    uint64_t head_at;  /* word of this part of the lane: the row counter */
    uint8_t head_part; /* enum kvtel_lane_part */
    uint8_t head_mask; /* 0: the head is not in the lane's line, so each row is a rare case; else all ones */
    uint32_t slot;
    uint32_t columns;
    uint32_t feed_count;
    uint32_t ns;      /* a bit for each column whose integers are nanoseconds */
    uint32_t doubles; /* a bit for each column whose words are not noted: they are doubles only */
    const struct kvtel_finder *finder;
    bool is_quad; /* the first four columns feed one histogram each: a block of integers is folded into them at once */
    struct kvtel_quad quad;
    uint8_t quad_feeds[KVTEL_QUAD]; /* the feed of each column's histogram */
    _Atomic bool feeds_removed;     /* some of the series that it feeds were removed */
    struct kvtel_local_feed feeds[];
};

struct kvtel_family_local {
    const struct kvtel_bins *bins;
    uint32_t series_count;
    uint32_t wanted; /* used by kvtel_store_room() */
};

/* What a thread that writes a lane must know of a series. */
struct kvtel_series_local {
    struct kvtel_row_group *_Atomic group; /* NULL: the series is written without a group */
    const struct kvtel_bins *bins;
    uint64_t cells_at;
    uint64_t exemplars_at; /* 0: it has no places for exemplars */
    uint32_t slot;
    _Atomic uint16_t type; /* enum kvtel_metric_type, or KVTEL_NO_TYPE */
    uint8_t unit;          /* enum kvtel_unit */
    uint8_t column;        /* of the group */
    uint32_t noted;        /* kvtel_lane_note() of a row with a double in this column alone; 0: nothing to note */
};

/* The type of a series that was removed. */
enum { KVTEL_NO_TYPE = UINT16_MAX };

enum kvtel_lane_part { KVTEL_PART_WORDS, KVTEL_PART_LINE, KVTEL_LANE_PARTS };

struct kvtel_lane {
    struct kvtel_store *store;
    union {
        struct {
            kvtel_word *words;
            kvtel_word *line;
        };
        kvtel_word *parts[KVTEL_LANE_PARTS]; /* by enum kvtel_lane_part */
    };
    struct kvtel_lane *next; /* next free lane */
    uint32_t index;
    /* Of open transfers; places are counted from 1. */
    uint32_t open_free;                /* first of the owner's list of free places; 0: none */
    uint32_t open_fresh;               /* places from here on were never used */
    char apart[64 - sizeof(uint32_t)]; /* other threads write what follows, on another cache line */
    _Atomic uint32_t open_returned;    /* first of the list of places that other threads freed; 0: none */
};

struct kvtel_store {
    /* Descriptor of the file; -1: the store is in the heap. The process may close the descriptor without our
     * knowledge, and its number may then belong to another file: call kvtel_store_reach() under the lock before each
     * use. */
    int fd;
    dev_t device; /* of the file */
    ino_t inode;

    /* The members from here to `lanes` are read without the lock.
     *
     * The token is a random odd number that identifies this store among all others. Its page is wiped on fork, so a
     * child reads 0. The child must neither write into its parent's file nor wait for a lock that a thread of the
     * parent held. */
    const uint64_t *token;
    char *path; /* of the file */
    void (*warn)(void *context, const char *message);
    void *warn_context;
    _Atomic uint32_t warned;         /* one bit for each enum kvtel_store_warning already given */
    _Atomic uint64_t lanes_again_ns; /* no lane was free: a thread may ask again at this time; 0: at once */
    _Atomic uint32_t lanes_refused;  /* calls that did not ask since then */
    pthread_key_t thread_lane;
    struct kvtel_lane
        /* The lane that metric types borrow. NULL: it is lent out, or not opened yet. */
        *_Atomic shared_lane;
    struct kvtel_layout_header *header;
    struct kvtel_series_local *series; /* one for each series of the table; memory grows with the table */
    struct kvtel_lane **lanes;         /* kvtel_store_lane_count() entries */
    uint64_t open_at;                  /* as the header's; set before any operation uses them */
    uint32_t open_count;
    atomic_bool adds_peer; /* a thread adds a peer; others do not wait for it */

    pthread_mutex_t lock;
    struct kvtel_extent tables[KVTEL_TABLES];
    struct kvtel_extent slots, bulk; /* of every lane */
    struct kvtel_extent locals;      /* of `series` */
    struct kvtel_extent lines;       /* of the lanes */
    struct kvtel_family_local families[KVTEL_LAYOUT_FAMILIES];
    struct kvtel_index index; /* families and series by their text */
    struct kvtel_bins *bins;
    struct kvtel_row_group *groups;
    struct kvtel_lane *free_lanes;
};

/* How much of a caller's options to read: their first member is `size`, 0 stands for the size of version 0.1. */
static inline size_t kvtel_options_size(size_t size, size_t first_version, size_t known)
{
    size_t given = size > 0 ? size : first_version;
    return given < known ? given : known;
}

/* The options of a caller that may have been built against an older header: options unknown to that caller are 0.
 * NULL means all defaults. */
struct kvtel_store_options kvtel_store_known_options(const struct kvtel_store_options *given);
/* Whether kvtel_store_default_dir() returns the directory in shared memory, because neither `dir` nor
 * $KVTEL_STORE_DIR names one. Any user could have created a directory of that name there. */
bool kvtel_store_dir_is_default(const char *dir);
/* A hash that differs between boots of the machine. 0: not known. */
uint64_t kvtel_boot_hash(void);
void kvtel_header_info(const struct kvtel_layout_header *header, struct kvtel_store_info *info);

/* Makes a store in the empty file `fd`, or in the heap when `fd` is -1. On success the store owns `fd`. On failure
 * the caller keeps `fd`, and errno says why. */
enum kvtel_status kvtel_store_make(const struct kvtel_store_options *options, int fd, struct kvtel_store **store);

/* How many lanes this process can read. A child of a fork lacks those that its parent has opened since, which the
 * header in their shared file counts. */
uint32_t kvtel_store_lane_count(const struct kvtel_store *store);

enum kvtel_store_warning {
    KVTEL_WARN_HEAP,
    KVTEL_WARN_LANES,
    KVTEL_WARN_SERIES,
    KVTEL_WARN_TEXT,
    KVTEL_WARN_CONNECTOR, /* the connector is unknown, or does not report stats */
    KVTEL_WARN_FLOW,      /* the connector does not have the flow */
    KVTEL_WARN_KEY,
    KVTEL_WARN_MODE,
    KVTEL_WARN_DELETED
};
/* Passes the message to the store's `warn`, once for each kind of warning. Must not be called under the lock. */
void kvtel_store_warn(struct kvtel_store *store, enum kvtel_store_warning warning, const char *message);
/* Like kvtel_store_warn(), with the cause that the status and errno show: which directory is full, or which limit
 * was reached. */
void kvtel_store_warn_of(struct kvtel_store *store, enum kvtel_store_warning warning, enum kvtel_status status,
                         const char *what);

/* Whether this descriptor refers to the store's file. Notes it when the file was deleted. */
bool kvtel_store_is_file(struct kvtel_store *store, int fd);
/* Makes `fd` refer to the store's file, by opening the file anew if necessary. Under the lock. Notes in the header
 * when the file was deleted. True also for a store in the heap. False: the file cannot be reached, and errno is set. */
bool kvtel_store_reach(struct kvtel_store *store);
/* Warns once when the file was deleted. Not under the lock. */
void kvtel_store_check_file(struct kvtel_store *store);

/* Whether this process may write into the store: not in a child of a fork. */
static inline bool kvtel_store_is_own(const struct kvtel_store *store)
{
    return __builtin_expect(*store->token != 0, 1);
}

static inline void *kvtel_store_table(const struct kvtel_store *store, enum kvtel_table table)
{
    return (char *)store->header + store->header->tables[table].at;
}

static inline struct kvtel_layout_open *kvtel_store_open_header(const struct kvtel_store *store)
{
    return (struct kvtel_layout_open *)(void *)((char *)store->header + KVTEL_LAYOUT_OPEN_AT);
}

/* Size in bytes of the address space of `series`. */
static inline uint64_t kvtel_store_locals_size(const struct kvtel_store *store)
{
    uint64_t room = store->header->tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    return (room * sizeof(struct kvtel_series_local) + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
}

/* The hash of one text more, behind those whose hash is `hash`. It begins with the family's number. */
static inline uint64_t kvtel_store_hash_text(uint64_t hash, const char *text)
{
    return kvtel_hash(hash, text, strlen(text) + 1);
}

struct kvtel_series_request {
    uint32_t family;
    const char *const *values;
    size_t count;
    bool exemplars; /* a new histogram gets places for exemplars */
};
/* Makes or finds the series. Unlike kvtel_store_series() this function does not give a histogram a group. */
enum kvtel_status kvtel_store_bare_series(struct kvtel_store *store, const struct kvtel_series_request *request,
                                          uint32_t *series);

/* Whether kvtel_store_series() would find or make all requested series, judged by the store's own limits. KVTEL_OK;
 * KVTEL_E_LIMIT: the series that do not exist yet are counted as dropped; KVTEL_E_BUSY: the store cannot be locked
 * here. */
enum kvtel_status kvtel_store_room(struct kvtel_store *store, const struct kvtel_series_request *requests,
                                   size_t count);

/* Makes a group with a single column for a histogram that does not belong to a group yet. */
enum kvtel_status kvtel_store_own_row_group(struct kvtel_store *store, uint32_t series);

struct kvtel_row_group_feed {
    uint32_t series;
    uint16_t column;
    enum kvtel_column_kind kind;
};
/* The columns of a group. */
struct kvtel_row_group_columns {
    uint32_t count;
    uint32_t ns;      /* a bit for each column whose integers are nanoseconds */
    uint32_t doubles; /* a bit for each column that takes doubles only */
};
/* Makes a group of columns for these series, or finds the one with the same feeds.
 * KVTEL_E_BUSY: one of the series belongs to another group. */
enum kvtel_status kvtel_store_row_group(struct kvtel_store *store, const struct kvtel_row_group_feed *feeds,
                                        size_t count, struct kvtel_row_group_columns columns,
                                        const struct kvtel_row_group **group);

struct kvtel_view kvtel_store_view(const struct kvtel_store *store);

#endif
