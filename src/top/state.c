/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a summary. What has an unexpected type is left out, as a summary may come from anywhere. */
#include "top/state.h"

#include "base/buffer.h"
#include "base/error.h"
#include "value/value.h"

#include <math.h>
#include <string.h>

/* Copies into the state's arena. The tree of values is freed after the reading. */
struct reading {
    struct top_state *state;
    bool good; /* false: no memory */
};

static void *make(struct reading *reading, size_t count, size_t size)
{
    void *made = kvtel_arena_alloc(&reading->state->arena, count > 0 ? count * size : 1);
    if (made)
        memset(made, 0, count > 0 ? count * size : 1);
    reading->good = reading->good && made;
    return made;
}

/* -- Members -- */

static const struct kvtel_value *list_of(const struct kvtel_value *map, const char *key, size_t *count)
{
    const struct kvtel_value *list = kvtel_value_get(map, key);
    *count = list && list->kind == KVTEL_VALUE_ARRAY ? list->size : 0;
    return *count > 0 ? list->items : NULL;
}

static double number_of(const struct kvtel_value *map, const char *key, double missing)
{
    const struct kvtel_value *value = kvtel_value_get(map, key);
    double number;
    return value && kvtel_value_number(value, &number) ? number : missing;
}

static uint64_t count_of(const struct kvtel_value *value)
{
    double number;
    return value && kvtel_value_number(value, &number) && number > 0 ? (uint64_t)fmin(number, 0x1p62) : 0;
}

static uint64_t member_count(const struct kvtel_value *map, const char *key)
{
    return count_of(kvtel_value_get(map, key));
}

static const char *copy(struct reading *reading, const struct kvtel_value *value)
{
    if (!value || value->kind != KVTEL_VALUE_STRING || kvtel_value_text_fault(value))
        return "";
    char *text = make(reading, value->size + 1, 1);
    if (text)
        memcpy(text, value->text, value->size);
    return text ? text : "";
}

static const char *text_of(struct reading *reading, const struct kvtel_value *map, const char *key)
{
    return copy(reading, kvtel_value_get(map, key));
}

static size_t least(size_t count, size_t limit)
{
    return count < limit ? count : limit;
}

/* -- Parts -- */

static struct top_classes read_classes(struct reading *reading, const struct kvtel_value *map)
{
    const struct kvtel_value *failures = kvtel_value_get(map, "failures");
    size_t count = failures && failures->kind == KVTEL_VALUE_MAP ? least(failures->size, TOP_CLASSES) : 0;
    struct top_class *classes = make(reading, count, sizeof *classes);
    for (size_t i = 0; classes && i < count; i++)
        classes[i] = (struct top_class){ .name = copy(reading, &failures->items[2 * i]),
                                         .count = count_of(&failures->items[2 * i + 1]) };
    return (struct top_classes){ .all = classes, .count = classes ? count : 0 };
}

/* One bin, [bound, count]. False: it is none, or does not ascend. */
static bool read_bin(const struct kvtel_value *bin, double above, double *bound, uint64_t *count)
{
    if (bin->kind != KVTEL_VALUE_ARRAY || bin->size != 2)
        return false;
    if (!kvtel_value_number(&bin->items[0], bound))
        *bound = (double)INFINITY;
    *count = count_of(&bin->items[1]);
    return *bound > above;
}

static void read_bins(struct reading *reading, const struct kvtel_value *flow, const char *key, struct top_bins *bins)
{
    const struct kvtel_value *map = kvtel_value_get(flow, key);
    if (!map || map->kind != KVTEL_VALUE_MAP)
        return;
    size_t given, size;
    const struct kvtel_value *list = list_of(map, "bins", &given);
    size = least(given, TOP_BINS);
    double *bounds = make(reading, size, sizeof *bounds), above = -(double)INFINITY;
    uint64_t *counts = make(reading, size, sizeof *counts);
    if (!bounds || !counts)
        return;
    *bins = (struct top_bins){ .is_known = true, .sum = number_of(map, "sum", 0), .bounds = bounds, .counts = counts };
    for (size_t i = 0; i < size && read_bin(&list[i], above, &bounds[i], &counts[i]); i++) {
        above = bounds[i];
        bins->count += counts[i];
        bins->size++;
    }
}

