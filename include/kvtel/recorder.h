/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Recording by a connector's author: handles once, then one call per transfer.
 *
 * A call takes nanoseconds: no allocation, lock, atomic read-modify-write, system call or clock read. No call makes the
 * transfer fail: a value that cannot be recorded is left out and counted (struct kvtel_store_info). Each thread writes
 * into a lane of its own, which it takes at its first call and gives back when it ends.
 *
 * After fork() recording through the parent's recorders is off in the child, whether the store is in a file or in the
 * heap: calls return false at once and are counted. The child makes a store of its own.
 *
 * A signal handler may record in a thread that recorded into this store before. A call that interrupts another one of
 * its thread returns false and is counted in records_dropped; the interrupted one is not harmed. A thread may be
 * cancelled at any point, also asynchronously: what it had recorded stays. Not allowed: to leave a call by longjmp() or
 * pthread_exit() out of a handler, after which the thread records nothing more; to make stores, recorders or handles in
 * a handler; the first call of a thread in a handler; two threads in one lane at once.
 *
 * libkvtel_record has its functions.
 */
#ifndef KVTEL_RECORDER_H
#define KVTEL_RECORDER_H

#include <kvtel/connector.h>
#include <kvtel/options.h>
#include <kvtel/store.h>

KVTEL_BEGIN_DECLS

/** A connector's families in a store, for one engine. Handles are made by one thread at a time; any thread records
 * through them. */
struct kvtel_recorder;
/** Handle of one kind of transfer: the series into which its values go. Owned by its recorder; any thread. */
struct kvtel_operation;
/** Handle of one field or typed metric with its label values: the series into which its values go. Owned by its
 * recorder; any thread. */
struct kvtel_instrument;

/** Zero is the default of every option. Borrowed until the call returns. */
struct kvtel_recorder_options {
    size_t size;        /**< sizeof(struct kvtel_recorder_options), which KVTEL_RECORDER_OPTIONS() sets; 0:
                           KVTEL_RECORDER_OPTIONS_SIZE_0_1 */
    const char *engine; /**< value of the engine label; NULL: the store's engine as a number */
    const struct kvtel_transfer_config
        *config; /**< chooses among the connector's metrics; NULL: nothing is configured */
    /** Whether the recorder makes the families kvtel_transfer_first_byte_seconds and kvtel_transfer_data_seconds, too.
     * Their values come from transfers with points in time. */
    bool windows;
    /** How many transfers that a thread began can be open at once, each of them visible to readers (see
     * kvtel_transfer_begin()); 65,536 at most. 0: none are. Each thread that records takes 64 bytes for each. The first
     * recorder of a store that gives a number decides. */
    uint32_t open_transfers;
    /** Whether the histograms of transfer times have places for exemplars, see kvtel_record_exemplar(): for each thread
     * 384 bytes a bucket, which is 5 KiB for NIXL. A connector without such a histogram has them in its histogram of
     * sizes. A series that the store has already without places gets none. */
    bool exemplars;
};
/** Size of the options of version 0.1. Members that come later are read only where `size` includes them. */
#define KVTEL_RECORDER_OPTIONS_SIZE_0_1 (offsetof(struct kvtel_recorder_options, exemplars) + sizeof(bool))
/** Options of a recorder inside a call: KVTEL_RECORDER_OPTIONS(.engine = "0"). They live, and their members are
 * ordered, as for KVTEL_STORE_OPTIONS(). */
#define KVTEL_RECORDER_OPTIONS(...) KVTEL_OPTIONS(kvtel_recorder_options, __VA_ARGS__)

/** Makes the connector's families and series. A series for which the store has no room is left out and counted.
 * @param store     outlives the recorder
 * @param connector of NULL (kvtel_connector_find() did not find the name), and of a connector without stats of its own
 * (a MultiConnector), nothing can be recorded: `.warn` is called, and `records_dropped` counts 1
 * @param options   may be NULL
 * @return owned: kvtel_recorder_destroy(). NULL when nothing can be recorded: every function of this header takes NULL
 * and does nothing */
