/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The store: cumulative metrics of one process, in the heap or in a file that an exporter reads.
 *
 * A store has families, series (label sets of a family) and lanes. A lane has one writer, so that writing takes no lock
 * and no atomic read-modify-write; a snapshot adds the lanes up. src/format/layout.h and docs/store-format.md describe
 * the place of each byte.
 *
 * libkvtel_record has its functions.
 */
#ifndef KVTEL_STORE_H
#define KVTEL_STORE_H

#include <kvtel/base.h>
#include <kvtel/metric.h>
#include <kvtel/options.h>

KVTEL_BEGIN_DECLS

struct kvtel_store;
struct kvtel_lane;

/** Zero is the default of every option. Text is borrowed until the call returns. */
struct kvtel_store_options {
    size_t size;            /**< sizeof(struct kvtel_store_options), which KVTEL_STORE_OPTIONS() sets; 0:
                               KVTEL_STORE_OPTIONS_SIZE_0_1 */
    const char *model_name; /**< label of every series that a recorder makes, at most 511 bytes: cut, with a warning;
                               NULL: "" */
    const char *connector;  /**< name of the writer, shown to people, at most 127 bytes: likewise; NULL: "" */
    uint32_t engine;        /**< default engine of a recorder */
    uint32_t rank;          /**< of the writer inside its engine */
    uint32_t max_series;    /**< series of one family, as far as a lane has room; 0: 10,000 */
    uint32_t max_lanes;     /**< 0: 256; 4,096 at most */
    const char
        *dir; /**< kvtel_store_open(): NULL or "": $KVTEL_STORE_DIR, else a per-user directory in shared memory */
    /** Permission bits of the file; 0: $KVTEL_STORE_MODE (octal), else 0600. Group and others get read permission at
     * most (0644), because whoever may write the file could cut it while this process has it mapped. A directory
     * created for the file gets matching search permission. */
    uint32_t mode;
    /** Address space of one lane, and with it how much of everything there can be. 0: 128 MiB in a file, for
     * 3,000 histogram series, and 1 GiB in the heap, for 24,000. Memory is taken as series are made. At most 1 GiB. */
    uint64_t lane_bytes;
    /** Called once for each reason why something cannot be recorded, or cannot be as the options ask, with a complete
     * sentence; from any thread. NULL: no warnings. */
    void (*warn)(void *context, const char *message);
    void *warn_context; /**< passed to `warn` */
};
/** Size of the options of version 0.1. Members that come later are read only where `size` includes them. */
#define KVTEL_STORE_OPTIONS_SIZE_0_1 (offsetof(struct kvtel_store_options, warn_context) + sizeof(void *))
/** Options of a store inside a call: KVTEL_STORE_OPTIONS(.model_name = "m"). In C they live as long as the block around
 * the macro; in C++ until the end of the full expression, and the members stand in the order declared above. */
#define KVTEL_STORE_OPTIONS(...) KVTEL_OPTIONS(kvtel_store_options, __VA_ARGS__)

/** A store in the heap. @param options may be NULL. @return owned: kvtel_store_close(); NULL without memory */
KVTEL_API struct kvtel_store *kvtel_store_create(const struct kvtel_store_options *options);
/** A store in a file, where `kvtel serve` finds it, however this process ends. The file stays when the store is closed:
 * the exporter takes its final numbers and removes it. When no file can be made (no directory, no room, no permission)
 * the store is in the heap, where no other process sees it, and kvtel_store_path() returns NULL. A process may close
 * all its descriptors, as daemons do: the library opens the file again by its path when it needs more of it. Linux
 * only.
 * @param options may be NULL. @return owned: kvtel_store_close(); NULL without memory, which every function of
 * recorder.h takes */
