/* SPDX-License-Identifier: Apache-2.0 */
/* Stores and recorders as tests make them, and what a snapshot has to hold. Whatever fails, fails the test. */
#ifndef KVTEL_TEST_STORES_H
#define KVTEL_TEST_STORES_H

#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>

/* A store on the heap: model "m", engine `engine`. */
struct kvtel_store *create_store(uint32_t engine);

/* A series of a family with one label, `n`. */
uint32_t make_labelled(struct kvtel_store *store, const char *name, enum kvtel_metric_type type, const char *value);

/* For a built-in connector, by its name. */
struct kvtel_recorder *create_recorder(struct kvtel_store *store, const char *connector);

/* What the store holds now. NULL: an empty snapshot. */
struct kvtel_snapshot *snapshot_of(const struct kvtel_store *store);

/* The series whose label values after model_name and engine are `own`, separated by commas. */
const struct kvtel_snapshot_series *find_series(const struct kvtel_snapshot *snapshot, const char *name,
                                                const char *own);

/* A histogram's count, and its sum to nine digits. */
void check_sum(const struct kvtel_snapshot *snapshot, const char *name, const char *own, uint64_t count, double sum);

/* The value of a counter or gauge, to nine digits. */
void check_value(const struct kvtel_snapshot *snapshot, const char *name, const char *own, double value);

#endif