KVTEL_API struct kvtel_recorder *kvtel_recorder_create(struct kvtel_store *store,
                                                       const struct kvtel_connector *connector,
                                                       const struct kvtel_recorder_options *options);
/** Frees the recorder and its handles. The numbers that were recorded stay in the store. NULL is fine. */
KVTEL_API void kvtel_recorder_destroy(struct kvtel_recorder *recorder);

/** The handle of a kind of transfer: of a flow ("load", "store"), or of an operation of a store with its status.
 * @param name   NULL: the connector's first flow, which kvtel_record_transfer() records
 * @param status value of the status label, e.g. "ok"; NULL: "ok"
 * @return borrowed until kvtel_recorder_destroy(), the same for the same name and status. NULL: the connector has no
 * such flow, or its operations must be named; `.warn` is called, and `records_dropped` counts 1. When the store has no
 * room for the series, the handle counts each of its records as dropped. */
KVTEL_API const struct kvtel_operation *kvtel_recorder_operation(struct kvtel_recorder *recorder, const char *name,
                                                                 const char *status);
/** The handle of a field by its key (a level, a count, a sample), or of a typed metric by its name.
 * @param labels values of the metric's own labels, @param count how many
 * @return borrowed until kvtel_recorder_destroy(). NULL: the connector has no such field or metric, or the metric has
 * another number of labels; `.warn` is called, and `records_dropped` counts 1. When the store has no room for the
 * series, the handle counts each of its records as dropped. */
KVTEL_API const struct kvtel_instrument *kvtel_recorder_instrument(struct kvtel_recorder *recorder, const char *key,
                                                                   const char *const *labels, size_t count);

/** Records a finished transfer of the connector's first flow. All its values become visible at once. A number that was
 * not measured adds no value.
 * @return whether it was recorded; false: a number is above KVTEL_TRANSFER_LIMIT, which `values_refused` counts, or
 * there was no room, which `records_dropped` counts */
KVTEL_API bool kvtel_record_transfer(const struct kvtel_recorder *recorder, const struct kvtel_transfer *transfer);
/** Records a finished transfer or a call of a store. @return as kvtel_record_transfer(); NULL `operation`: false */
KVTEL_API bool kvtel_record_operation(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer);
/** Records `count` finished transfers or calls at once, as a loop of kvtel_record_operation() does, in less time: for a
 * caller that finds many that are done. A reader sees the first ones before the last.
 * @return how many were recorded; each of the others is counted as for kvtel_record_transfer(). NULL `operation`: 0 */
KVTEL_API size_t kvtel_record_transfers(const struct kvtel_operation *operation, const struct kvtel_transfer *transfers,
                                        size_t count);
/** Bytes of an exemplar's labels: names and values, with a NUL behind each. */
enum { KVTEL_EXEMPLAR_TEXT = 168 };
/** The labels by which a transfer is found again: a trace, a request, a peer. They are no labels of a series, so they
 * may have any number of values. The caller owns it and sets it to 0 before it adds labels; one may be used for many
 * records. */
struct kvtel_exemplar {
    uint64_t time_ns;               /**< when it happened, CLOCK_REALTIME; 0: the call that records reads the clock */
    uint32_t size;                  /**< bytes of `text` in use: kvtel_exemplar_add() counts them; 0: no label */
    char text[KVTEL_EXEMPLAR_TEXT]; /**< kvtel_exemplar_add() fills it */
    uint64_t reserved[3];           /**< 0 */
};
/** Adds a label. Names and values of all labels have 128 characters at most, the limit of OpenMetrics, and with a NUL
 * behind each KVTEL_EXEMPLAR_TEXT bytes. Both are borrowed until the call returns.
 * @return false, and nothing is added: `name` is not a label's name or is there already, `value` is not UTF-8, there is
 * no room, or an argument is NULL */
