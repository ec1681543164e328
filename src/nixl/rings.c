/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the telemetry rings of a folder and keeps reading them.
 *
 * Rings remain when their agents end, and each start of an agent may add one. So only rings that were used lately
 * are warm: open, and examined every few milliseconds. All others are cold: opened, read and closed once a second.
 * Nothing is lost by closing a ring, because its file contains the reader's position. */
#include "nixl/rings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nixl/metrics.h"

enum { MAX_RINGS = 10000, MAX_WARM = 256, MAX_DEPTH = 4, BATCH = 256 };

static const uint64_t SECOND = 1000000000;
static const uint64_t WARM_NS = 300 * UINT64_C(1000000000);
static const uint64_t SAY_NS = 10 * UINT64_C(1000000000);
static const uint64_t DEFAULT_INTERVAL_NS = 50000000; /* half of NIXL's interval between writes to its ring */
static const uint64_t CHECK_NS = 200000000;
static const uint64_t SCAN_SHARE = 100; /* listing the folder takes at most one part in this many of a core's time */

struct entry {
    char *name;
    struct kvtel_nixl_ring ring;
    struct kvtel_nixl_agent agent;
    double memory;      /* bytes registered now */
    uint64_t active_ns; /* time of the last events or, without events, of the file's last change */
    uint64_t due_ns;    /* warm: time of the next look */
    bool warm, seen;
    bool filling; /* a quarter or more of its slots were in use at the last look */
    bool said;
    enum kvtel_nixl_state said_state;
    uint64_t said_ns;
};

