/* SPDX-License-Identifier: Apache-2.0 */
/* Open tables. Entries are only added, under a mutex; readers see a count that was raised after its entry was whole. */
#include "connectors/learned.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "connectors/table.h"

enum { NAME_SIZE = 256 };

static struct kvtel_learned *tables[KVTEL_LEARNED_TABLES];
static atomic_size_t table_count, beside_count;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static struct kvtel_learned *find_open(const char *name, const struct kvtel_connector *base)
{
    /* pairs with the store in kvtel_learned_get() */
    size_t count = atomic_load_explicit(&table_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (tables[i]->base == base && strcmp(tables[i]->names[0].name, name) == 0)
            return tables[i];
    return NULL;
}

struct kvtel_learned *kvtel_learned_make(const char *name, const struct kvtel_connector *base)
{
    struct kvtel_learned *open = calloc(1, sizeof(*open));
    char *copy = strdup(name);
    if (!open || !copy) {
        free(open);
        free(copy);
        return NULL;
    }
    open->names[0].name = copy;
    open->base = base;
    open->table = (struct kvtel_connector){
        .names = open->names, .payload_kind = KVTEL_PAYLOAD_TYPED, .has_info = true, .reserved = { open }
    };
    return open;
}

void kvtel_learned_free(struct kvtel_learned *open)
{
    if (!open)
        return;
    for (size_t i = 0; i < atomic_load(&open->metric_count); i++)
        free((void *)(uintptr_t)open->metrics[i]);
    free((void *)(uintptr_t)atomic_load(&open->descriptor));
    free((void *)(uintptr_t)open->names[0].name);
    free(open);
}

struct kvtel_learned *kvtel_learned_get(const char *name, const struct kvtel_connector *base)
{
    size_t size = name ? strnlen(name, KVTEL_TEXT_LIMIT + 1) : 0;
    if (size == 0 || size > KVTEL_TEXT_LIMIT)
        return NULL;
    struct kvtel_learned *open = find_open(name, base);
    if (open)
        return open;
    pthread_mutex_lock(&adding);
    open = find_open(name, base);
    /* relaxed: written under the mutex only */
    size_t count = atomic_load_explicit(&table_count, memory_order_relaxed);
    if (!open && count < KVTEL_LEARNED_TABLES && (open = kvtel_learned_make(name, base))) {
        tables[count] = open;
        atomic_store_explicit(&table_count, count + 1, memory_order_release);
        if (base)
            atomic_fetch_add_explicit(&beside_count, 1, memory_order_release);
    }
    pthread_mutex_unlock(&adding);
    return open;
}

struct kvtel_learned *kvtel_learned_find(const char *name)
{
    return find_open(name, NULL);
}

struct kvtel_learned *kvtel_learned_described(const char *name)
{
    struct kvtel_learned *open = find_open(name, NULL);
    const struct kvtel_descriptor *descriptor = open ? atomic_load(&open->descriptor) : NULL;
    return descriptor && descriptor->count > 0 ? open : NULL;
}

struct kvtel_learned *kvtel_learned_beside(const struct kvtel_connector *base)
{
    /* usually there is none; pairs with the addition in kvtel_learned_get() */
    if (atomic_load_explicit(&beside_count, memory_order_acquire) == 0)
        return NULL;
    return find_open(base->names[0].name, base);
}

const struct kvtel_metric *kvtel_learned_metric(const struct kvtel_learned *open, const char *name, size_t near)
{
    /* pairs with the store in kvtel_learned_add() */
    size_t count = atomic_load_explicit(&open->metric_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_metric *metric = open->metrics[near + i < count ? near + i : (near + i) % count];
        if (strcmp(metric->name, name) == 0)
            return metric;
    }
    return NULL;
}

static bool same_labels(const struct kvtel_metric *a, const struct kvtel_metric *b)
{
    for (size_t i = 0; i < KVTEL_METRIC_LABELS; i++)
        if (!a->labels[i] || !b->labels[i])
            return a->labels[i] == b->labels[i];
        else if (strcmp(a->labels[i], b->labels[i]) != 0)
            return false;
    return true;
}

enum { SUFFIXES = 4 };

/* Whether the text format gives a metric a sample of this name. */
static bool has_sample(const struct kvtel_metric *metric, const char *family, const char *name, size_t size)
{
    static const char *const suffixes[][SUFFIXES] = {
        [KVTEL_COUNTER] = { "_total" },
        [KVTEL_GAUGE] = { "" },
        [KVTEL_HISTOGRAM] = { "", "_bucket", "_count", "_sum" },
    };
    size_t length = strlen(family);
    for (size_t i = 0; i < SUFFIXES && suffixes[metric->type][i]; i++)
        if (length + strlen(suffixes[metric->type][i]) == size && memcmp(name, family, length) == 0 &&
            memcmp(name + length, suffixes[metric->type][i], size - length) == 0)
            return true;
    return false;
}

/* Whether two metrics have a sample of the same name, as those of one family do, but also the gauge x_sum and the
 * histogram x. */
static bool clash(const struct kvtel_metric *a, const struct kvtel_metric *b)
{
    static const char *const all[] = { "", "_total", "_bucket", "_count", "_sum" };
    char name[NAME_SIZE], other[NAME_SIZE], sample[NAME_SIZE + 8];
    const char *family = kvtel_metric_family_name(a, name, sizeof(name));
    const char *second = kvtel_metric_family_name(b, other, sizeof(other));
    size_t length = strlen(family), suffix;
    if (length >= NAME_SIZE) /* no metric that is learned has such a name */
        return false;
    memcpy(sample, family, length);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        suffix = strlen(all[i]);
        memcpy(sample + length, all[i], suffix);
        if (has_sample(a, family, sample, length + suffix) && has_sample(b, second, sample, length + suffix))
            return true;
    }
    return strcmp(family, second) == 0;
}

