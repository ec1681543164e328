/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of posted recordings. */
#include "collect/series.h"
#include "serve/receiver_sources.h"

#include "base/hash.h"
#include "recording/recording.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCES RECEIVER_FAMILIES "sequence"
#define STARTS RECEIVER_FAMILIES "started"

static const char *const label = "source";

void receiver_sources_init(struct receiver_sources *sources, const struct kvtel_metric_types *types)
{
    const struct kvtel_family_spec specs[] = {
        { .name = SEQUENCES,
          .help = "1 + the last sequence number of a source, as the bits of a double.",
          .labelnames = &label },
        { .name = STARTS, .help = "When a source says that it started, seconds.", .labelnames = &label },
    };
    *sources = (struct receiver_sources){ .types = *types };
    void **families[] = { &sources->sequences, &sources->starts };
    for (size_t i = 0; i < 2; i++) {
        struct kvtel_family_spec spec = specs[i];
        spec.type = KVTEL_GAUGE;
        spec.label_count = 1;
        if (types->family(types->context, &spec, families[i]) != KVTEL_OK)
            *families[i] = NULL;
    }
}

void receiver_sources_free(struct receiver_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        free(sources->list[i]);
    free(sources->list);
}

static uint64_t hash_of(const char *name)
{
    return kvtel_hash(0, name, strlen(name));
}

static void *child_of(const struct receiver_sources *sources, void *family, const char *name)
{
    void *child;
    return family && sources->types.child(sources->types.context, family, &name, 1, &child) == KVTEL_OK ? child : NULL;
}

/* A gauge stores a double, which has 53 bits. A sequence number of 63 bits is stored as the bits of a double; all
 * numbers up to 9e18 are finite doubles. */
static double to_value(int64_t sequence)
{
    double value;
    sequence++;
    memcpy(&value, &sequence, sizeof value);
    return value;
}

static int64_t to_sequence(double value)
{
    int64_t sequence;
    memcpy(&sequence, &value, sizeof sequence);
    return sequence > 0 && sequence - 1 <= KVTEL_RECORDING_SEQUENCE_LIMIT ? sequence - 1 : -1;
}

/* Sets the source's series of a family; the series is made on first use. If the store has no room for it, the source
 * is forgotten at the next restart. */
static void set(const struct receiver_sources *sources, void *family, const struct receiver_source *source,
                void **child, double value)
{
    if (!*child)
        *child = child_of(sources, family, source->name);
    if (*child)
        sources->types.set(sources->types.context, *child, value);
}

static struct receiver_source *find(const struct receiver_sources *sources, const char *name, uint64_t hash)
{
    for (size_t i = 0; i < sources->count; i++)
        if (sources->list[i]->hash == hash && strcmp(sources->list[i]->name, name) == 0)
            return sources->list[i];
    return NULL;
}

/* The place of the source that is not in use and was silent for longest; SIZE_MAX: all are in use. */
static size_t oldest(const struct receiver_sources *sources)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < sources->count; i++)
        if (sources->list[i]->users == 0 && (found == SIZE_MAX || sources->list[i]->used < sources->list[found]->used))
            found = i;
    return found;
}

/* Adds a source. NULL: no memory, or all places are in use. */
static struct receiver_source *add(struct receiver_sources *sources, const char *name, uint64_t hash)
{
    size_t size = strlen(name) + 1;
    if (!sources->list) {
        if (!(sources->list = malloc(RECEIVER_SOURCES * sizeof *sources->list)))
            return NULL;
        sources->count = 0; /* as it is; for gcc -fanalyzer, which does not know */
    }
    size_t place = sources->count < RECEIVER_SOURCES ? sources->count : oldest(sources);
    struct receiver_source *made = place != SIZE_MAX ? malloc(sizeof *made + size) : NULL;
    if (!made)
        return NULL;
    *made = (struct receiver_source){ .hash = hash, .sequence = -1 };
    memcpy(made->name, name, size);
    if (place < sources->count)
        free(sources->list[place]);
    else
        sources->count++;
    sources->list[place] = made;
    return made;
}

struct receiver_source *receiver_sources_hold(struct receiver_sources *sources, const char *name, double started)
{
    uint64_t hash = hash_of(name);
    struct receiver_source *source = find(sources, name, hash);
    if (!source && !(source = add(sources, name, hash)))
        return NULL;
    source->used = ++sources->uses;
    source->users++;
    if (started > source->started) {
        /* The order matters: after a kill in between, the next process resets the sequence again. */
        receiver_sources_advance(sources, source, -1);
        source->started = started;
        source->warned = false;
        set(sources, sources->starts, source, &source->started_child, started);
    }
    return source;
}

void receiver_sources_let_go(struct receiver_source *source)
{
    if (source)
        source->users--;
}

void receiver_sources_advance(struct receiver_sources *sources, struct receiver_source *source, int64_t sequence)
{
    source->sequence = sequence;
    set(sources, sources->sequences, source, &source->sequence_child, to_value(sequence));
}

/* Index of the label with the source's name; other labels may have been added. SIZE_MAX: none. */
static size_t label_of(const struct kvtel_snapshot_family *family)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (strcmp(family->labelnames[i], label) == 0)
            return i;
    return SIZE_MAX;
}

static int later_first(const void *a, const void *b)
{
    uint64_t first = (*(const struct kvtel_snapshot_series *const *)a)->stamp;
    uint64_t second = (*(const struct kvtel_snapshot_series *const *)b)->stamp;
    return (first < second) - (first > second);
}

/* The series of a family that were ever set, the latest first. The caller frees the array. NULL: none, or no memory. */
static const struct kvtel_snapshot_series **sorted(const struct kvtel_snapshot_family *family, size_t *count)
{
    const struct kvtel_snapshot_series **list = family ? malloc((family->series_count + 1) * sizeof *list) : NULL;
    *count = 0;
    for (size_t i = 0; list && i < family->series_count; i++)
        if (family->series[i].stamp > 0)
            list[(*count)++] = &family->series[i];
    if (list)
        qsort(list, *count, sizeof *list, later_first);
    return list;
}

/* A start that is later was given in milliseconds or less, which an exporter took before recordings limited it. Kept as
 * it is, no start in seconds would ever be later. */
static const double STARTED_SECONDS = 1e11;

static double to_started(double value)
{
    while (isfinite(value) && value > STARTED_SECONDS)
        value /= 1000;
    return value;
}

/* Restores one number of each source from a family. With `make`, unknown sources are added while there is room. */
static void restore(struct receiver_sources *sources, const struct kvtel_snapshot_family *family, bool make)
{
    size_t count, at = family ? label_of(family) : SIZE_MAX;
    const struct kvtel_snapshot_series **list = sorted(at != SIZE_MAX ? family : NULL, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = list[i]->values[at];
        uint64_t hash = hash_of(name);
        struct receiver_source *source = find(sources, name, hash);
        if (!source && make && sources->count < RECEIVER_SOURCES)
            source = add(sources, name, hash);
        if (!source)
            continue;
        source->used = make ? count - i : source->used;
        if (make)
            source->sequence = to_sequence(list[i]->value);
        else
            source->started = to_started(list[i]->value);
    }
    if (make)
        sources->uses = count;
    free(list);
}

void receiver_sources_restore(struct receiver_sources *sources, const struct kvtel_snapshot *snapshot)
{
    restore(sources, kvtel_snapshot_find(snapshot, SEQUENCES), true);
    restore(sources, kvtel_snapshot_find(snapshot, STARTS), false);
}