struct kvtel_nixl_rings {
    struct kvtel_nixl_rings_options options;
    struct kvtel_nixl_metrics metrics;
    char *folder;
    struct entry **entries; /* sorted by name */
    size_t count, capacity;
    struct entry *warm[MAX_WARM];
    size_t warm_count;
    size_t foreign, over_limit; /* files that the last scan found and did not use */
    double memory;              /* bytes registered now, of agents without series of their own */
    uint64_t scan_ns;           /* time of the next scan, unless a change is noticed before */
    uint64_t check_ns;          /* time of the next look for a change of the folder */
    struct timespec changed;    /* the folder's time of change at the last scan */
    bool readable, said;        /* of the folder: whether it can be read, whether that was logged */
    bool incomplete;            /* the last scan was incomplete: a file that it did not see may exist */
    bool states_changed;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

enum kvtel_status kvtel_nixl_rings_create(const struct kvtel_nixl_rings_options *options,
                                          struct kvtel_nixl_rings **rings)
{
    struct kvtel_nixl_rings *made = calloc(1, sizeof(*made));
    char *folder = strdup(options->folder);
    enum kvtel_status status = made && folder ? KVTEL_OK : KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = kvtel_nixl_metrics_init(&made->metrics, options->store, options->agent_label);
    if (status != KVTEL_OK) {
        free(folder);
        free(made);
        return status;
    }
    made->options = *options;
    made->folder = folder;
    made->states_changed = true;
    if (made->options.interval_ns == 0)
        made->options.interval_ns = DEFAULT_INTERVAL_NS;
    if (made->options.most_open == 0 || made->options.most_open > MAX_WARM)
        made->options.most_open = MAX_WARM;
    *rings = made;
    return KVTEL_OK;
}

static void free_entry(struct entry *entry)
{
    kvtel_nixl_ring_close(&entry->ring);
    free(entry->name);
    free(entry);
}

void kvtel_nixl_rings_destroy(struct kvtel_nixl_rings *rings)
{
    if (!rings)
        return;
    for (size_t i = 0; i < rings->count; i++)
        free_entry(rings->entries[i]);
    kvtel_nixl_metrics_close(&rings->metrics);
    free(rings->entries);
    free(rings->folder);
    free(rings);
}

void kvtel_nixl_rings_look(struct kvtel_nixl_rings *rings)
{
    rings->scan_ns = 0;
}

size_t kvtel_nixl_rings_count(const struct kvtel_nixl_rings *rings)
{
    return rings->count;
}

struct kvtel_nixl_ring_info kvtel_nixl_rings_at(const struct kvtel_nixl_rings *rings, size_t i)
{
    return (struct kvtel_nixl_ring_info){ rings->entries[i]->name, &rings->entries[i]->ring };
}

/* The place of the name in the list, or the place for it. */
static size_t place_of(const struct kvtel_nixl_rings *rings, const char *name)
{
    size_t low = 0, high = rings->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rings->entries[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow(struct kvtel_nixl_rings *rings)
{
    if (rings->count < rings->capacity)
        return true;
    size_t capacity = rings->capacity ? 2 * rings->capacity : 16;
    struct entry **entries = realloc(rings->entries, capacity * sizeof(struct entry *));
    if (!entries)
        return false;
    rings->entries = entries;
    rings->capacity = capacity;
    return true;
}

/* Inserts an entry. On success the entry owns the ring. */
static struct entry *insert(struct kvtel_nixl_rings *rings, size_t place, const char *name,
                            const struct kvtel_nixl_ring *ring, uint64_t now_ns)
{
    struct entry *entry = grow(rings) ? calloc(1, sizeof(*entry)) : NULL;
    char *copy = entry ? strdup(name) : NULL;
    if (!copy) {
        free(entry);
        return NULL;
    }
    uint64_t wall_ns = clock_ns(CLOCK_REALTIME), changed_ns = (uint64_t)ring->changed_ns;
    uint64_t age_ns = changed_ns < wall_ns ? wall_ns - changed_ns : 0;
    entry->name = copy;
    entry->ring = *ring;
    entry->active_ns = age_ns < now_ns ? now_ns - age_ns : 0;
    kvtel_nixl_metrics_agent(&rings->metrics, name, &entry->agent);
    memmove(rings->entries + place + 1, rings->entries + place, (rings->count - place) * sizeof(struct entry *));
    rings->entries[place] = entry;
    rings->count++;
    rings->states_changed = true;
    return entry;
}

static void set_memory(struct kvtel_nixl_rings *rings, struct entry *entry, double memory)
{
    if (memory < 0) /* memory registered before kvtel started is not known */
        memory = 0;
    if (memory == entry->memory)
        return;
    if (entry->agent.memory == rings->metrics.all.memory) {
        rings->memory += memory - entry->memory;
        kvtel_lane_set(rings->metrics.lane, entry->agent.memory, rings->memory);
    } else {
        kvtel_lane_set(rings->metrics.lane, entry->agent.memory, memory);
    }
    entry->memory = memory;
}

static void say(const struct kvtel_nixl_rings *rings, struct entry *entry, uint64_t now_ns)
{
    const struct kvtel_nixl_ring *ring = &entry->ring;
    if (!rings->options.say || (entry->said && (entry->said_state == ring->state || now_ns - entry->said_ns < SAY_NS)))
        return;
    entry->said = true;
    entry->said_state = ring->state;
    entry->said_ns = now_ns;
    rings->options.say(rings->options.context, entry->name, ring->state, ring->reason);
}

/* Counts the events that a look found, and what has changed since the ring was as in `before`. */
static void take_all(struct kvtel_nixl_rings *rings, struct entry *entry, const struct kvtel_nixl_ring *before,
                     uint64_t now_ns)
{
    struct kvtel_nixl_event events[BATCH];
    struct kvtel_nixl_ring *ring = &entry->ring;
    if (ring->restarts != before->restarts)
        set_memory(rings, entry, 0);
    uint64_t taken = 0;
    size_t count;
    while ((count = kvtel_nixl_ring_take(ring, events, BATCH)) > 0) {
        taken += count;
        set_memory(rings, entry,
                   entry->memory + kvtel_nixl_metrics_count(&rings->metrics, &entry->agent, events, count));
        entry->active_ns = now_ns;
    }
    entry->filling = taken > ring->capacity / 4;
    struct kvtel_lane *lane = rings->metrics.lane;
    const uint32_t *totals = rings->metrics.totals;
    kvtel_lane_increase(lane, totals[KVTEL_NIXL_TOTAL_FULL], (double)(ring->fulls - before->fulls));
    kvtel_lane_increase(lane, totals[KVTEL_NIXL_TOTAL_RESTARTS], (double)(ring->restarts - before->restarts));
    kvtel_lane_increase(lane, totals[KVTEL_NIXL_TOTAL_CONTENDED], (double)(ring->contentions - before->contentions));
    rings->states_changed |= ring->state != before->state;
    say(rings, entry, now_ns);
}

static void visit(struct kvtel_nixl_rings *rings, struct entry *entry, uint64_t now_ns)
{
    const struct kvtel_nixl_ring before = entry->ring;
    kvtel_nixl_ring_look(&entry->ring, now_ns);
    if (entry->ring.opened_early && entry->ring.state < KVTEL_NIXL_UNFINISHED) {
        kvtel_nixl_ring_close(&entry->ring); /* it is a ring now: the scan opens it again, for writing */
        rings->scan_ns = now_ns;
        return;
    }
    take_all(rings, entry, &before, now_ns);
}

static void cool(struct kvtel_nixl_rings *rings, struct entry *entry)
{
    for (size_t i = 0; entry->warm && i < rings->warm_count; i++) {
        if (rings->warm[i] == entry)
            rings->warm[i] = rings->warm[--rings->warm_count];
    }
    entry->warm = false;
    kvtel_nixl_ring_close(&entry->ring);
}

/* Schedules the next look. A ring that is not used any more becomes cold. */
static void schedule(struct kvtel_nixl_rings *rings, struct entry *entry, uint64_t now_ns)
{
    uint64_t idle_ns = now_ns - entry->active_ns, interval_ns = rings->options.interval_ns;
    bool in_use = entry->ring.fd >= 0 && entry->ring.state <= KVTEL_NIXL_UNFINISHED && idle_ns < WARM_NS;
    if (!in_use || (!entry->warm && rings->warm_count >= rings->options.most_open)) {
        cool(rings, entry);
        return;
    }
    if (!entry->warm)
        rings->warm[rings->warm_count++] = entry;
    entry->warm = true;
    if (entry->filling)
        interval_ns = interval_ns / 10 + 1;
    else if (idle_ns > SECOND)
        interval_ns *= 4;
    /* All rings are due at the same moments, so that the process wakes up once for all. */
    entry->due_ns = (now_ns / interval_ns + 1) * interval_ns;
}

/* Opens a file of `folder` and looks at it. */
static void probe(struct kvtel_nixl_ring *ring, int folder, const char *file, uint64_t now_ns)
{
    if (kvtel_nixl_ring_open(ring, folder, file))
        kvtel_nixl_ring_look(ring, now_ns);
}

/* Whether the file is that of a known ring under another name. Such a file counts once. */
static bool is_other_name(const struct kvtel_nixl_rings *rings, const struct stat *found)
{
    for (size_t i = 0; found->st_nlink > 1 && i < rings->count; i++) {
        const struct kvtel_nixl_ring *ring = &rings->entries[i]->ring;
        if (ring->device == found->st_dev && ring->inode == found->st_ino)
            return true;
    }
    return false;
}

/* Handles a new file. Files that are not rings are not kept: in a folder like /tmp most are not. */
static struct entry *meet(struct kvtel_nixl_rings *rings, int folder, const char *file, const struct stat *found,
                          size_t place, const char *name, uint64_t now_ns)
{
    struct kvtel_nixl_ring ring;
    kvtel_nixl_ring_init(&ring);
    const struct kvtel_nixl_ring before = ring;
    if ((uint64_t)found->st_size < sizeof(struct kvtel_nixl_header) || is_other_name(rings, found)) {
        rings->foreign++;
        return NULL;
    }
    probe(&ring, folder, file, now_ns);
    bool foreign = ring.state == KVTEL_NIXL_NOT_A_RING, over_limit = !foreign && rings->count >= MAX_RINGS;
    rings->foreign += foreign;
    rings->over_limit += over_limit;
    struct entry *entry = foreign || over_limit ? NULL : insert(rings, place, name, &ring, now_ns);
    if (entry)
        take_all(rings, entry, &before, now_ns);
    else
        kvtel_nixl_ring_close(&ring);
    return entry;
}

/* Whether the file with the ring's name is the open one. The folder may be another one of the same name. */
static bool is_open_file(const struct kvtel_nixl_ring *ring, const struct stat *file)
{
    return ring->fd >= 0 && ring->device == file->st_dev && ring->inode == file->st_ino;
}

/* Handles a regular file: `file` in `folder`; `name` is its path relative to the telemetry folder. */
static void scan_file(struct kvtel_nixl_rings *rings, int folder, const char *file, const struct stat *found,
                      const char *name, uint64_t now_ns)
{
    size_t place = place_of(rings, name);
    struct entry *entry = place < rings->count ? rings->entries[place] : NULL;
    if (!entry || strcmp(entry->name, name) != 0) {
        entry = meet(rings, folder, file, found, place, name, now_ns);
        if (!entry)
            return;
        /* a warm ring gets here when another file has its name now */
    } else if (!entry->warm || !is_open_file(&entry->ring, found)) {
        if (entry->warm)
            visit(rings, entry, now_ns);
        const struct kvtel_nixl_ring before = entry->ring;
        probe(&entry->ring, folder, file, now_ns);
        take_all(rings, entry, &before, now_ns);
    }
    entry->seen = true;
    schedule(rings, entry, now_ns);
}

/* Scans a folder and closes its descriptor. `path` contains `length` bytes of its name, with a slash at the end
 * unless it is the telemetry folder itself. */
static void scan_folder(struct kvtel_nixl_rings *rings, int folder, char path[PATH_MAX], size_t length, int depth,
                        uint64_t now_ns)
{
    DIR *list = fdopendir(folder);
    if (!list) {
        close(folder);
        rings->incomplete = true;
        return;
    }
    const struct dirent *file;
    while (errno = 0, (file = readdir(list))) {
        size_t size = strlen(file->d_name);
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0 || length + size + 2 > PATH_MAX)
            continue;
        memcpy(path + length, file->d_name, size + 1);
        struct stat found;
        if (fstatat(folder, file->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
            rings->incomplete |= errno != ENOENT;
            continue;
        }
        if (S_ISREG(found.st_mode)) {
            scan_file(rings, folder, file->d_name, &found, path, now_ns);
        } else if (S_ISDIR(found.st_mode) && depth < MAX_DEPTH) {
            int inner = openat(folder, file->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (inner < 0) {
                rings->incomplete |= errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES;
                continue;
            }
            path[length + size] = '/';
            scan_folder(rings, inner, path, length + size + 1, depth + 1, now_ns);
        }
    }
    rings->incomplete |= errno != 0;
    closedir(list);
}

/* Drops rings whose files are gone. */
static void drop_unseen(struct kvtel_nixl_rings *rings, uint64_t now_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < rings->count; i++) {
        struct entry *entry = rings->entries[i];
        if (entry->seen) {
            rings->entries[kept++] = entry;
            continue;
        }
        if (entry->warm)
            visit(rings, entry, now_ns);
        cool(rings, entry);
        set_memory(rings, entry, 0);
        free_entry(entry);
        rings->states_changed = true;
    }
    rings->count = kept;
}

static void scan(struct kvtel_nixl_rings *rings, uint64_t now_ns)
{
    uint64_t used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    size_t left_alone = rings->foreign + rings->over_limit;
    int folder = open(rings->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = folder < 0 ? errno : 0;
    bool gone = error == ENOENT || error == ENOTDIR;
    struct stat state;
    if (folder >= 0 && fstat(folder, &state) == 0)
        rings->changed = state.st_mtim;
    if (folder >= 0 || gone) {
        char path[PATH_MAX];
        rings->foreign = rings->over_limit = 0;
        rings->incomplete = false;
        for (size_t i = 0; i < rings->count; i++)
            rings->entries[i]->seen = false;
        if (folder >= 0)
            scan_folder(rings, folder, path, 0, 1, now_ns);
        if (!rings->incomplete)
            drop_unseen(rings, now_ns);
    }
    rings->states_changed |= left_alone != rings->foreign + rings->over_limit || rings->readable != (folder >= 0);
    if (rings->options.say && (!rings->said || rings->readable != (folder >= 0)))
        rings->options.say(rings->options.context, "", error ? KVTEL_NIXL_UNREADABLE : KVTEL_NIXL_READ,
                           error ? strerrordesc_np(error) : "");
    rings->said = true;
    rings->readable = folder >= 0;
    uint64_t pause_ns = SCAN_SHARE * (clock_ns(CLOCK_THREAD_CPUTIME_ID) - used_ns);
    rings->scan_ns = now_ns + (pause_ns > SECOND ? pause_ns : SECOND);
    rings->check_ns = now_ns + (pause_ns > CHECK_NS ? pause_ns : CHECK_NS);
}

/* Whether the folder has changed. A busy agent soon fills a new ring, so this is checked between scans, too. */
static bool has_changed(struct kvtel_nixl_rings *rings, uint64_t now_ns)
{
    struct stat folder;
    if (now_ns < rings->check_ns)
        return false;
    rings->check_ns = now_ns + CHECK_NS;
    return stat(rings->folder, &folder) == 0 &&
           (folder.st_mtim.tv_sec != rings->changed.tv_sec || folder.st_mtim.tv_nsec != rings->changed.tv_nsec);
}

static void publish_states(struct kvtel_nixl_rings *rings)
{
    double states[KVTEL_NIXL_STATES] = {
        [KVTEL_NIXL_NOT_A_RING] = (double)rings->foreign, [KVTEL_NIXL_OVER_LIMIT] = (double)rings->over_limit
    };
    for (size_t i = 0; i < rings->count; i++)
        states[rings->entries[i]->ring.state]++;
    for (size_t i = 0; i < KVTEL_NIXL_STATES; i++)
        kvtel_lane_set(rings->metrics.lane, rings->metrics.states[i], states[i]);
    kvtel_lane_set(rings->metrics.lane, rings->metrics.readable, rings->readable);
    rings->states_changed = false;
}

uint64_t kvtel_nixl_rings_poll(struct kvtel_nixl_rings *rings, uint64_t now_ns)
{
    /* in reverse: a ring that becomes cold is replaced by one that was already looked at */
    for (size_t i = rings->warm_count; i-- > 0;) {
        struct entry *entry = rings->warm[i];
        if (entry->due_ns > now_ns)
            continue;
        visit(rings, entry, now_ns);
        schedule(rings, entry, now_ns);
    }
    if (now_ns >= rings->scan_ns || has_changed(rings, now_ns))
        scan(rings, now_ns);
    if (rings->states_changed)
        publish_states(rings);
    uint64_t next_ns = rings->scan_ns < rings->check_ns ? rings->scan_ns : rings->check_ns;
    for (size_t i = 0; i < rings->warm_count; i++)
        next_ns = rings->warm[i]->due_ns < next_ns ? rings->warm[i]->due_ns : next_ns;
    return next_ns > now_ns ? next_ns - now_ns : 0;
}