KVTEL_API bool kvtel_exemplar_add(struct kvtel_exemplar *exemplar, const char *name, const char *value);
/** Adds the labels trace_id and span_id from a W3C `traceparent`, such as
 * "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": both or none.
 * @return false: the text is malformed, or as kvtel_exemplar_add() */
KVTEL_API bool kvtel_exemplar_add_traceparent(struct kvtel_exemplar *exemplar, const char *traceparent);
/** As kvtel_record_operation(); the transfer is also left as an exemplar at the bucket of its time, where the recorder
 * has places for exemplars. Each thread keeps the last exemplar of each explicit bucket, and readers show the newest
 * of these. A reader never sees a part of one, also when the thread is killed in this call.
 * @param exemplar NULL: none is left. `size` past KVTEL_EXEMPLAR_TEXT: likewise
 * @return as kvtel_record_operation() */
KVTEL_API bool kvtel_record_exemplar(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer,
                                     const struct kvtel_exemplar *exemplar);
/** Records into a series of a store, in the calling thread's own lane: for a program whose metrics are no connector's.
 * Adds to a counter (value >= 0), sets a gauge (any finite value), takes a sample of a histogram (value >= 0).
 * @param exemplar of a sample, where the series has places (kvtel_store_series_exemplars()); NULL: none
 * @return whether it was recorded; false: counted as for kvtel_record_transfer(), as is a number that is no series.
 * NULL `store`: false */
KVTEL_API bool kvtel_store_record(struct kvtel_store *store, uint32_t series, double value,
                                  const struct kvtel_exemplar *exemplar);
/** Records one failure. @return whether it was recorded; false: the connector does not count this class */
KVTEL_API bool kvtel_record_failure(const struct kvtel_recorder *recorder, enum kvtel_failure failure);
/** Sets a level (any finite value), adds to a count (value >= 0) or takes a sample (value >= 0); times are at most 2^62
 * ns. A level reads the clock. @return whether it was recorded; false: counted as for kvtel_record_transfer() */
KVTEL_API bool kvtel_record_value(const struct kvtel_instrument *instrument, double value);

/** What is known of a transfer when it begins. 0 is "not known" of every member. */
struct kvtel_transfer_start {
    uint64_t bytes;      /**< bytes to move; 0 or KVTEL_UNMEASURED: not known */
    uint64_t began_ns;   /**< when it began, CLOCK_MONOTONIC ns; 0: the call reads the clock */
    uint32_t peer;       /**< with whom: kvtel_store_peer(); 0: not known */
    uint32_t reserved;   /**< must be 0 */
    uint64_t reserved_2; /**< must be 0 */
};

/** A transfer that was begun. The members are of no meaning to the caller. All 0: no transfer. */
struct kvtel_transfer_token {
    const struct kvtel_operation *operation; /**< the operation that began it */
    uint64_t began_ns;                       /**< when it began, CLOCK_MONOTONIC ns */
    uint64_t bytes;                          /**< as it was begun with */
    uint64_t state;                          /**< of the place when it was taken */
    uint32_t lane;                           /**< the lane of the place */
    uint32_t place;                          /**< the place in its lane */
};

/** Begins a transfer. Where the operation's recorder has `open_transfers`, other processes see the transfer until it
 * ends: `kvtel serve` shows how many are open, their bytes and the oldest, with whom; and if this process is killed
 * meanwhile, the transfer is counted as lost. When the thread has as many open as there can be, the transfer is
 * recorded at its end all the same, and `transfers_untracked` counts 1; so it is in a signal handler within another
 * call. No allocation, no lock (apart from the first call of a thread), no system call but the reading of the clock.
 * @param start may be NULL
 * @return a token, which ends once: any thread of this process may end it, while the recorder exists. All 0, and
 * counted in `records_dropped`: `operation` is of the parent of a fork. NULL `operation`: all 0 */
