/* SPDX-License-Identifier: Apache-2.0 */
/* A summary of this machine, without an exporter. Stores are read as the exporter reads them, and nothing is written:
 * what has ended stays for the exporter, whose totals are read too. */
#include "top/source.h"

#include "base/buffer.h"
#include "base/error.h"
#include "collect/reader.h"
#include "nixl/rings.h"
#include "report/summary_json.h"
#include "top/open_list.h"
#include "top/state.h"
#include "totals/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <kvtel/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 1000, SHOWN = 256, SUFFIX = 6 };
#define OWN_CONNECTOR "kvtel serve" /* of the store in which an exporter counts rings and posts */
static const uint64_t MS_NS = 1000000u;

/* A store's file. */
struct file {
    char *name;
    dev_t device;
    ino_t inode;
    struct kvtel_store_reader *reader; /* NULL: refused */
    char reason[192];
    struct kvtel_store_info info;
    bool seen, counts, live;
};

struct local {
    struct top_local_options options;
    struct file files[FILES];
    size_t count, left_out; /* files that are more than can be read */
    struct kvtel_snapshot *snapshot;
    struct totals totals;
    struct totals_identity totals_file;
    struct kvtel_store *ring_store;
    struct kvtel_nixl_rings *rings;
    uint64_t rings_due_ns, started_ns;
    struct top_open_list open;
};

/* -- Files -- */

static void close_file(struct file *file)
{
    kvtel_store_reader_close(file->reader);
    free(file->name);
    *file = (struct file){ 0 };
}

static struct file *find(struct local *local, const char *name, const struct stat *status)
{
    for (size_t i = 0; i < local->count; i++)
        if (local->files[i].inode == status->st_ino && local->files[i].device == status->st_dev &&
            strcmp(local->files[i].name, name) == 0)
            return &local->files[i];
    return NULL;
}

/* Tries to open a store. A file that is refused is tried again at each look: it may be a store by then. */
static void open_file(int dir, struct file *file)
{
    struct kvtel_error error = { 0 };
    struct stat status;
    int fd = kvtel_store_file_open(dir, file->name, O_NOFOLLOW, &status, &error);
    if (fd >= 0)
        (void)kvtel_store_reader_take(fd, &file->reader, &error);
    (void)snprintf(file->reason, sizeof file->reason, "%s", file->reader ? "" : error.message);
}

static void meet(struct local *local, int dir, const char *name)
{
    struct stat status;
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    struct file *file = find(local, name, &status);
    if (!file && local->count == FILES) {
        local->left_out++;
        return;
    }
    if (!file) {
        file = &local->files[local->count];
        *file = (struct file){ .name = strdup(name), .device = status.st_dev, .inode = status.st_ino };
        if (!file->name)
            return;
        local->count++;
    }
    file->seen = true;
    if (!file->reader)
        open_file(dir, file);
}

static bool is_store_name(const char *name)
{
    size_t size = strlen(name);
    return name[0] != '.' && size > SUFFIX && strcmp(name + size - SUFFIX, ".kvtel") == 0;
}

/* Looks at the directory. KVTEL_OK, also where it does not exist; KVTEL_E_IO. */
static enum kvtel_status scan(struct local *local, struct kvtel_error *error)
{
    DIR *directory = opendir(local->options.dir);
    if (!directory && errno != ENOENT)
        return kvtel_fail(error, KVTEL_E_IO, 0, "%s", strerrordesc_np(errno));
    for (size_t i = 0; i < local->count; i++)
        local->files[i].seen = false;
    local->left_out = 0;
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        if (is_store_name(entry->d_name))
            meet(local, dirfd(directory), entry->d_name);
    if (directory)
        closedir(directory);
    return KVTEL_OK;
}

static void take_totals(struct local *local)
{
    if (!totals_file_is(local->options.dir, &local->totals_file)) {
        struct totals totals = { 0 };
        struct totals_identity identity = { 0 };
        if (totals_file_read(local->options.dir, &totals, &identity, NULL) == KVTEL_OK) {
            totals_free(&local->totals);
            local->totals = totals;
            local->totals_file = identity;
        } else {
            totals_free(&totals);
        }
    }
}

