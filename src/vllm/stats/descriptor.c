/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a payload's _metrics_descriptor (MetricsDescriptorV1). The first valid one of a connector is registered; an
 * invalid one registers nothing. */
#include "base/diagnostics.h"
#include "base/metric.h"
#include "vllm/stats/decode.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry that is being read. */
struct draft {
    struct kvtel_metric metric;
    const char *values[KVTEL_METRIC_LABELS];
    struct kvtel_buckets buckets;
    const char *path;
    enum kvtel_sample_kind kind;
    double scale;
    bool is_definition;
};

struct reader {
    struct kvtel_decoder *decoder;
    const struct kvtel_value *payload;
    struct draft *drafts;
    size_t count;
    char place[128], fault[192]; /* what is wrong, and where; fault "": nothing */
};

static const struct {
    const char *name;
    enum kvtel_metric_type type;
} sample_kinds[] = {
    [KVTEL_INC_BY_U64] = { "inc_by_u64", KVTEL_COUNTER },
    [KVTEL_INC_BY_SUM_U64] = { "inc_by_sum_u64", KVTEL_COUNTER },
    [KVTEL_INC_BY_F64] = { "inc_by_f64", KVTEL_COUNTER },
    [KVTEL_SET_U64] = { "set_u64", KVTEL_GAUGE },
    [KVTEL_SET_F64] = { "set_f64", KVTEL_GAUGE },
    [KVTEL_OBSERVE_EACH_F64] = { "observe_each_f64", KVTEL_HISTOGRAM },
    [KVTEL_OBSERVE_EACH_U64_AS_F64] = { "observe_each_u64_as_f64", KVTEL_HISTOGRAM },
};

/* Remembers a fault. `index`: of the entry; SIZE_MAX: it is not in an entry. Returns false. */
static bool KVTEL_PRINTF(4, 5) fail(struct reader *reader, size_t index, const char *key, const char *format, ...)
{
    va_list list;
    if (index == SIZE_MAX)
        (void)snprintf(reader->place, sizeof reader->place, "%s", key);
    else
        (void)snprintf(reader->place, sizeof reader->place, "metrics[%zu]%s%s", index, *key ? "." : "", key);
    va_start(list, format);
    (void)vsnprintf(reader->fault, sizeof reader->fault, format, list);
    va_end(list);
    return false;
}

/* Reads a text that must be there. False: it is missing, empty or not usable. */
static bool read_text(struct reader *reader, size_t index, const struct kvtel_value *map, const char *key,
                      const char **text)
{
    const struct kvtel_value *value = kvtel_value_get(map, key);
    if (!value)
        return fail(reader, index, key, "is missing");
    if (value->kind != KVTEL_VALUE_STRING || value->size == 0)
        return fail(reader, index, key, "is not a text, or is empty");
    const char *fault = kvtel_value_text_fault(value);
    *text = value->text;
    return !fault || fail(reader, index, key, "%s", fault);
}

static bool read_kind(struct reader *reader, size_t index, const struct kvtel_value *map, struct draft *draft)
{
    const char *type, *kind;
    if (!read_text(reader, index, map, "type", &type) || !read_text(reader, index, map, "sample_kind", &kind))
        return false;
    int found = -1;
    for (int i = KVTEL_COUNTER; i <= KVTEL_HISTOGRAM; i++)
        if (strcmp(type, kvtel_metric_type_name((enum kvtel_metric_type)i)) == 0)
            found = i;
    if (found < 0)
        return fail(reader, index, "type", "is \"%.40s\", not counter, gauge or histogram", type);
    draft->metric.type = (enum kvtel_metric_type)found;
    for (size_t i = 0; i < sizeof sample_kinds / sizeof *sample_kinds; i++)
        if (strcmp(kind, sample_kinds[i].name) == 0) {
            draft->kind = (enum kvtel_sample_kind)i;
            return sample_kinds[i].type == draft->metric.type ||
                   fail(reader, index, "sample_kind", "is \"%s\", which a %s does not take", kind, type);
        }
    return fail(reader, index, "sample_kind", "is \"%.40s\", which is no sample kind", kind);
}