KVTEL_API struct kvtel_store *kvtel_store_open(const struct kvtel_store_options *options);
/** The file's path, or NULL for a store in the heap. Borrowed until close. */
KVTEL_API const char *kvtel_store_path(const struct kvtel_store *store);
/** The directory that kvtel_store_open() uses: `dir` unless it is NULL or "", else $KVTEL_STORE_DIR, else kvtel-UID in
 * shared memory.
 * @param path out; @return its length without the NUL, or 0 when it does not fit */
KVTEL_API size_t kvtel_store_default_dir(const char *dir, char *path, size_t size);
/** Closes a store of either kind; NULL is fine. Destroy its recorders before; no thread may write into its lanes
 * afterwards. The file is marked as one whose writer ended in order, as it also is when the process calls exit(3).
 * The exporter warns of an ended store without the mark, because the process was killed. */
KVTEL_API void kvtel_store_close(struct kvtel_store *store);

/** Makes a family, or finds the one of this name. Any thread.
 * @param family out, valid for the life of the store
 * @return KVTEL_OK; KVTEL_E_MISMATCH (same name, other type, labels or buckets), KVTEL_E_ARGUMENT (not a metric or
 * label name, a label twice or `le` in a histogram, buckets not ascending, not finite or below 0), KVTEL_E_LIMIT (1,024
 * families), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_store_family(struct kvtel_store *store, const struct kvtel_family_spec *spec,
                                               uint32_t *family);
/** Makes or finds the series of these label values. They are UTF-8; a reader replaces bytes that are not, and adds up
 * series that are equal then. Any thread.
 * @return KVTEL_OK; KVTEL_E_ARGUMENT (wrong count, a value longer than KVTEL_TEXT_LIMIT), KVTEL_E_LIMIT (the family's
 * cap, or a lane is full), KVTEL_E_NOMEM; both are counted in the store's dropped series */
KVTEL_API enum kvtel_status kvtel_store_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                               size_t count, uint32_t *series);
/** As kvtel_store_series(), of a series that has places for exemplars, which kvtel_store_record() leaves: one of each
 * explicit bucket, 384 bytes each for each thread that records. A series that the store has already keeps what it has.
 * Of a counter and of a gauge: the same as kvtel_store_series(). */
KVTEL_API enum kvtel_status kvtel_store_series_exemplars(struct kvtel_store *store, uint32_t family,
                                                         const char *const *values, size_t count, uint32_t *series);
/** Finds a family by its name, without making one: for kvtel_store_find_series() and kvtel_store_family_clear(). Any
 * thread.
 * @return KVTEL_OK; KVTEL_E_UNKNOWN, KVTEL_E_BUSY (as kvtel_store_series_remove()) */
KVTEL_API enum kvtel_status kvtel_store_find_family(struct kvtel_store *store, const char *name, uint32_t *family);
/** Finds the series of these label values, without making one: for kvtel_store_series_remove(). Any thread.
 * @return KVTEL_OK; KVTEL_E_ARGUMENT (no such family, or a wrong count), KVTEL_E_UNKNOWN (no such series, or it was
 * removed), KVTEL_E_BUSY (as kvtel_store_series_remove()) */
KVTEL_API enum kvtel_status kvtel_store_find_series(struct kvtel_store *store, uint32_t family,
                                                    const char *const *values, size_t count, uint32_t *series);
/** Removes a series that will not come back, as `.remove()` does in other client libraries: no snapshot, page or total
 * has it any more, whatever it counted. What is recorded into its number afterwards is a dropped record; an operation
 * of a recorder goes on writing its rows, of which the other series take their values, and the values of the removed
 * series are dropped records, too, counted when a block of 256 rows is full. kvtel_store_series() with the
 * same label values makes a new series, which begins at 0. The family's cap counts the series that are left. The room
 * that a series has in the store is not given back. Any thread.
 * @return KVTEL_OK; KVTEL_E_UNKNOWN (no such series, or it was removed), KVTEL_E_BUSY (the store is the parent's of a
 * fork, or the call is made in a signal handler within another one) */
