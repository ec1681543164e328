/* SPDX-License-Identifier: Apache-2.0 */
/* A store as its own process sees it. */
#ifndef KVTEL_RECORD_STORE_H
#define KVTEL_RECORD_STORE_H

#include <kvtel/store.h>
#include <pthread.h>
#include <sys/types.h>

#include "base/metric.h"
#include "histogram/bins.h"
#include "base/index.h"
#include "format/layout.h"
#include "record/memory.h"
#include "format/view.h"

enum { KVTEL_DEFAULT_MAX_SERIES = 10000, KVTEL_DEFAULT_MAX_LANES = 256 };

/* What goes from a column of a group to a series, ready for the fold. */
struct kvtel_local_feed {
    const struct kvtel_bins *bins;
    uint64_t bins_at;
    uint32_t series;
    uint32_t slot;
    uint16_t column;
    uint16_t kind;
};

/* Immutable once it can be reached from a series. */
struct kvtel_group {
    struct kvtel_group *next;
    uint64_t block_at;
    uint32_t slot;
    uint32_t columns;
    uint32_t feed_count;
    struct kvtel_local_feed feeds[];
};

struct kvtel_family_local {
    const struct kvtel_bins *bins;
    uint32_t series_count;
};

/* What a lane's owner needs of a series. */
struct kvtel_series_local {
    struct kvtel_group *_Atomic group; /* NULL: written directly */
    const struct kvtel_bins *bins;
    uint64_t bins_at;
    uint32_t slot;
    uint16_t type; /* enum kvtel_metric_type */
    uint16_t unit; /* enum kvtel_unit */
};

struct kvtel_lane {
    struct kvtel_store *store;
    kvtel_word *words;
    struct kvtel_lane *next; /* of the free ones */
};

struct kvtel_store {
    /* Of the file; -1: in the heap. The process may close it behind our back and give the number to another file: under
     * the lock, kvtel_store_reach() is asked before each use. */
    int fd;
    dev_t device; /* of the file */
    ino_t inode;
    /* Read without the lock. */
    /* Tells this store from any other that was or will be: random. Reads 0 in a child of a fork, which must not write
     * into its parent's file nor wait for a lock that a thread of its parent held: the page is wiped there. */
    const uint64_t *token;
    char *path; /* of the file */
    void (*warn)(void *context, const char *message);
    void *warn_context;
    _Atomic uint32_t warned;         /* a bit for each enum kvtel_store_warning that was given */
    _Atomic uint64_t lanes_again_ns; /* when a thread may ask again, as none was to be had; 0: now */
    _Atomic uint32_t lanes_refused;  /* threads that did not ask since */
    pthread_key_t thread_lane;
    struct kvtel_lane
        *_Atomic shared_lane; /* that metric types borrow; NULL: one of them has it, or none is open yet */
    struct kvtel_layout_header *header;
    struct kvtel_series_local *series; /* as many as the table has room for; grows as the table does */
    struct kvtel_lane **lanes;         /* header->lane_count of them */

    pthread_mutex_t lock;
    struct kvtel_extent tables[KVTEL_TABLES];
    struct kvtel_extent slots, bulk; /* of every lane */
    struct kvtel_extent locals;      /* of `series` */
    struct kvtel_family_local families[KVTEL_LAYOUT_FAMILIES];
    struct kvtel_index index; /* families and series by their text */
    struct kvtel_bins *bins;
    struct kvtel_group *groups;
    struct kvtel_lane *free_lanes;
};

/* A caller that was built against an older header gives fewer options: the rest is 0. NULL: all are. */
struct kvtel_store_options kvtel_store_known_options(const struct kvtel_store_options *given);
/* Whether kvtel_store_default_dir() is the one in shared memory, where anybody could have made a directory of that
 * name: neither `dir` nor $KVTEL_STORE_DIR names one. */
bool kvtel_store_dir_is_default(const char *dir);
/* Tells the machine's run since it was started from others; 0: not known. */
uint64_t kvtel_boot_hash(void);
void kvtel_header_info(const struct kvtel_layout_header *header, struct kvtel_store_info *info);

/* A store on `fd`, whose file is empty, or in the heap when it is -1. Takes `fd` over when it succeeds. errno says why
 * not. */
enum kvtel_status kvtel_store_make(const struct kvtel_store_options *options, int fd, struct kvtel_store **store);

enum kvtel_store_warning {
    KVTEL_WARN_HEAP,
    KVTEL_WARN_LANES,
    KVTEL_WARN_SERIES,
    KVTEL_WARN_TEXT,
    KVTEL_WARN_CONNECTOR, /* nobody knows it, or it has no stats */
    KVTEL_WARN_FLOW,      /* a connector does not have it */
    KVTEL_WARN_KEY,
    KVTEL_WARN_MODE,
    KVTEL_WARN_DELETED
};
/* Says it once. Not under the lock. */
void kvtel_store_warn(struct kvtel_store *store, enum kvtel_store_warning warning, const char *message);
/* The same, with what a status and errno tell of the cause: which directory is full, or which limit was reached. */
void kvtel_store_warn_of(struct kvtel_store *store, enum kvtel_store_warning warning, enum kvtel_status status,
                         const char *what);

/* Under the lock: whether `fd` is the store's file, opened anew if it has to be. True in the heap. Notes that the file
 * was deleted. False: errno. */
bool kvtel_store_reach(struct kvtel_store *store);
/* Not under the lock: says once that the file was deleted. */
void kvtel_store_check_file(struct kvtel_store *store);

/* Whether this process may write into the store. */
static inline bool kvtel_store_is_own(const struct kvtel_store *store)
{
    return __builtin_expect(*store->token != 0, 1);
}

static inline void *kvtel_store_table(const struct kvtel_store *store, enum kvtel_table table)
{
    return (char *)store->header + store->header->tables[table].at;
}

/* Address space of `series`. */
static inline uint64_t kvtel_store_locals_size(const struct kvtel_store *store)
{
    uint64_t room = store->header->tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    return (room * sizeof(struct kvtel_series_local) + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
}

/* Makes or finds the series, without the group of its own that kvtel_store_series() gives a histogram. */
enum kvtel_status kvtel_store_bare_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                          size_t count, uint32_t *series);

struct kvtel_series_request {
    uint32_t family;
    const char *const *values;
    size_t count;
};
/* Whether all of these are there or can be made by kvtel_store_series(), as far as the store's own size goes. KVTEL_OK;
 * KVTEL_E_LIMIT: those that are not there are counted as dropped; KVTEL_E_BUSY. */
enum kvtel_status kvtel_store_room(struct kvtel_store *store, const struct kvtel_series_request *requests,
                                   size_t count);

/* A group of its own for a histogram that belongs to none yet. */
enum kvtel_status kvtel_store_own_group(struct kvtel_store *store, uint32_t series);

struct kvtel_group_feed {
    uint32_t series;
    uint16_t column;
    enum kvtel_column_kind kind;
};
/* Makes a group of `columns` columns for these series, or finds the one with the same feeds.
 * KVTEL_E_BUSY: one of the series belongs to another group. */
enum kvtel_status kvtel_store_group(struct kvtel_store *store, const struct kvtel_group_feed *feeds, size_t count,
                                    uint32_t columns, const struct kvtel_group **group);

/* Memory for a lane: from `used` to `reserved` of both parts. */
bool kvtel_store_extend_lane(const struct kvtel_store *store, uint64_t lane, kvtel_word *words,
                             struct kvtel_extent slots, struct kvtel_extent bulk);

struct kvtel_view kvtel_store_view(const struct kvtel_store *store);

#endif
