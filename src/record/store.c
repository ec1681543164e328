/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store, its families, series and groups. */
#include "record/store.h"
#include "record/ending.h"
#include "record/thread.h"
#include "record/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Reads the start of a small file as text. Returns the text's length; 0: it cannot be read. */
static size_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* Start time of this process: field 22 of its stat file. Field 2, the program's name, is in parentheses and may
 * contain anything, so fields are counted from the last parenthesis. */
static uint64_t process_start(void)
{
    char text[1024];
    const char *field = read_text("/proc/self/stat", text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
    for (int i = 2; field && i < 22; i++) {
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    return field ? strtoull(field, NULL, 10) : 0;
}

uint64_t kvtel_boot_hash(void)
{
    char text[64];
    size_t size = read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return size > 0 ? hash : 0;
}

/* Copies a name; a name that is too long is cut between two characters. */
static void copy_name(char *out, size_t size, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
            length--;
    }
    if (length > 0)
        memcpy(out, name, length);
    out[length] = '\0';
}

static uint32_t max_lanes(const struct kvtel_store_options *options)
{
    const uint32_t lanes = options->max_lanes ? options->max_lanes : KVTEL_DEFAULT_MAX_LANES;
    return lanes < KVTEL_LAYOUT_LANES ? lanes : KVTEL_LAYOUT_LANES;
}

/* Fills the header. The size of a lane limits how many series there can be: a histogram takes about 38 KiB of each
 * lane. */
static void fill_header(struct kvtel_layout_header *header, const struct kvtel_store_options *options, bool file)
{
    uint64_t stride = options->lane_bytes ? options->lane_bytes : file ? 128u << 20 : KVTEL_LAYOUT_LANE_BYTES;
    stride = stride < 1u << 20                  ? 1u << 20
             : stride < KVTEL_LAYOUT_LANE_BYTES ? whole_pages(stride)
                                                : KVTEL_LAYOUT_LANE_BYTES;
    uint64_t series = stride / 1024;
    const uint64_t sizes[KVTEL_TABLES] = {
        [KVTEL_FAMILIES] = KVTEL_LAYOUT_FAMILIES * sizeof(struct kvtel_layout_family),
        [KVTEL_BOUNDS] = (uint64_t)KVTEL_LAYOUT_FAMILIES * KVTEL_LAYOUT_BOUNDS * sizeof(double),
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
    header->lines_at = at;
    at += whole_pages(max_lanes(options) * KVTEL_LINE_WORDS * sizeof(kvtel_word));
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
    header->max_lanes = max_lanes(options);
    header->max_series = options->max_series ? options->max_series : KVTEL_DEFAULT_MAX_SERIES;
    header->created_realtime_ns = clock_ns(CLOCK_REALTIME);
    header->created_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    header->pid = (uint64_t)getpid();
    header->process_start = process_start();
    header->boot_hash = kvtel_boot_hash();
    copy_name(header->model_name, sizeof(header->model_name), options->model_name);
    copy_name(header->connector, sizeof(header->connector), options->connector);
}

struct kvtel_store_options kvtel_store_known_options(const struct kvtel_store_options *given)
{
    struct kvtel_store_options options = { 0 };
    if (given)
        memcpy(&options, given, kvtel_options_size(given->size, KVTEL_STORE_OPTIONS_SIZE_0_1, sizeof(options)));
    return options;
}

static void free_memory(struct kvtel_store *store, const struct kvtel_layout_header *header)
{
    uint64_t room = header->tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    kvtel_memory_unmap(store->series, whole_pages(room * sizeof(struct kvtel_series_local)));
    kvtel_token_free((uint64_t *)(uintptr_t)store->token);
    kvtel_memory_unmap(store->header, header->lanes_at);
    free(store->lanes);
    free(store->path);
    free(store);
}

static bool note_file(struct kvtel_store *store)
{
    struct stat status;
    if (store->fd < 0)
        return true;
    if (fstat(store->fd, &status) != 0)
        return false;
    store->device = status.st_dev;
    store->inode = status.st_ino;
    return true;
}

static bool make_memory(struct kvtel_store *store, const struct kvtel_layout_header *header)
{
    uint64_t room = header->tables[KVTEL_SERIES].size / sizeof(struct kvtel_layout_series);
    store->lanes = calloc(header->max_lanes, sizeof(struct kvtel_lane *));
    store->series = kvtel_memory_map(-1, 0, whole_pages(room * sizeof(struct kvtel_series_local)));
    store->token = kvtel_token_make();
    store->header = kvtel_memory_map(store->fd, 0, header->lanes_at);
    return store->lanes && store->series && store->token && store->header &&
           kvtel_memory_extend(store->fd, store->header, 0, 0, KVTEL_LAYOUT_PAGE);
}

/* Gives memory to the first page of each table, so that a full disk is reported now, before anything depends on the
 * file. */
static bool make_tables(struct kvtel_store *store)
{
    for (size_t i = 0; i < KVTEL_TABLES; i++) {
        uint64_t at = store->header->tables[i].at;
        if (!kvtel_memory_extend(store->fd, store->header, 0, at, at + KVTEL_LAYOUT_PAGE))
            return false;
        store->tables[i].reserved = KVTEL_LAYOUT_PAGE;
    }
    return true;
}

enum kvtel_status kvtel_store_make(const struct kvtel_store_options *options, int fd, struct kvtel_store **made)
{
    struct kvtel_layout_header header = { 0 };
    fill_header(&header, options, fd >= 0);
    struct kvtel_store *store = calloc(1, sizeof(*store));
    if (!store)
        return KVTEL_E_NOMEM;
    store->fd = fd;
    store->warn = options->warn;
    store->warn_context = options->warn_context;
    errno = ENOMEM;
    int error = note_file(store) && make_memory(store, &header) ? pthread_mutex_init(&store->lock, NULL) : errno;
    if (error == 0 && (error = pthread_key_create(&store->thread_lane, kvtel_thread_lane_end)) != 0)
        pthread_mutex_destroy(&store->lock);
    if (error != 0) {
        free_memory(store, &header);
        errno = error;
        return KVTEL_E_NOMEM;
    }
    memcpy(store->header, &header, sizeof(header));
    memcpy(store->header->magic, KVTEL_LAYOUT_MAGIC, sizeof(header.magic));
    if (!make_tables(store)) {
        error = errno;
        store->fd = -1; /* on failure the descriptor stays the caller's */
        kvtel_store_close(store);
        errno = error;
        return KVTEL_E_NOMEM;
    }
    if (options->model_name && strlen(options->model_name) >= sizeof(header.model_name))
        kvtel_store_warn(store, KVTEL_WARN_TEXT,
                         "model_name is longer than 511 bytes and is cut: two that begin alike are one");
    else if (options->connector && strlen(options->connector) >= sizeof(header.connector))
        kvtel_store_warn(store, KVTEL_WARN_TEXT, "connector is longer than 127 bytes and is cut");
    *made = store;
    return KVTEL_OK;
}

struct kvtel_store *kvtel_store_create(const struct kvtel_store_options *given)
{
    const struct kvtel_store_options options = kvtel_store_known_options(given);
    struct kvtel_store *store = NULL;
    (void)kvtel_store_make(&options, -1, &store);
    return store;
}

const char *kvtel_store_path(const struct kvtel_store *store)
{
    return store->path;
}

uint32_t kvtel_store_lane_count(const struct kvtel_store *store)
{
    uint32_t count = (uint32_t)atomic_load_explicit(&store->header->lane_count, memory_order_acquire);
    while (count > 0 && !store->lanes[count - 1])
        count--;
    return count;
}

void kvtel_store_describe(const struct kvtel_store *store, struct kvtel_store_info *info)
{
    const struct kvtel_layout_open *open = kvtel_store_open_header(store);
    kvtel_header_info(store->header, info);
    info->transfers_untracked = atomic_load_explicit(&open->untracked, memory_order_relaxed);
    info->tokens_refused = atomic_load_explicit(&open->refused, memory_order_relaxed);
}

uint64_t kvtel_store_series_dropped(const struct kvtel_store *store)
{
    return atomic_load_explicit(&store->header->series_dropped, memory_order_relaxed);
}

void kvtel_header_info(const struct kvtel_layout_header *header, struct kvtel_store_info *info)
{
    *info = (struct kvtel_store_info){ .engine = header->engine, .rank = header->rank, .pid = header->pid };
    memcpy(info->model_name, header->model_name, sizeof(info->model_name) - 1);
    memcpy(info->connector, header->connector, sizeof(info->connector) - 1);
    info->process_start = header->process_start;
    info->created_realtime_ns = header->created_realtime_ns;
    info->created_monotonic_ns = header->created_monotonic_ns;
    info->families = atomic_load_explicit(&header->family_count, memory_order_relaxed);
    info->series = atomic_load_explicit(&header->series_count, memory_order_relaxed);
    info->lanes = atomic_load_explicit(&header->lane_count, memory_order_relaxed);
    info->series_dropped = atomic_load_explicit(&header->series_dropped, memory_order_relaxed);
    info->records_dropped = atomic_load_explicit(&header->records_dropped, memory_order_relaxed);
    info->values_refused = atomic_load_explicit(&header->values_refused, memory_order_relaxed);
    info->file_deleted = atomic_load_explicit(&header->file_deleted, memory_order_relaxed);
}

void kvtel_store_close(struct kvtel_store *store)
{
    if (!store || !kvtel_store_ends(store))
        return;
    uint32_t lane_count = kvtel_store_lane_count(store);
    for (uint32_t i = 0; i < lane_count; i++) {
        kvtel_memory_unmap((void *)(uintptr_t)store->lanes[i]->words, store->header->lane_stride);
        free(store->lanes[i]);
    }
    for (struct kvtel_row_group *group = store->groups, *next; group; group = next) {
        next = group->next;
        free(group);
    }
    kvtel_bins_free(store->bins);
    free(store->index.entries);
    if (kvtel_store_is_file(store, store->fd))
        (void)close(store->fd);
    pthread_key_delete(store->thread_lane);
    pthread_mutex_destroy(&store->lock);
    const struct kvtel_layout_header header = { .lanes_at = store->header->lanes_at,
                                                .tables[KVTEL_SERIES] = store->header->tables[KVTEL_SERIES] };
    free_memory(store, &header);
}
