/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in the last hour, for the page and `kvtel top`: points in time, each with what grew since the point
 * before, by connector, engine and flow. Points are merged as they get older, so memory is bounded whatever happens.
 * docs/decisions/history.md says why it is made so.
 *
 * Any thread: a history has a lock of its own. */
#ifndef KVTEL_HISTORY_HISTORY_H
#define KVTEL_HISTORY_HISTORY_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>
#include <stdbool.h>
#include <stddef.h>

struct history;
struct kvtel_snapshot_summary;

/* How long a history can be, in seconds. */
#define HISTORY_LEAST 60.0
#define HISTORY_MOST 86400.0
/* Points end about this often: the duration's share. Older points cover HISTORY_SECOND and HISTORY_THIRD times that. */
enum { HISTORY_STEPS = 720, HISTORY_SECOND = 3, HISTORY_THIRD = 12 };

/* A history of `seconds`, empty. NULL: no memory. */
struct history *history_create(double seconds);
/* NULL is fine. */
void history_destroy(struct history *history);
/* Seconds between two calls of history_take(). */
double history_step(const struct history *history);

/* Adds a point that ends now: what grew since the last call. The first call, and one after a failure, makes no point,
 * as nothing is known of what was before; a counter that fell is left out of one point.
 * @param summary  since the start of counting, not of an interval
 * @param time     seconds since 1970
 * @param now_ns   CLOCK_MONOTONIC
 * @return KVTEL_OK; KVTEL_E_NOMEM: the point is missing */
enum kvtel_status history_take(struct history *history, const struct kvtel_snapshot_summary *summary, double time,
                               uint64_t now_ns);
/* Appends the body of /api/v1/history (docs/api-history.md). The lock is held while names are copied, not while the
 * body is written, so points come in time however many answers are being written. KVTEL_OK, or KVTEL_E_NOMEM with
 * `buffer` unchanged. */
enum kvtel_status history_write_json(struct history *history, double time, struct kvtel_buffer *buffer);

/* Reads the points of DIR's file that are not older than the history is long. The history is empty before.
 * @return KVTEL_OK, also without a file; KVTEL_E_FORMAT, KVTEL_E_TRUNCATED: damaged, of another version, or not a
 * regular file; KVTEL_E_IO, KVTEL_E_NOMEM. On failure the history is empty, and `error` says why */
enum kvtel_status history_load(struct history *history, const char *dir, double time, struct kvtel_error *error);
/* Replaces DIR's file atomically; without a point and a name nothing is written. When the disk is full, the file is
 * removed, because it must not take the room of totals. KVTEL_OK, KVTEL_E_IO, KVTEL_E_NOMEM. */
enum kvtel_status history_save(struct history *history, const char *dir, struct kvtel_error *error);

/* Bytes of memory that the history has now, and the number of its points. */
size_t history_memory(struct history *history);
size_t history_point_count(struct history *history);

#endif