static bool read_buckets(struct reader *reader, size_t index, const struct kvtel_value *map, struct draft *draft)
{
    const struct kvtel_value *list = kvtel_value_get(map, "buckets");
    if (!list || list->kind == KVTEL_VALUE_NIL || draft->metric.type != KVTEL_HISTOGRAM)
        return draft->metric.type != KVTEL_HISTOGRAM ||
               fail(reader, index, "buckets", "is missing: a histogram has some");
    if (list->kind != KVTEL_VALUE_ARRAY || list->size == 0 || list->size > 257)
        return fail(reader, index, "buckets", "is not a list of 1 to 256 bounds");
    double *bounds = kvtel_arena_alloc(&reader->decoder->stats->arena, list->size * sizeof *bounds), bound;
    if (!bounds)
        return fail(reader, index, "", "needs memory that is not there");
    for (uint32_t i = 0; i < list->size; i++) {
        if (!kvtel_value_number(&list->items[i], &bound))
            return fail(reader, index, "buckets", "has a bound that is not a number");
        if (isinf(bound) && bound > 0 && i + 1 == list->size && i > 0)
            break; /* the bucket that each histogram has */
        if (!kvtel_is_bound(bound, i > 0 ? bounds[i - 1] : -1) || i == 256)
            return fail(reader, index, "buckets", "has bounds that do not ascend, or are below 0 or not finite");
        bounds[i] = bound;
        draft->buckets.count = i + 1;
    }
    draft->buckets.bounds = bounds;
    draft->metric.buckets = &draft->buckets;
    return true;
}

static bool read_scale(struct reader *reader, size_t index, const struct kvtel_value *map, struct draft *draft)
{
    const struct kvtel_value *scale = kvtel_value_get(map, "scale");
    draft->scale = 1;
    if (!scale || scale->kind == KVTEL_VALUE_NIL)
        return true;
    if (kvtel_value_number(scale, &draft->scale) && draft->scale > 0 && isfinite(draft->scale))
        return true;
    return fail(reader, index, "scale", "is not a number above 0");
}

/* Reads the labels in the order of their names, so that entries of one family have one order. */
static bool read_labels(struct reader *reader, size_t index, const struct kvtel_value *map, struct draft *draft)
{
    const struct kvtel_value *labels = kvtel_value_get(map, "const_labels");
    if (!labels || labels->kind == KVTEL_VALUE_NIL)
        return true;
    if (labels->kind != KVTEL_VALUE_MAP || labels->size > KVTEL_METRIC_LABELS)
        return fail(reader, index, "const_labels", "is not a map of at most %d texts", KVTEL_METRIC_LABELS);
    for (uint32_t i = 0; i < labels->size; i++) {
        const struct kvtel_value *name = &labels->items[2 * i], *value = name + 1;
        if (name->kind != KVTEL_VALUE_STRING || value->kind != KVTEL_VALUE_STRING || kvtel_value_text_fault(name) ||
            kvtel_value_text_fault(value))
            return fail(reader, index, "const_labels", "has a name or value that is not a text");
        uint32_t at = i;
        for (; at > 0 && strcmp(draft->metric.labels[at - 1], name->text) > 0; at--) {
            draft->metric.labels[at] = draft->metric.labels[at - 1];
            draft->values[at] = draft->values[at - 1];
        }
        draft->metric.labels[at] = name->text;
        draft->values[at] = value->text;
    }
    return true;
}