/* The metric of a table that has a sample of the same name; NULL: none. */
static const struct kvtel_metric *find_taken(const struct kvtel_metric *draft)
{
    const struct kvtel_connector *table;
    for (size_t i = 0; (table = kvtel_connector_at(i)); i++)
        for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++)
            if (clash(metric, draft))
                return metric;
    return NULL;
}

static const char *label_fault(const struct kvtel_metric *draft)
{
    static const char *const taken[] = { "model_name", "engine", "le", "quantile" };
    for (size_t i = 0; i < KVTEL_METRIC_LABELS && draft->labels[i]; i++) {
        const char *label = draft->labels[i];
        if (!kvtel_is_name(label, false) || strncmp(label, "__", 2) == 0 || strlen(label) >= NAME_SIZE)
            return "has a label whose name is not valid";
        for (size_t k = 0; k < sizeof(taken) / sizeof(taken[0]); k++)
            if (strcmp(label, taken[k]) == 0)
                return "has a label that is not its own to give";
        for (size_t k = 0; k < i; k++)
            if (strcmp(label, draft->labels[k]) == 0)
                return "has a label twice";
    }
    return NULL;
}

static const char *draft_fault(const struct kvtel_metric *draft)
{
    const struct kvtel_buckets *buckets = draft->buckets;
    if (!kvtel_is_name(draft->name, true) || strlen(draft->name) >= NAME_SIZE)
        return "is not a valid name of a metric";
    if (strncmp(draft->name, "kvtel_", 6) == 0 || strncmp(draft->name, "process_", 8) == 0)
        return "is a name of the exporter's own metrics";
    if (buckets && buckets->count > 256)
        return "has more than 256 buckets";
    for (size_t i = 0; buckets && i < buckets->count; i++)
        if (!kvtel_is_bound(buckets->bounds[i], i > 0 ? buckets->bounds[i - 1] : -1))
            return "has buckets that do not ascend, or are below 0 or not finite";
    return label_fault(draft);
}

/* A copy in one piece of memory. NULL: no memory. */
static struct kvtel_metric *copy_metric(const struct kvtel_metric *draft)
{
    const char *texts[2 + KVTEL_METRIC_LABELS] = { draft->name, draft->help };
    size_t count = 2, bounds = draft->buckets ? draft->buckets->count : 0;
    for (size_t i = 0; i < KVTEL_METRIC_LABELS && draft->labels[i]; i++)
        texts[count++] = draft->labels[i];
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    struct copy {
        struct kvtel_metric metric;
        struct kvtel_buckets buckets;
        double bounds[];
    } *copy = malloc(sizeof(*copy) + bounds * sizeof(double) + size);
    if (!copy)
        return NULL;
    char *text = (char *)&copy->bounds[bounds];
    copy->metric = *draft;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]) + 1;
        memcpy(text, texts[i], length);
        *(i == 0 ? &copy->metric.name : i == 1 ? &copy->metric.help : &copy->metric.labels[i - 2]) = text;
        text += length;
    }
    if (bounds > 0) {
        memcpy(copy->bounds, draft->buckets->bounds, bounds * sizeof(double));
        copy->buckets = (struct kvtel_buckets){ .bounds = copy->bounds, .count = bounds };
        copy->metric.buckets = &copy->buckets;
    } else {
        copy->metric.buckets = NULL;
    }
    return &copy->metric;
}

static bool same_bounds(const struct kvtel_buckets *a, const struct kvtel_buckets *b)
{
    if (!a || !b)
        return a == b;
    return a->count == b->count && memcmp(a->bounds, b->bounds, a->count * sizeof(double)) == 0;
}

/* Whether two metrics can feed one family, apart from their buckets. */
static bool fits(const struct kvtel_metric *have, const struct kvtel_metric *draft)
{
    char name[NAME_SIZE], other[NAME_SIZE];
    return have->type == draft->type && same_labels(have, draft) &&
           strcmp(kvtel_metric_family_name(have, name, sizeof(name)),
                  kvtel_metric_family_name(draft, other, sizeof(other))) == 0;
}

/* Whether a metric of `open` keeps this one from being added. `shares`: metrics of one family do not. */
static bool is_in_the_way(const struct kvtel_learned *open, const struct kvtel_metric *draft, bool shares)
{
    size_t count = atomic_load_explicit(&open->metric_count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_metric *metric = open->metrics[i];
        if (clash(metric, draft) && !(shares && fits(metric, draft) && same_bounds(metric->buckets, draft->buckets)))
            return true;
    }
    return false;
}

