/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a file whose recorder shows open transfers, and what a reader finds in it. */
#ifndef KVTEL_TESTS_OPEN_SCENE_H
#define KVTEL_TESTS_OPEN_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/open.h"
#include "collect/reader.h"
#include "collect/series.h"
#include "record/store.h"

static char dir[32];

struct scene {
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operation;
};

static inline void open_scene(struct scene *scene, uint32_t places)
{
    scene->store = kvtel_store_open(
        KVTEL_STORE_OPTIONS(.model_name = "m", .engine = 3, .dir = dir, .lane_bytes = 2 << 20, .max_lanes = 8));
    assert_non_null(kvtel_store_path(scene->store));
    scene->recorder = kvtel_recorder_create(scene->store, kvtel_connector_find("NixlConnector"),
                                            KVTEL_RECORDER_OPTIONS(.open_transfers = places));
    scene->operation = kvtel_recorder_operation(scene->recorder, NULL, NULL);
    assert_non_null(scene->operation);
}

static inline void close_scene(struct scene *scene)
{
    assert_int_equal(unlink(kvtel_store_path(scene->store)), 0);
    kvtel_recorder_destroy(scene->recorder);
    kvtel_store_close(scene->store);
}

static inline struct kvtel_transfer_token begin(const struct scene *scene, uint64_t bytes)
{
    return kvtel_transfer_begin(scene->operation,
                                &(struct kvtel_transfer_start){ .bytes = bytes, .began_ns = 1000 + bytes });
}

static inline struct kvtel_store_info info_of(const struct scene *scene)
{
    struct kvtel_store_info info;
    kvtel_store_describe(scene->store, &info);
    return info;
}

/* A family's series with this value of its last label; without `last`: its first series. */
static inline double value_in(const struct kvtel_snapshot *snapshot, const char *name, const char *last)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, name);
    for (size_t i = 0; family && i < family->series_count; i++)
        if (!last || strcmp(family->series[i].values[family->label_count - 1], last) == 0)
            return family->type == KVTEL_HISTOGRAM ? (double)family->series[i].count : family->series[i].value;
    fail_msg("%s is not there", name);
    return -1;
}

static inline struct kvtel_snapshot *read_file(const char *path)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    kvtel_store_reader_close(reader);
    return snapshot;
}

static inline double value_of(const struct scene *scene, const char *name, const char *last)
{
    struct kvtel_snapshot *snapshot = read_file(kvtel_store_path(scene->store));
    double value = value_in(snapshot, name, last);
    kvtel_snapshot_destroy(snapshot);
    return value;
}

static inline uint64_t recorded(const struct scene *scene)
{
    return (uint64_t)value_of(scene, "vllm:nixl_xfer_time_seconds", NULL);
}

/* Lists what is open, by the file and by this process's own view, which must be the same. */
static inline void list_open(const struct scene *scene, struct kvtel_open_list *list)
{
    struct kvtel_open_list own = { 0 };
    struct kvtel_store_reader *reader;
    struct kvtel_view view = kvtel_store_view(scene->store);
    assert_int_equal(kvtel_open_read(&view, &own), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(scene->store), &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_OK);
    assert_int_equal(kvtel_open_read(&view, list), KVTEL_OK);
    assert_int_equal(list->count, own.count);
    for (size_t i = 0; i < own.count; i++) {
        assert_memory_equal(&own.all[i], &list->all[i], sizeof *own.all);
        assert_string_equal(kvtel_open_label(&view, &own.all[i], "connector"), "NixlConnector");
        assert_string_equal(kvtel_open_label(&view, &own.all[i], "engine"), "3");
        assert_string_equal(kvtel_open_label(&view, &own.all[i], "model_name"), "m");
        assert_string_equal(kvtel_open_label(&view, &own.all[i], "other"), "");
    }
    kvtel_store_reader_close(reader);
    kvtel_open_list_free(&own);
}

static inline size_t count_open(const struct scene *scene)
{
    struct kvtel_open_list list = { 0 };
    list_open(scene, &list);
    const size_t count = list.count;
    kvtel_open_list_free(&list);
    return count;
}

static inline int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/dev/shm/kvtel-open-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

#endif