static bool same_texts(const char *const *a, const char *const *b)
{
    for (size_t i = 0; i < KVTEL_METRIC_LABELS; i++)
        if (!a[i] || !b[i])
            return a[i] == b[i];
        else if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* Compares an entry with those before it. */
static bool check_siblings(struct reader *reader, size_t index, const struct draft *draft)
{
    for (size_t i = 0; i < index; i++) {
        const struct draft *other = &reader->drafts[i];
        if (strcmp(other->metric.name, draft->metric.name) != 0)
            continue;
        if (other->metric.type != draft->metric.type || !same_texts(other->metric.labels, draft->metric.labels) ||
            other->buckets.count != draft->buckets.count ||
            (draft->buckets.count > 0 &&
             memcmp(other->buckets.bounds, draft->buckets.bounds, draft->buckets.count * sizeof(double)) != 0))
            return fail(reader, index, "name", "is that of metrics[%zu], whose type, labels or buckets differ", i);
        if (same_texts(other->values, draft->values))
            return fail(reader, index, "name", "stands with the same labels in metrics[%zu]", i);
    }
    return true;
}

static bool read_entry(struct reader *reader, size_t index, const struct kvtel_value *map)
{
    struct draft *draft = &reader->drafts[index];
    memset(draft, 0, sizeof *draft);
    if (map->kind != KVTEL_VALUE_MAP)
        return fail(reader, index, "", "is not a map");
    if (!read_text(reader, index, map, "name", &draft->metric.name) ||
        !read_text(reader, index, map, "documentation", &draft->metric.help) ||
        !read_text(reader, index, map, "samples_path", &draft->path) || !read_kind(reader, index, map, draft) ||
        !read_buckets(reader, index, map, draft) || !read_scale(reader, index, map, draft) ||
        !read_labels(reader, index, map, draft))
        return false;
    if (!kvtel_is_name(draft->metric.name, true))
        return fail(reader, index, "name", "\"%.64s\" is not a valid name of a metric", draft->metric.name);
    for (size_t i = 0; i < KVTEL_METRIC_LABELS && draft->metric.labels[i]; i++)
        if (!kvtel_is_name(draft->metric.labels[i], false))
            return fail(reader, index, "const_labels", "\"%.64s\" is not a valid name of a label",
                        draft->metric.labels[i]);
    draft->metric.unit = kvtel_learned_unit(draft->metric.name);
    return check_siblings(reader, index, draft);
}

static bool read_descriptor(struct reader *reader, const struct kvtel_value *descriptor)
{
    const struct kvtel_value *version, *metrics;
    const char *id;
    if (descriptor->kind != KVTEL_VALUE_MAP)
        return fail(reader, SIZE_MAX, "", "is not a map");
    version = kvtel_value_get(descriptor, "descriptor_version");
    if (!version || version->kind != KVTEL_VALUE_INTEGER || version->integer != 1)
        return fail(reader, SIZE_MAX, "descriptor_version", "is not 1");
    if (!read_text(reader, SIZE_MAX, descriptor, "connector_id", &id))
        return false;
    metrics = kvtel_value_get(descriptor, "metrics");
    if (!metrics || metrics->kind != KVTEL_VALUE_ARRAY)
        return fail(reader, SIZE_MAX, "metrics", "is not a list");
    if (metrics->size > KVTEL_LEARNED_ENTRIES)
        return fail(reader, SIZE_MAX, "metrics", "has %u entries, more than %d", metrics->size, KVTEL_LEARNED_ENTRIES);
    reader->drafts = kvtel_arena_alloc(&reader->decoder->stats->arena, (metrics->size + 1) * sizeof *reader->drafts);
    if (!reader->drafts)
        return fail(reader, SIZE_MAX, "", "needs memory that is not there");
    for (; reader->count < metrics->size; reader->count++)
        if (!read_entry(reader, reader->count, &metrics->items[reader->count]))
            return false;
    return true;
}

/* An entry for a typed metric whose samples have label sets of their own defines the family, and reads no samples: it
 * takes the labels of the payload. */
static enum kvtel_status take_labels(struct reader *reader, struct draft *draft)
{
    static const char *const numbered[KVTEL_METRIC_LABELS] = { "label_1", "label_2", "label_3", "label_4",
                                                               "label_5", "label_6", "label_7", "label_8" };
    const struct kvtel_value *data = kvtel_value_get(reader->payload, "data");
    const struct kvtel_value *names = kvtel_value_get(reader->payload, "labels"), *sets = NULL;
    if (reader->decoder->open->base || draft->metric.labels[0] || strncmp(draft->path, "data.", 5) != 0 ||
        draft->scale != 1 || !kvtel_decode_is_typed(reader->payload) ||
        !(sets = kvtel_value_get(data, draft->path + 5)) || sets->kind != KVTEL_VALUE_MAP || sets->size == 0)
        return KVTEL_OK;
    const char *labels;
    size_t size;
    int count;
    enum kvtel_status status = kvtel_decode_labels(&reader->decoder->stats->arena, sets->items, &labels, &size, &count);
    if (status != KVTEL_OK || count <= 0)
        return status;
    names = names ? kvtel_value_get(names, draft->path + 5) : NULL;
    bool named = names && names->kind == KVTEL_VALUE_ARRAY && names->size == (uint32_t)count;
    draft->is_definition = true;
    for (int i = 0; i < count; i++)
        draft->metric.labels[i] = named && kvtel_decode_is_name(&names->items[i]) ? names->items[i].text : numbered[i];
    return KVTEL_OK;
}

/* Whether the connector's own table has the family; it then stays as the table has it. */
static bool is_of_table(const struct kvtel_connector *base, const struct kvtel_metric *draft)
{
    char name[256], other[256];
    for (const struct kvtel_metric *metric = base ? base->metrics : NULL; metric && metric->name; metric++)
        if (strcmp(kvtel_metric_family_name(metric, name, sizeof name),
                   kvtel_metric_family_name(draft, other, sizeof other)) == 0)
            return true;
    return false;
}

/* Copies an entry's texts behind the entries. */
static char *fill_entry(struct kvtel_described *entry, const struct draft *draft, const struct kvtel_metric *metric,
                        char *text)
{
    size_t size = strlen(draft->path) + 1;
    *entry = (struct kvtel_described){ .metric = metric,
                                       .is_definition = draft->is_definition,
                                       .path = memcpy(text, draft->path, size),
                                       .kind = draft->kind,
                                       .scale = draft->scale };
    text += size;
    entry->labels = text;
    for (size_t i = 0; i < KVTEL_METRIC_LABELS && draft->values[i]; i++, entry->label_count++) {
        size = strlen(draft->values[i]) + 1;
        memcpy(text, draft->values[i], size);
        text += size;
        entry->labels_size += size;
    }
    return text;
}

static enum kvtel_status register_entries(struct reader *reader, uint64_t hash)
{
    struct kvtel_decoder *decoder = reader->decoder;
    size_t texts = 0;
    for (size_t i = 0; i < reader->count; i++) {
        texts += strlen(reader->drafts[i].path) + 1;
        for (size_t k = 0; k < KVTEL_METRIC_LABELS && reader->drafts[i].values[k]; k++)
            texts += strlen(reader->drafts[i].values[k]) + 1;
    }
    struct kvtel_descriptor *made = calloc(1, sizeof *made + reader->count * sizeof *made->entries + texts + 1);
    if (!made)
        return KVTEL_E_NOMEM;
    char *text = (char *)&made->entries[reader->count];
    made->hash = hash;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < reader->count && status != KVTEL_E_NOMEM; i++) {
        const struct kvtel_metric *metric;
        const char *why;
        struct draft *draft = &reader->drafts[i];
        if (is_of_table(decoder->open->base, &draft->metric))
            continue;
        if ((status = take_labels(reader, draft)) != KVTEL_OK)
            continue;
        status = kvtel_learned_add(decoder->open, &draft->metric, &metric, &why);
        if (status == KVTEL_OK)
            text = fill_entry(&made->entries[made->count++], draft, metric, text);
        else if (status != KVTEL_E_NOMEM)
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_DESCRIPTOR, 1, draft->metric.name, why);
    }
    if (status == KVTEL_E_NOMEM) {
        free(made);
        return status;
    }
    decoder->descriptor = kvtel_learned_describe(decoder->open, made);
    return KVTEL_OK;
}