static void read_slowest(struct reading *reading, const struct kvtel_value *map, struct top_flow *flow)
{
    size_t count;
    const struct kvtel_value *list = list_of(map, "slowest", &count);
    for (size_t i = 0; i < least(count, TOP_SLOWEST); i++) {
        const struct kvtel_value *labels = kvtel_value_get(&list[i], "labels");
        struct kvtel_buffer text = { 0 };
        for (size_t k = 0; labels && labels->kind == KVTEL_VALUE_MAP && k < least(labels->size, TOP_CLASSES); k++)
            (void)kvtel_buffer_printf(&text, "%s%s=%s", k > 0 ? " " : "", copy(reading, &labels->items[2 * k]),
                                      copy(reading, &labels->items[2 * k + 1]));
        char *kept = make(reading, text.size + 1, 1);
        if (kept && text.size > 0)
            memcpy(kept, text.bytes, text.size);
        kvtel_buffer_free(&text);
        flow->slowest[flow->slowest_count++] = (struct top_slow){ .seconds = number_of(&list[i], "seconds", 0),
                                                                  .time = number_of(&list[i], "time", 0),
                                                                  .labels = kept ? kept : "" };
    }
}

static void read_flow(struct reading *reading, const struct kvtel_value *map, struct top_flow *flow)
{
    static const char *const keys[TOP_HISTOGRAMS] = { [TOP_TIME] = "time", [TOP_POST] = "post", [TOP_SIZE] = "size" };
    *flow = (struct top_flow){ .name = text_of(reading, map, "name"),
                               .has_transfers = kvtel_value_get(map, "transfers"),
                               .has_bytes = kvtel_value_get(map, "bytes"),
                               .has_failed = kvtel_value_get(map, "failed"),
                               .transfers = member_count(map, "transfers"),
                               .failed = member_count(map, "failed"),
                               .bytes = number_of(map, "bytes", 0),
                               .failures = read_classes(reading, map) };
    for (int i = 0; i < TOP_HISTOGRAMS; i++)
        read_bins(reading, map, keys[i], &flow->bins[i]);
    read_slowest(reading, map, flow);
}

static void read_entry(struct reading *reading, const struct kvtel_value *map, struct top_entry *entry)
{
    size_t given, count;
    const struct kvtel_value *list = list_of(map, "flows", &given);
    count = least(given, TOP_FLOWS);
    struct top_flow *flows = make(reading, count, sizeof *flows);
    for (size_t i = 0; flows && i < count; i++)
        read_flow(reading, &list[i], &flows[i]);
    *entry = (struct top_entry){ .connector = text_of(reading, map, "connector"),
                                 .model = text_of(reading, map, "model_name"),
                                 .engine = text_of(reading, map, "engine"),
                                 .flows = flows,
                                 .flow_count = flows ? count : 0,
                                 .failed = member_count(map, "failed"),
                                 .failures = read_classes(reading, map) };
}

/* Adds the entries to those that the state has. An entry that comes twice, because engines came or went between two
 * parts, is taken once. */
static void read_entries(struct reading *reading, const struct kvtel_value *root)
{
    struct top_state *state = reading->state;
    const size_t before = state->entry_count;
    size_t given, count;
    const struct kvtel_value *list = list_of(root, "connectors", &given);
    count = least(given, TOP_ENTRIES - before);
    struct top_entry *entries = make(reading, before + count, sizeof *entries);
    if (!entries)
        return;
    if (before > 0)
        memcpy(entries, state->entries, before * sizeof *entries);
    state->entries = entries;
    for (size_t i = 0; i < count; i++) {
        struct top_entry *entry = &entries[state->entry_count];
        read_entry(reading, &list[i], entry);
        if (before == 0 || !top_state_find(state, entry, before))
            state->entry_count++;
    }
    state->given += given;
    state->given_last = given;
    const uint64_t total = member_count(root, "connectors_total");
    state->has_moved = state->has_moved || (state->parts > 0 && total != state->entries_total);
    state->entries_total = total;
    state->parts++;
}

