/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store, its families, series and groups. */
#include "store/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t whole_pages(uint64_t size)
{
    return (size + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
}

/* A lane's stride decides how much of everything there can be: a histogram series takes about 17 KiB of a lane. */
static void fill_header(struct kvtel_layout_header *header, const struct kvtel_store_options *options, bool file)
{
    uint64_t stride = options->lane_bytes ? options->lane_bytes : file ? 64u << 20 : 1u << 30;
    stride = whole_pages(stride < 1u << 20 ? 1u << 20 : stride);
    uint64_t series = stride / 1024;
    const uint64_t sizes[KVTEL_TABLES] = {
        [KVTEL_FAMILIES] = KVTEL_LAYOUT_FAMILIES * sizeof(struct kvtel_layout_family),
        [KVTEL_BOUNDS] = (uint64_t)KVTEL_LAYOUT_FAMILIES * 64 * sizeof(double),
        [KVTEL_SERIES] = series * sizeof(struct kvtel_layout_series),
        [KVTEL_GROUPS] = series * sizeof(struct kvtel_layout_group),
        [KVTEL_FEEDS] = series * sizeof(struct kvtel_layout_feed),
        [KVTEL_STRINGS] = series * 256,
    };
    uint64_t at = KVTEL_LAYOUT_PAGE;
    for (size_t i = 0; i < KVTEL_TABLES; i++) {
        header->tables[i] = (struct kvtel_layout_table){ at, whole_pages(sizes[i]) };
        at += header->tables[i].size;
    }
    header->lanes_at = at;
    header->lane_stride = stride;
    header->slots_size = whole_pages(series * 2 * KVTEL_SLOT_WORDS * sizeof(kvtel_word));
    header->byte_order = KVTEL_LAYOUT_ORDER;
    header->version = KVTEL_LAYOUT_VERSION;
    header->header_size = sizeof(*header);
    header->schema = KVTEL_LAYOUT_SCHEMA;
    header->block_rows = KVTEL_BLOCK_ROWS;
    header->engine = options->engine;
    header->rank = options->rank;
    header->max_lanes = options->max_lanes ? options->max_lanes : KVTEL_DEFAULT_MAX_LANES;
    if (header->max_lanes > KVTEL_LAYOUT_LANES)
        header->max_lanes = KVTEL_LAYOUT_LANES;
    header->max_series = options->max_series ? options->max_series : KVTEL_DEFAULT_MAX_SERIES;
    header->created_realtime_ns = clock_ns(CLOCK_REALTIME);
    header->created_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    header->pid = (uint64_t)getpid();
    if (options->model_name)
        strncpy(header->model_name, options->model_name, sizeof(header->model_name) - 1);
    if (options->connector)
        strncpy(header->connector, options->connector, sizeof(header->connector) - 1);
}

/* A caller that was built against an older header gave fewer options: the rest is 0. */
static struct kvtel_store_options known_options(const struct kvtel_store_options *given)
{
    struct kvtel_store_options options = { 0 };
    if (given && given->size > 0)
        memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
    return options;
}

enum kvtel_status kvtel_store_make(const struct kvtel_store_options *given, int fd, struct kvtel_store **made)
{
    const struct kvtel_store_options options = known_options(given);
    struct kvtel_layout_header header = { 0 };
    fill_header(&header, &options, fd >= 0);
    struct kvtel_store *store = calloc(1, sizeof(*store));
    if (!store)
        return KVTEL_E_NOMEM;
    store->fd = fd;
    uint64_t room = header.tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    store->lanes = calloc(header.max_lanes, sizeof(struct kvtel_lane *));
    store->series = kvtel_memory_map(-1, 0, whole_pages(room * sizeof(struct kvtel_series_local)));
    store->header = kvtel_memory_map(fd, 0, header.lanes_at);
    if (!store->lanes || !store->series || !store->header || pthread_mutex_init(&store->lock, NULL) != 0 ||
        !kvtel_memory_extend(fd, store->header, 0, 0, KVTEL_LAYOUT_PAGE)) {
        if (store->header)
            kvtel_memory_unmap(store->header, header.lanes_at);
        if (store->series)
            kvtel_memory_unmap(store->series, whole_pages(room * sizeof(struct kvtel_series_local)));
        free(store->lanes);
        free(store);
        return KVTEL_E_NOMEM;
    }
    memcpy(store->header, &header, sizeof(header));
    memcpy(store->header->magic, KVTEL_LAYOUT_MAGIC, sizeof(header.magic));
    *made = store;
    return KVTEL_OK;
}

struct kvtel_store *kvtel_store_create(const struct kvtel_store_options *options)
{
    struct kvtel_store *store = NULL;
    (void)kvtel_store_make(options, -1, &store);
    return store;
}

void kvtel_store_close(struct kvtel_store *store)
{
    if (!store)
        return;
    uint64_t lane_count = atomic_load_explicit(&store->header->lane_count, memory_order_relaxed);
    for (uint64_t i = 0; i < lane_count; i++) {
        kvtel_memory_unmap((void *)(uintptr_t)store->lanes[i]->words, store->header->lane_stride);
        free(store->lanes[i]);
    }
    for (struct kvtel_group *group = store->groups, *next; group; group = next) {
        next = group->next;
        free(group);
    }
    kvtel_bins_free(store->bins);
    free(store->index.entries);
    free(store->lanes);
    uint64_t room = store->header->tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    kvtel_memory_unmap(store->series, whole_pages(room * sizeof(struct kvtel_series_local)));
    kvtel_memory_unmap(store->header, store->header->lanes_at);
    if (store->fd >= 0)
        (void)close(store->fd);
    pthread_mutex_destroy(&store->lock);
    free(store);
}