/* A hash of a whole value. The decoders bound its depth. Never 0. */
static uint64_t hash_value(uint64_t seed, const struct kvtel_value *value)
{
    const uint32_t head[2] = { value->kind, value->size };
    seed = kvtel_hash(seed, head, sizeof head);
    if (value->kind == KVTEL_VALUE_STRING)
        seed = kvtel_hash(seed, value->text, value->size);
    else if (value->kind == KVTEL_VALUE_ARRAY || value->kind == KVTEL_VALUE_MAP)
        for (size_t i = 0; i < (value->kind == KVTEL_VALUE_MAP ? 2 : 1) * (size_t)value->size; i++)
            seed = hash_value(seed, &value->items[i]);
    else if (value->kind != KVTEL_VALUE_NIL)
        seed = kvtel_hash(seed, &value->integer, sizeof value->integer);
    return seed ? seed : 1;
}

static void refuse(const struct kvtel_decoder *decoder, const char *place, const char *fault)
{
    const char *name = decoder->stats->connector->names[0].name;
    kvtel_diagnostics_refuse(decoder->stats->diagnostics, KVTEL_REFUSED_DESCRIPTOR, 1, name,
                             "%.64s: _metrics_descriptor%s%s %s; nothing of it is used", name, *place ? "." : "", place,
                             fault);
}