/* Drops the stores whose files went away. True: there was one. */
static bool drop_gone(struct local *local)
{
    char path[TOTALS_PATH];
    struct stat status;
    bool any = false;
    for (size_t i = local->count; i-- > 0;) {
        struct file *file = &local->files[i];
        int size = snprintf(path, sizeof path, "%s/%s", local->options.dir, file->name);
        bool is_there = file->seen && size > 0 && (size_t)size < sizeof path && lstat(path, &status) == 0 &&
                        status.st_ino == file->inode && status.st_dev == file->device;
        if (is_there)
            continue;
        close_file(file);
        local->files[i] = local->files[--local->count];
        any = true;
    }
    return any;
}

/* Reads the totals if they changed, after the directory was listed: an exporter writes them before it removes what they
 * include. So they are read again where files went away since. */
static void read_totals(struct local *local)
{
    int tries = 0;
    do
        take_totals(local);
    while (drop_gone(local) && ++tries < 4);
    for (size_t i = 0; i < local->count; i++)
        local->files[i].counts = local->files[i].reader && !totals_include(&local->totals, local->files[i].name);
}

/* -- Rings -- */

/* Whether an exporter counts these rings into a store of the directory: then they are not counted again. */
static bool is_counted_elsewhere(const struct local *local)
{
    bool busy = false, exporter = false;
    for (size_t i = 0; i < kvtel_nixl_rings_count(local->rings); i++)
        busy = busy || kvtel_nixl_rings_at(local->rings, i).ring->busy;
    for (size_t i = 0; i < local->count; i++)
        exporter = exporter || (local->files[i].live && strcmp(local->files[i].info.connector, OWN_CONNECTOR) == 0);
    return busy && exporter;
}

static void poll_rings(struct local *local)
{
    const uint64_t now_ns = kvtel_now_ns();
    if (local->rings && now_ns >= local->rings_due_ns)
        local->rings_due_ns = now_ns + kvtel_nixl_rings_poll(local->rings, now_ns);
}

static enum kvtel_status open_rings(struct local *local)
{
    if (!local->options.nixl_dir)
        return KVTEL_OK;
    local->ring_store = kvtel_store_create(NULL);
    const struct kvtel_nixl_rings_options options = { .folder = local->options.nixl_dir, .store = local->ring_store };
    return local->ring_store ? kvtel_nixl_rings_create(&options, &local->rings) : KVTEL_E_NOMEM;
}

/* -- The summary -- */

static void read_stores(struct local *local)
{
    top_open_begin(&local->open);
    for (size_t i = 0; i < local->count; i++) {
        struct file *file = &local->files[i];
        struct kvtel_error error = { 0 };
        file->live = file->reader && kvtel_store_reader_state(file->reader) == KVTEL_STORE_LIVE;
        if (!file->counts)
            continue;
        enum kvtel_status status = kvtel_snapshot_add_reader(local->snapshot, file->reader, &error);
        if (status != KVTEL_OK && status != KVTEL_E_MISMATCH && kvtel_store_reader_has_kept(file->reader))
            (void)kvtel_snapshot_add_kept(local->snapshot, file->reader);
        (void)snprintf(file->reason, sizeof file->reason, "%s", error.message);
        kvtel_store_reader_info(file->reader, &file->info);
        if (file->live)
            top_open_add(&local->open, file->reader);
    }
}

static size_t list_sources(const struct local *local, struct summary_source *sources, size_t *recording)
{
    size_t count = 0;
    const uint64_t now_ns = kvtel_now_ns();
    for (size_t i = 0; i < local->count; i++) {
        const struct file *file = &local->files[i];
        const struct kvtel_store_info *info = &file->info;
        *recording += file->live && strcmp(info->connector, OWN_CONNECTOR) != 0;
        if (count == SHOWN)
            continue;
        sources[count] = (struct summary_source){
            .kind = "store",
            .name = file->name,
            .state = !file->reader ? "refused"
                     : file->live  ? "live"
                                   : "ended",
            .reason = file->reason,
            .engine = info->engine,
            .rank = info->rank,
            .pid = info->pid,
            .age_seconds = info->created_monotonic_ns > 0 && info->created_monotonic_ns < now_ns
                               ? (double)(now_ns - info->created_monotonic_ns) / 1e9
                               : 0,
        };
        (void)snprintf(sources[count].connector, sizeof sources[count].connector, "%s", info->connector);
        count++;
    }
    for (size_t i = 0; local->rings && i < kvtel_nixl_rings_count(local->rings); i++) {
        struct kvtel_nixl_ring_info info = kvtel_nixl_rings_at(local->rings, i);
        *recording += info.ring->state <= KVTEL_NIXL_READ_ONLY;
        if (count < SHOWN)
            sources[count++] = (struct summary_source){ .kind = "ring",
                                                        .name = info.name,
                                                        .state = kvtel_nixl_state_text(info.ring->state),
                                                        .reason = info.ring->reason,
                                                        .connector = "NIXL telemetry" };
    }
    return count;
}