static void read_open(struct reading *reading, const struct kvtel_value *root)
{
    size_t given, count;
    const struct kvtel_value *list = list_of(root, "open", &given);
    count = least(given, TOP_OPEN);
    struct top_open_row *rows = make(reading, count, sizeof *rows);
    for (size_t i = 0; rows && i < count; i++)
        rows[i] = (struct top_open_row){ .connector = text_of(reading, &list[i], "connector"),
                                         .model = text_of(reading, &list[i], "model_name"),
                                         .engine = text_of(reading, &list[i], "engine"),
                                         .operation = text_of(reading, &list[i], "operation"),
                                         .open = member_count(&list[i], "open"),
                                         .stalled = member_count(&list[i], "stalled"),
                                         .oldest_seconds = number_of(&list[i], "oldest_seconds", 0) };
    reading->state->open = rows;
    reading->state->open_count = rows ? count : 0;
}

static void read_oldest(struct reading *reading, const struct kvtel_value *root)
{
    size_t given, count;
    const struct kvtel_value *list = list_of(root, "oldest_open", &given);
    count = least(given, TOP_OPEN);
    struct top_open *oldest = make(reading, count, sizeof *oldest);
    for (size_t i = 0; oldest && i < count; i++) {
        const struct kvtel_value *stalled = kvtel_value_get(&list[i], "stalled");
        oldest[i] = (struct top_open){ .connector = text_of(reading, &list[i], "connector"),
                                       .engine = text_of(reading, &list[i], "engine"),
                                       .operation = text_of(reading, &list[i], "operation"),
                                       .peer = text_of(reading, &list[i], "peer"),
                                       .pid = member_count(&list[i], "pid"),
                                       .bytes = number_of(&list[i], "bytes", (double)NAN),
                                       .age_seconds = number_of(&list[i], "age_seconds", 0),
                                       .stalled = stalled && stalled->kind == KVTEL_VALUE_BOOL && stalled->integer };
    }
    reading->state->oldest = oldest;
    reading->state->oldest_count = oldest ? count : 0;
}

static void read_peers(struct reading *reading, const struct kvtel_value *root)
{
    size_t given, count;
    const struct kvtel_value *list = list_of(root, "peers", &given);
    count = least(given, TOP_PEERS);
    struct top_peer *peers = make(reading, count, sizeof *peers);
    for (size_t i = 0; peers && i < count; i++)
        peers[i] = (struct top_peer){ .name = text_of(reading, &list[i], "peer"),
                                      .transfers = member_count(&list[i], "transfers"),
                                      .failed = member_count(&list[i], "failed"),
                                      .unseen = member_count(&list[i], "unseen"),
                                      .open = member_count(&list[i], "open"),
                                      .bytes = number_of(&list[i], "bytes", 0),
                                      .oldest_seconds = number_of(&list[i], "oldest_seconds", 0) };
    reading->state->has_peers = kvtel_value_get(root, "peers");
    reading->state->peers = peers;
    reading->state->peer_count = peers ? count : 0;
    reading->state->peers_total = member_count(root, "peers_total");
}

/* -- The whole -- */

/* How much of a version must be equal: all before the second dot. */
static size_t release_size(const char *version)
{
    size_t major = strcspn(version, ".");
    return version[major] ? major + 1 + strcspn(version + major + 1, ".") : major;
}

static enum kvtel_status check(const struct kvtel_value *root, struct kvtel_error *error)
{
    const struct kvtel_value *version = kvtel_value_get(root, "version"), *list = kvtel_value_get(root, "connectors");
    if (root->kind != KVTEL_VALUE_MAP || !version || version->kind != KVTEL_VALUE_STRING ||
        kvtel_value_text_fault(version) || !(number_of(root, "time", 0) > 0))
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "the answer is not a summary of kvtel serve");
    size_t size = release_size(kvtel_version());
    if (release_size(version->text) != size || memcmp(version->text, kvtel_version(), size) != 0)
        return kvtel_fail(error, KVTEL_E_MISMATCH, 0,
                          "the summary is of kvtel %.40s and this is kvtel %s: use the same version of both",
                          version->text, kvtel_version());
    if (!list || list->kind != KVTEL_VALUE_ARRAY)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "the answer is not a summary of kvtel serve");
    return KVTEL_OK;
}