/* The payload's descriptor; NULL: it has none. */
static const struct kvtel_value *find_descriptor(const struct kvtel_value *payload)
{
    static const char key[] = "_metrics_descriptor";
    for (uint32_t i = 0; i < payload->size; i++)
        if (payload->items[2 * i].kind == KVTEL_VALUE_STRING && payload->items[2 * i].size == sizeof key - 1 &&
            memcmp(payload->items[2 * i].text, key, sizeof key - 1) == 0)
            return &payload->items[2 * i + 1];
    return NULL;
}

static enum kvtel_status take_descriptor(struct kvtel_decoder *decoder, const struct kvtel_value *payload,
                                         const struct kvtel_value *descriptor)
{
    struct reader reader = { .decoder = decoder, .payload = payload };
    uint64_t hash = hash_value(0, descriptor);
    if (decoder->descriptor && decoder->descriptor->hash == hash)
        return KVTEL_OK;
    if (decoder->descriptor) {
        refuse(decoder, "", "is not the one that the connector sent first");
        return KVTEL_OK;
    }
    if (atomic_load(&decoder->open->bad_hash) == hash) {
        refuse(decoder, "", "is not valid");
        return KVTEL_OK;
    }
    if (read_descriptor(&reader, descriptor))
        return register_entries(&reader, hash);
    refuse(decoder, reader.place, reader.fault);
    atomic_store(&decoder->open->bad_hash, hash);
    return KVTEL_OK;
}

enum kvtel_status kvtel_decode_descriptor(struct kvtel_decoder *decoder, const struct kvtel_value *payload)
{
    const struct kvtel_connector *table = decoder->stats->connector;
    const struct kvtel_value *descriptor = find_descriptor(payload);
    decoder->open = kvtel_learned_of(table);
    if (!decoder->open)
        decoder->open = kvtel_learned_beside(table);
    if (descriptor && table->payload_kind == KVTEL_PAYLOAD_MULTI) {
        refuse(decoder, "", "is that of a MultiConnector, whose children have one each");
        return KVTEL_OK;
    }
    if (descriptor && !decoder->open && !(decoder->open = kvtel_learned_get(table->names[0].name, table))) {
        refuse(decoder, "", "came after those of too many connectors");
        return KVTEL_OK;
    }
    if (!decoder->open)
        return KVTEL_OK;
    decoder->descriptor = atomic_load(&decoder->open->descriptor);
    enum kvtel_status status = descriptor ? take_descriptor(decoder, payload, descriptor) : KVTEL_OK;
    if (!decoder->open->base && kvtel_decode_is_typed(payload) && kvtel_value_get(payload, KVTEL_READ_KEY))
        decoder->descriptor = NULL;
    return status;
}