/* Adds a metric that is not there. The mutex is held. */
static enum kvtel_status add_metric(struct kvtel_learned *open, const struct kvtel_metric *draft,
                                    const struct kvtel_metric **metric, const char **why)
{
    size_t count = atomic_load_explicit(&open->metric_count, memory_order_relaxed);
    *why = "has a name, or the name of a sample, that another metric has";
    bool is_taken = is_in_the_way(open, draft, false);
    for (size_t i = 0; !is_taken && i < atomic_load_explicit(&table_count, memory_order_relaxed); i++)
        is_taken = tables[i] != open && is_in_the_way(tables[i], draft, true);
    if (is_taken)
        return KVTEL_E_MISMATCH;
    *why = "is one metric too many for one connector";
    if (count == KVTEL_LEARNED_METRICS)
        return KVTEL_E_LIMIT;
    struct kvtel_metric *made = copy_metric(draft);
    if (!made)
        return KVTEL_E_NOMEM;
    open->metrics[count] = *metric = made;
    /* the entry first, then the count; pairs with the load in kvtel_learned_metric() */
    atomic_store_explicit(&open->metric_count, count + 1, memory_order_release);
    return KVTEL_OK;
}

enum kvtel_status kvtel_learned_add(struct kvtel_learned *open, const struct kvtel_metric *draft,
                                    const struct kvtel_metric **metric, const char **why)
{
    *why = draft_fault(draft);
    if (*why)
        return KVTEL_E_ARGUMENT;
    struct kvtel_metric defined = *draft;
    const struct kvtel_metric *taken = find_taken(draft);
    *why = "has the name of a family, or of one of its samples, that is of another type or has other labels";
    if (taken && (!fits(taken, draft) || taken->values[0]))
        return KVTEL_E_MISMATCH;
    if (taken) {
        defined.help = taken->help;
        defined.buckets = taken->buckets;
        defined.unit = taken->unit;
    }
    pthread_mutex_lock(&adding);
    const struct kvtel_metric *have = kvtel_learned_metric(open, draft->name, 0);
    enum kvtel_status status = KVTEL_OK;
    if (!have)
        status = add_metric(open, &defined, metric, why);
    else if (fits(have, draft))
        *metric = have;
    else
        status = KVTEL_E_MISMATCH;
    pthread_mutex_unlock(&adding);
    return status;
}

const struct kvtel_descriptor *kvtel_learned_describe(struct kvtel_learned *open, struct kvtel_descriptor *descriptor)
{
    const struct kvtel_descriptor *before = NULL;
    if (atomic_compare_exchange_strong(&open->descriptor, &before, descriptor))
        return descriptor;
    free(descriptor);
    return before;
}

const struct kvtel_connector *kvtel_connector_open(const char *name)
{
    const struct kvtel_connector *table = kvtel_connector_find(name);
    if (table && table->payload_kind != KVTEL_PAYLOAD_NONE)
        return table;
    struct kvtel_learned *open = kvtel_learned_get(name, NULL);
    return open ? &open->table : NULL;
}

enum kvtel_unit kvtel_learned_unit(const char *name)
{
    static const struct {
        const char *word;
        enum kvtel_unit unit;
    } words[] = {
        { "seconds", KVTEL_UNIT_SECONDS },
        { "bytes", KVTEL_UNIT_BYTES },
        { "ratio", KVTEL_UNIT_RATIO },
        { "perc", KVTEL_UNIT_RATIO },
    };
    enum kvtel_unit unit = KVTEL_UNIT_COUNT;
    for (const char *at = name; *at;) {
        size_t size = strcspn(at, "_:");
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (strlen(words[i].word) == size && memcmp(at, words[i].word, size) == 0)
                unit = words[i].unit; /* of several the last one counts */
        at += size;
        at += strspn(at, "_:");
    }
    return unit;
}

const struct kvtel_buckets *kvtel_learned_buckets(enum kvtel_unit unit)
{
    static const double seconds[] = { 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                      0.25,   0.5,    1,     2.5,   5,    10,    30,   60 };
    static const double bytes[] = { 2048,    8192,     32768,     131072,    524288,       2097152,
                                    8388608, 33554432, 134217728, 536870912, 2147483648.0, 8589934592.0 };
    static const double ratios[] = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1 };
    static const double counts[] = { 1,    2,    5,    10,    20,    50,    100,    200,    500,
                                     1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000 };
#define BUCKETS(values)                                                   \
    {                                                                     \
        .bounds = (values), .count = sizeof(values) / sizeof((values)[0]) \
    }
    static const struct kvtel_buckets buckets[] = {
        [KVTEL_UNIT_COUNT] = BUCKETS(counts),
        [KVTEL_UNIT_SECONDS] = BUCKETS(seconds),
        [KVTEL_UNIT_BYTES] = BUCKETS(bytes),
        [KVTEL_UNIT_RATIO] = BUCKETS(ratios),
    };
#undef BUCKETS
    return &buckets[unit];
}