KVTEL_API struct kvtel_transfer_token kvtel_transfer_begin(const struct kvtel_operation *operation,
                                                           const struct kvtel_transfer_start *start);
/** Ends a transfer that is complete and records it, as kvtel_record_operation() does. A token that was ended (also
 * through a copy of it, where the transfer was visible), or that a parent of a fork began, is refused: nothing is
 * recorded, and `tokens_refused` counts 1.
 * @param token    marked as ended. All 0: false
 * @param transfer NULL: duration and bytes as known. Otherwise a duration that is 0 or KVTEL_UNMEASURED is the time
 * from the begin to `done_ns` or, where that is not known, to now, for which the call reads the clock; and bytes that
 * are 0 or KVTEL_UNMEASURED are those that the begin told
 * @return whether it was recorded; false: refused, or as kvtel_record_transfer(). A call in a signal handler within
 * another call of its thread returns false, is counted in `records_dropped`, and leaves the transfer open */
KVTEL_API bool kvtel_transfer_end(struct kvtel_transfer_token *token, const struct kvtel_transfer *transfer);
/** As kvtel_transfer_end(); the transfer is also left as an exemplar, as kvtel_record_exemplar() does.
 * @param exemplar NULL: none is left
 * @return as kvtel_transfer_end() */
KVTEL_API bool kvtel_transfer_end_exemplar(struct kvtel_transfer_token *token, const struct kvtel_transfer *transfer,
                                           const struct kvtel_exemplar *exemplar);
/** Ends a transfer that failed: it counts 1 in `kvtel_unfinished_transfers` with outcome "failed", where the recorder
 * has `open_transfers`, and 1 as kvtel_record_failure() does.
 * @param token as for kvtel_transfer_end()
 * @return whether it was counted anywhere; false: refused as there, or neither counts it */
KVTEL_API bool kvtel_transfer_fail(struct kvtel_transfer_token *token, enum kvtel_failure failure);

/** The number of a peer of transfers, such as "10.0.0.7:5600" or "engine/rank", for struct kvtel_transfer_start. The
 * first 64 names of a store get numbers of their own, all others that of "other". Names are UTF-8, at most 47 bytes of
 * them are kept. Never waits. Any thread, not in a signal handler.
 * @return 0: NULL or empty, or the store is the parent's of a fork, or another thread adds a name at this moment: ask
 * again for the next transfer */
KVTEL_API uint32_t kvtel_store_peer(struct kvtel_store *store, const char *name);

/** As kvtel_record_operation(), into a lane that the caller opened with kvtel_lane_open() and owns. @return as
 * kvtel_record_operation(); false as well when the lane belongs to another store than the operation, which the
 * operation's store counts in `records_dropped` */
KVTEL_API bool kvtel_lane_record(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                 const struct kvtel_transfer *transfer);

/** CLOCK_MONOTONIC in nanoseconds. */
KVTEL_API uint64_t kvtel_now_ns(void);

/** A clock that is read without the kernel: the time stamp counter of x86-64, the virtual counter of aarch64, else
 * kvtel_now_ns().
 */
struct kvtel_ticks {
    double ns_per_tick; /**< length of a tick in nanoseconds */
    uint64_t reserved;  /**< 0 */
};
/** Measures it against CLOCK_MONOTONIC for `duration_ns` (0: 10 ms), sleeping. */
KVTEL_API void kvtel_ticks_calibrate(struct kvtel_ticks *ticks, uint64_t duration_ns);
/** The counter now. */
KVTEL_API uint64_t kvtel_ticks_now(void);
/** How long `count` ticks last. */
static inline uint64_t kvtel_ticks_ns(const struct kvtel_ticks *ticks, uint64_t count)
{
    return (uint64_t)((double)count * ticks->ns_per_tick);
}

KVTEL_END_DECLS
#endif