KVTEL_API enum kvtel_status kvtel_store_series_remove(struct kvtel_store *store, uint32_t series);
/** Removes all series of a family. The family stays, with its type, labels and buckets. Any thread.
 * @return KVTEL_OK; KVTEL_E_UNKNOWN (no such family), KVTEL_E_BUSY (as kvtel_store_series_remove()) */
KVTEL_API enum kvtel_status kvtel_store_family_clear(struct kvtel_store *store, uint32_t family);
/** How often a new series was refused: its family was at its cap, or there was no memory for it. Any thread. */
KVTEL_API uint64_t kvtel_store_series_dropped(const struct kvtel_store *store);

/** The writer of a store, and the numbers that the store keeps about itself. */
struct kvtel_store_info {
    char model_name[512];          /**< cut to fit */
    char connector[128];           /**< cut to fit */
    uint32_t engine;               /**< default engine of a recorder */
    uint32_t rank;                 /**< of the writer inside its engine */
    uint64_t pid;                  /**< in the writer's own namespace */
    uint64_t process_start;        /**< clock ticks from the machine's start; 0: not known */
    uint64_t created_realtime_ns;  /**< when the store was made, CLOCK_REALTIME */
    uint64_t created_monotonic_ns; /**< when the store was made, CLOCK_MONOTONIC */
    uint64_t families;             /**< families made */
    uint64_t series;               /**< series made, over all families, those removed since too */
    uint64_t lanes;                /**< most lanes that were open at once */
    uint64_t series_dropped; /**< how often there was no room for a label set (its family's cap, memory) or a family */
    /** Records that found no lane, no series, or came from a child of a fork or within another call of their thread. */
    uint64_t records_dropped;
    uint64_t values_refused; /**< values (of a transfer: all of it) that no measurement can have */
    uint64_t file_deleted;   /**< 1: the writer found its file deleted when it took memory or a lane; no new reader can
                                open it */
    uint64_t transfers_untracked; /**< begun transfers that found no place among the open ones */
    uint64_t tokens_refused;      /**< ends of transfers that were not open, or were a parent's before a fork */
    uint64_t reserved[6];         /**< 0 */
};
/** Any thread. */
KVTEL_API void kvtel_store_describe(const struct kvtel_store *store, struct kvtel_store_info *info);

/** Takes a free lane. Its totals stay when it is closed, and the next owner adds to them. Any thread.
 * @return KVTEL_OK; KVTEL_E_LIMIT (max_lanes), KVTEL_E_NOMEM, KVTEL_E_BUSY (the store is the parent's of a fork, or the
 * call is made in a signal handler within another one) */
KVTEL_API enum kvtel_status kvtel_lane_open(struct kvtel_store *store, struct kvtel_lane **lane);
/** Gives the lane back for reuse. NULL is fine. Only by its owner. */
KVTEL_API void kvtel_lane_close(struct kvtel_lane *lane);

/** Adds to a counter. Amounts that are negative, NaN or above 2^900 (so that no sum becomes infinite) are refused and
 * counted: false; so are times (KVTEL_UNIT_SECONDS) of more than 2^62 ns. A record for a
 * number that is not a series, or for a series of another type or one that was removed, is dropped. Only the lane's
 * owner; no lock, no system call. */
KVTEL_API bool kvtel_lane_increase(struct kvtel_lane *lane, uint32_t series, double amount);
/** Sets a gauge; among lanes and stores the newest set wins. A value that is infinite or NaN is refused as for
 * kvtel_lane_increase(). Reads the clock. Only the lane's owner. */
KVTEL_API bool kvtel_lane_set(struct kvtel_lane *lane, uint32_t series, double value);
/** Adds values to a histogram. Values are refused as the amounts of kvtel_lane_increase() are; the others are taken:
 * returns how many. Only the lane's owner. */
KVTEL_API size_t kvtel_lane_observe(struct kvtel_lane *lane, uint32_t series, const double *values, size_t count);

KVTEL_END_DECLS
#endif