static enum kvtel_status write_summary(struct local *local, struct kvtel_buffer *json)
{
    struct summary_source *sources = calloc(SHOWN, sizeof *sources);
    struct summary_options options = {
        .limit = TOP_ENTRIES,
        .uptime_seconds = (double)(kvtel_now_ns() - local->started_ns) / 1e9,
        .sources = sources,
        .all_sources = local->count + local->left_out + (local->rings ? kvtel_nixl_rings_count(local->rings) : 0),
        .open = local->open.rows,
        .open_count = local->open.count,
        .oldest = local->open.oldest,
        .oldest_count = local->open.oldest_count,
        .open_peers = &local->open.peers,
    };
    if (!sources)
        return KVTEL_E_NOMEM;
    options.source_count = list_sources(local, sources, &options.recording);
    json->size = 0;
    enum kvtel_status status = summary_json_write(local->snapshot, &options, json);
    free(sources);
    return status;
}

static enum top_reading go_on(void *context, struct kvtel_buffer *json, struct kvtel_error *error)
{
    struct local *local = context;
    if (scan(local, error) != KVTEL_OK)
        return TOP_FAILED;
    read_totals(local);
    kvtel_snapshot_reset(local->snapshot);
    read_stores(local);
    poll_rings(local);
    if (local->totals.bytes.size > 0)
        (void)totals_add_to(&local->totals, local->snapshot); /* what does not match the live stores is left out */
    if (local->rings && !is_counted_elsewhere(local))
        (void)kvtel_snapshot_add(local->snapshot, local->ring_store);
    enum kvtel_status status = write_summary(local, json);
    if (status != KVTEL_OK)
        (void)kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    return status == KVTEL_OK ? TOP_DONE : TOP_FAILED;
}

static void begin(void *context)
{
    (void)context;
}

/* Waits, but looks at the rings when they are due: they would fill up otherwise. */
static void wait_for(void *context, struct pollfd *fds, size_t count, int timeout_ms)
{
    struct local *local = context;
    const uint64_t until_ns = kvtel_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * MS_NS;
    for (;;) {
        const uint64_t now_ns = kvtel_now_ns();
        uint64_t next_ns = local->rings && local->rings_due_ns < until_ns ? local->rings_due_ns : until_ns;
        uint64_t left_ms = next_ns > now_ns ? (next_ns - now_ns + MS_NS - 1) / MS_NS : 0;
        if (poll(fds, (nfds_t)count, (int)left_ms) != 0 || kvtel_now_ns() >= until_ns)
            break;
        poll_rings(local);
    }
}

static void close_local(void *context)
{
    struct local *local = context;
    for (size_t i = 0; i < local->count; i++)
        close_file(&local->files[i]);
    kvtel_nixl_rings_destroy(local->rings);
    kvtel_store_close(local->ring_store);
    kvtel_snapshot_destroy(local->snapshot);
    totals_free(&local->totals);
    top_open_close(&local->open);
    free(local);
}

enum kvtel_status top_local_open(const struct top_local_options *options, struct top_source *source,
                                 struct kvtel_error *error)
{
    struct local *local = calloc(1, sizeof *local);
    if (!local)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    local->options = *options;
    local->started_ns = kvtel_now_ns();
    local->snapshot = kvtel_snapshot_create();
    enum kvtel_status status = local->snapshot ? open_rings(local) : KVTEL_E_NOMEM;
    if (status != KVTEL_OK) {
        close_local(local);
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    *source =
        (struct top_source){ .context = local, .begin = begin, .go_on = go_on, .wait = wait_for, .close = close_local };
    return KVTEL_OK;
}