/* Decodes an answer. `root` points into `arena`, which is to be freed in any case. */
static enum kvtel_status decode(const char *json, size_t size, struct kvtel_arena *arena, struct kvtel_value *root,
                                struct kvtel_error *error)
{
    struct kvtel_error fault = { 0 };
    const enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, json, size, arena, root, &fault);
    if (status == KVTEL_E_NOMEM)
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    if (status != KVTEL_OK)
        return kvtel_fail(error, KVTEL_E_SYNTAX, 0, "the answer is not a summary of kvtel serve: byte %zu: %.150s",
                          fault.offset, fault.message);
    return check(root, error);
}

/* Without memory the state is closed. */
static enum kvtel_status end_reading(const struct reading *reading, struct kvtel_error *error)
{
    if (reading->good)
        return KVTEL_OK;
    top_state_close(reading->state);
    return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
}

enum kvtel_status top_state_read(struct top_state *state, const char *json, size_t size, struct kvtel_error *error)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value root;
    top_state_close(state);
    enum kvtel_status status = decode(json, size, &arena, &root, error);
    if (status == KVTEL_OK) {
        struct reading reading = { .state = state, .good = true };
        state->time = number_of(&root, "time", 0);
        state->uptime_seconds = number_of(&root, "uptime_seconds", 0);
        state->recording = member_count(&root, "recording");
        state->sources = member_count(&root, "sources_total");
        read_entries(&reading, &root);
        read_open(&reading, &root);
        read_oldest(&reading, &root);
        read_peers(&reading, &root);
        status = end_reading(&reading, error);
    }
    kvtel_arena_free(&arena);
    return status;
}

enum kvtel_status top_state_read_more(struct top_state *state, const char *json, size_t size, struct kvtel_error *error)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value root;
    enum kvtel_status status = decode(json, size, &arena, &root, error);
    if (status == KVTEL_OK && number_of(&root, "uptime_seconds", 0) < state->uptime_seconds)
        status = kvtel_fail(error, KVTEL_E_MISMATCH, 0, "it was restarted while its summary was read");
    if (status == KVTEL_OK) {
        struct reading reading = { .state = state, .good = true };
        read_entries(&reading, &root);
        status = end_reading(&reading, error);
    }
    kvtel_arena_free(&arena);
    return status;
}

void top_state_close(struct top_state *state)
{
    kvtel_arena_free(&state->arena);
    *state = (struct top_state){ 0 };
}

/* -- Finding -- */

static bool is_same(const struct top_entry *one, const struct top_entry *other)
{
    return strcmp(one->engine, other->engine) == 0 && strcmp(one->connector, other->connector) == 0 &&
           strcmp(one->model, other->model) == 0;
}

bool top_state_has_all(const struct top_state *state)
{
    return !state->has_moved && state->entry_count >= state->entries_total;
}

const struct top_entry *top_state_find(const struct top_state *state, const struct top_entry *like, size_t hint)
{
    if (hint < state->entry_count && is_same(&state->entries[hint], like))
        return &state->entries[hint];
    for (size_t i = 0; i < state->entry_count; i++)
        if (is_same(&state->entries[i], like))
            return &state->entries[i];
    return NULL;
}

const struct top_peer *top_state_peer(const struct top_state *state, const char *name, size_t hint)
{
    if (hint < state->peer_count && strcmp(state->peers[hint].name, name) == 0)
        return &state->peers[hint];
    for (size_t i = 0; i < state->peer_count; i++)
        if (strcmp(state->peers[i].name, name) == 0)
            return &state->peers[i];
    return NULL;
}

const struct top_flow *top_entry_flow(const struct top_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->flow_count; i++)
        if (strcmp(entry->flows[i].name, name) == 0)
            return &entry->flows[i];
    return NULL;
}

uint64_t top_classes_count(const struct top_classes *classes, const char *name)
{
    for (size_t i = 0; i < classes->count; i++)
        if (strcmp(classes->all[i].name, name) == 0)
            return classes->all[i].count;
    return 0;
}
