/* SPDX-License-Identifier: Apache-2.0 */
/* Making a recorder and its handles from a connector's table. */
#include "record/recorder.h"
#include "connectors/table.h"
#include "record/lane.h"
#include "record/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Warns that the connector does not have what the caller named, and counts at least one record as dropped. */
static void warn_unknown(struct kvtel_store *store, enum kvtel_store_warning warning, const char *connector,
                         const char *what, const char *name)
{
    char message[256];
    (void)snprintf(message, sizeof(message),
                   "the connector %.64s has no %s%s%.64s%s: what would be recorded there is lost, and counted",
                   connector, what, name ? " \"" : "", name ? name : "", name ? "\"" : "");
    kvtel_store_count_dropped(store, 1);
    kvtel_store_warn(store, warning, message);
}

static bool is_text_field(const struct kvtel_connector *connector, const char *key)
{
    for (const struct kvtel_field *field = connector->fields; field && field->key; field++) {
        if (strcmp(field->key, key) == 0)
            return field->kind == KVTEL_FIELD_TEXT;
    }
    return false;
}

/* Values of a metric's own labels for an operation: a label that is a text field of the row gets the status, any
 * other label the operation's name. */
static const char *const *operation_labels(const struct kvtel_recorder *recorder,
                                           const struct kvtel_operation *operation, const struct kvtel_metric *metric,
                                           int field, const char **values)
{
    if (recorder->connector->payload_kind != KVTEL_PAYLOAD_ROWS &&
        recorder->connector->payload_kind != KVTEL_PAYLOAD_COUNTS)
        return kvtel_recorder_table_labels(metric, (size_t)field);
    for (size_t i = 0; i < kvtel_metric_label_count(metric); i++)
        values[i] = is_text_field(recorder->connector, metric->labels[i]) ? operation->status : operation->name;
    return values;
}

static uint16_t column_of(struct kvtel_operation *operation, enum kvtel_source source)
{
    for (uint32_t i = 0; i < operation->column_count; i++) {
        if (operation->sources[i] == source)
            return (uint16_t)i;
    }
    operation->sources[operation->column_count] = (uint8_t)source;
    return (uint16_t)operation->column_count++;
}

static void add_feed(struct kvtel_operation *operation, uint32_t series, enum kvtel_source source,
                     enum kvtel_column_kind kind)
{
    if (operation->feed_count < KVTEL_LAYOUT_COLUMNS)
        operation->feeds[operation->feed_count++] =
            (struct kvtel_row_group_feed){ series, column_of(operation, source), kind };
}

/* The first series of the operation that has places for exemplars gets them. */
static void take_exemplars(struct kvtel_operation *operation, uint32_t series, enum kvtel_source source)
{
    const struct kvtel_series_local *local = &operation->store->series[series];
    if (operation->exemplars.at != 0 || local->exemplars_at == 0)
        return;
    operation->exemplars = (struct kvtel_exemplar_places){ local->exemplars_at, local->bins };
    operation->exemplar_source = source;
}

/* Adds a feed to every metric that takes the field `key`. */
static void feed(struct kvtel_recorder *recorder, struct kvtel_operation *operation, const char *key,
                 enum kvtel_source source, bool ones)
{
    for (size_t i = 0; key && i < recorder->family_count; i++) {
        const struct kvtel_metric *metric = recorder->families[i].metric;
        int field = kvtel_recorder_field(recorder, metric, key);
        const char *values[KVTEL_METRIC_LABELS];
        uint32_t series;
        if (field < 0 || metric->type == KVTEL_GAUGE)
            continue;
        const char *const *own = operation_labels(recorder, operation, metric, field, values);
        if (!kvtel_recorder_series(recorder, &recorder->families[i], own, kvtel_metric_label_count(metric), &series))
            continue;
        if (metric->type == KVTEL_HISTOGRAM) {
            add_feed(operation, series, source, KVTEL_COLUMN_OBSERVE);
            take_exemplars(operation, series, source);
        } else
            add_feed(operation, series, source,
                     ones || metric->input == KVTEL_INPUT_COUNT ? KVTEL_COLUMN_ONE : KVTEL_COLUMN_ADD);
    }
}

/* Feeds the fields of a flow, as kvtel_stats_record_transfer() and kvtel_stats_record_operation() fill them. */
static void feed_flow(struct kvtel_recorder *recorder, struct kvtel_operation *operation, const struct kvtel_flow *flow)
{
    bool counts = recorder->connector->payload_kind == KVTEL_PAYLOAD_COUNTS, ok = strcmp(operation->status, "ok") == 0;
    feed(recorder, operation, flow->time, KVTEL_SOURCE_DURATION, false);
    feed(recorder, operation, flow->post, KVTEL_SOURCE_POST, false);
    if (!counts || ok) {
        feed(recorder, operation, flow->bytes, KVTEL_SOURCE_BYTES, false);
        feed(recorder, operation, flow->sizes, KVTEL_SOURCE_BYTES, false);
        feed(recorder, operation, flow->count, KVTEL_SOURCE_DURATION, true);
    }
    feed(recorder, operation, flow->descriptors, KVTEL_SOURCE_DESCRIPTORS, false);
    feed(recorder, operation, flow->started, KVTEL_SOURCE_DURATION, true);
    if (counts && !ok)
        feed(recorder, operation, flow->failed, KVTEL_SOURCE_DURATION, true);
    else if (recorder->connector->payload_kind == KVTEL_PAYLOAD_ROWS)
        feed(recorder, operation, flow->failed, KVTEL_SOURCE_FAILED, false);
}

static bool make_window_families(struct kvtel_recorder *recorder)
{
    static const char *const labels[] = { "model_name", "engine", "connector", "operation" };
    static const struct kvtel_family_spec specs[] = {
        { .name = "kvtel_transfer_first_byte_seconds",
          .type = KVTEL_HISTOGRAM,
          .help = "Seconds from submitting a transfer until its first byte arrived. One value per finished transfer of "
                  "a rank "
                  "that tells "
                  "both.",
          .labelnames = labels,
          .label_count = 4,
          .unit = KVTEL_UNIT_SECONDS },
        { .name = "kvtel_transfer_data_seconds",
          .type = KVTEL_HISTOGRAM,
          .help = "Seconds from the first byte of a transfer until it was done. One value per finished transfer of a "
                  "rank that "
                  "tells both.",
          .labelnames = labels,
          .label_count = 4,
          .unit = KVTEL_UNIT_SECONDS },
    };
    return kvtel_store_family(recorder->store, &specs[0], &recorder->window_families[0]) == KVTEL_OK &&
           kvtel_store_family(recorder->store, &specs[1], &recorder->window_families[1]) == KVTEL_OK;
}

static void feed_windows(struct kvtel_recorder *recorder, struct kvtel_operation *operation)
{
    const char *own[] = { recorder->connector->names[0].name, operation->name };
    uint32_t series;
    if (kvtel_recorder_bare_series(recorder, recorder->window_families[0], own, 2, false, &series))
        add_feed(operation, series, KVTEL_SOURCE_FIRST_BYTE, KVTEL_COLUMN_OBSERVE);
    if (kvtel_recorder_bare_series(recorder, recorder->window_families[1], own, 2, false, &series))
        add_feed(operation, series, KVTEL_SOURCE_DATA, KVTEL_COLUMN_OBSERVE);
}

static const struct kvtel_flow *find_flow(const struct kvtel_connector *connector, const char *name)
{
    for (const struct kvtel_flow *flow = connector->flows; flow && flow->name; flow++) {
        bool any = strcmp(flow->name, "*") == 0;
        if (name ? any || strcmp(flow->name, name) == 0 : !any)
            return flow;
    }
    return NULL;
}

static void free_operation(struct kvtel_operation *operation)
{
    free(operation->name);
    free(operation->status);
    free(operation);
}

static const struct kvtel_operation *find_operation(const struct kvtel_recorder *recorder, const char *name,
                                                    const char *status)
{
    const struct kvtel_operation *operation = recorder->operations;
    while (operation && (strcmp(operation->name, name) != 0 || strcmp(operation->status, status) != 0))
        operation = operation->next;
    return operation;
}

/* Makes the group of the operation's columns. If one of its series already belongs to another group, each series
 * gets a group of its own and the operation none. */
static enum kvtel_status make_group(struct kvtel_store *store, struct kvtel_operation *operation)
{
    struct kvtel_row_group_columns columns = { .count = operation->column_count };
    for (uint32_t i = 0; i < operation->column_count; i++)
        columns.ns |= (uint32_t)kvtel_source_is_ns(operation->sources[i]) << i;
    operation->ns = columns.ns;
    for (uint32_t i = 0; i < operation->feed_count; i++)
        if (operation->feeds[i].kind == KVTEL_COLUMN_ONE)
            operation->counted |= UINT32_C(1) << operation->feeds[i].column;
    enum kvtel_status made =
        operation->feed_count > 0
            ? kvtel_store_row_group(store, operation->feeds, operation->feed_count, columns, &operation->group)
            : KVTEL_E_LIMIT;
    if (made != KVTEL_E_BUSY && made != KVTEL_E_ARGUMENT)
        return made;
    made = KVTEL_OK;
    for (uint32_t i = 0; made == KVTEL_OK && i < operation->feed_count; i++)
        made = kvtel_store_own_row_group(store, operation->feeds[i].series);
    return made;
}

static const struct kvtel_operation *make_operation(struct kvtel_recorder *recorder, const struct kvtel_flow *flow,
                                                    const char *name, const char *status)
{
    struct kvtel_operation *operation = calloc(1, sizeof(*operation));
    if (!operation) {
        kvtel_recorder_warn_no_room(recorder->store, KVTEL_E_NOMEM);
        return NULL;
    }
    operation->store = recorder->store;
    operation->recorder = recorder;
    operation->token = recorder->store->token;
    operation->name = strdup(name);
    operation->status = strdup(status);
    enum kvtel_status made = operation->name && operation->status ? KVTEL_OK : KVTEL_E_NOMEM;
    if (made == KVTEL_OK) {
        feed_flow(recorder, operation, flow);
        if (recorder->windows)
            feed_windows(recorder, operation);
        made = make_group(recorder->store, operation);
        operation->is_tracked = made == KVTEL_OK && recorder->tracks && kvtel_open_outcomes(recorder, operation);
    }
    if (made != KVTEL_OK) {
        kvtel_recorder_warn_no_room(recorder->store, made);
        free_operation(operation);
        return NULL;
    }
    kvtel_operation_prepare(operation);
    operation->next = recorder->operations;
    recorder->operations = operation;
    return operation;
}

/* Finds or makes an operation. NULL: the connector does not have such a flow. */
static const struct kvtel_operation *get_operation(struct kvtel_recorder *recorder, const char *name,
                                                   const char *status)
{
    const struct kvtel_flow *flow = find_flow(recorder->connector, name);
    if (!flow)
        return NULL;
    name = name ? name : flow->name;
    status = status ? status : "ok";
    const struct kvtel_operation *operation = find_operation(recorder, name, status);
    if (!operation && kvtel_store_is_own(recorder->store))
        operation = make_operation(recorder, flow, name, status);
    return operation ? operation : &recorder->lost_operation;
}

const struct kvtel_operation *kvtel_recorder_operation(struct kvtel_recorder *recorder, const char *name,
                                                       const char *status)
{
    if (!recorder)
        return NULL;
    const struct kvtel_operation *operation = get_operation(recorder, name, status);
    if (!operation)
        warn_unknown(recorder->store, KVTEL_WARN_FLOW, recorder->connector->names[0].name,
                     name ? "flow" : "flow of its own (an operation must be named)", name);
    return operation;
}

/* NULL: no metric of the connector takes this key with this number of labels. */
static const struct kvtel_instrument *make_instrument(struct kvtel_recorder *recorder, const char *key,
                                                      const char *const *labels, size_t count)
{
    struct kvtel_instrument instrument = { .store = recorder->store };
    bool is_known = false;
    for (size_t i = 0; i < recorder->family_count && instrument.count < KVTEL_INSTRUMENT_SERIES; i++) {
        const struct kvtel_metric *metric = recorder->families[i].metric;
        int field = kvtel_recorder_field(recorder, metric, key);
        size_t own_count = kvtel_metric_label_count(metric);
        bool by_table = metric->values[0] != NULL && count == 0;
        uint32_t *series = &instrument.series[instrument.count];
        if (field < 0 || (!by_table && own_count != count))
            continue;
        is_known = true;
        if (!kvtel_recorder_series(recorder, &recorder->families[i],
                                   by_table ? kvtel_recorder_table_labels(metric, (size_t)field) : labels, own_count,
                                   series))
            continue;
        enum kvtel_status status = kvtel_store_own_row_group(recorder->store, *series);
        if (status != KVTEL_OK) {
            kvtel_recorder_warn_no_room(recorder->store, status);
            continue;
        }
        instrument.ones = instrument.ones || metric->input == KVTEL_INPUT_COUNT;
        instrument.count++;
    }
    struct kvtel_instrument *made = instrument.count > 0 ? malloc(sizeof(*made)) : NULL;
    if (!is_known)
        return NULL;
    if (!made) {
        kvtel_recorder_warn_no_room(recorder->store, KVTEL_E_NOMEM);
        return &recorder->lost_instrument;
    }
    instrument.next = recorder->instruments;
    *made = instrument;
    recorder->instruments = made;
    return made;
}

const struct kvtel_instrument *kvtel_recorder_instrument(struct kvtel_recorder *recorder, const char *key,
                                                         const char *const *labels, size_t count)
{
    if (!recorder)
        return NULL;
    if (!kvtel_store_is_own(recorder->store))
        return &recorder->lost_instrument;
    bool is_whole = key && count <= KVTEL_METRIC_LABELS && (labels || count == 0);
    for (size_t i = 0; is_whole && i < count; i++)
        is_whole = labels[i] != NULL;
    const struct kvtel_instrument *instrument = is_whole ? make_instrument(recorder, key, labels, count) : NULL;
    if (!instrument)
        warn_unknown(recorder->store, KVTEL_WARN_KEY, recorder->connector->names[0].name,
                     "field or metric of these labels by the name", key ? key : "");
    return instrument;
}

static struct kvtel_recorder *create(struct kvtel_store *store, const struct kvtel_connector *connector,
                                     const struct kvtel_recorder_options *options)
{
    size_t metric_count = 0;
    while (connector->metrics && connector->metrics[metric_count].name)
        metric_count++;
    struct kvtel_recorder *recorder = calloc(1, sizeof(*recorder) + metric_count * sizeof(recorder->families[0]));
    if (!recorder)
        return NULL;
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", (unsigned)store->header->engine);
    recorder->store = store;
    recorder->connector = connector;
    static const uint64_t no_token = KVTEL_LOST_TOKEN;
    recorder->lost_operation = (struct kvtel_operation){ .store = store, .token = &no_token };
    recorder->lost_instrument = (struct kvtel_instrument){ .store = store };
    recorder->engine = strdup(options->engine ? options->engine : number);
    struct kvtel_transfer_config *config = options->config ? NULL : kvtel_transfer_config_of(connector->names[0].name);
    if (!recorder->engine || (!options->config && !config)) {
        kvtel_transfer_config_destroy(config);
        kvtel_recorder_destroy(recorder);
        return NULL;
    }
    recorder->exemplars = options->exemplars;
    kvtel_recorder_make_families(recorder, options->config ? options->config : config);
    kvtel_transfer_config_destroy(config);
    recorder->windows = options->windows && make_window_families(recorder);
    if (options->open_transfers > 0) {
        enum kvtel_status status = kvtel_open_make(store, options->open_transfers);
        recorder->tracks = status == KVTEL_OK;
        if (status != KVTEL_OK)
            kvtel_recorder_warn_no_room(store, status);
    }
    return recorder;
}

/* Whether the connector reports stats; warns if it does not. */
static bool has_stats(struct kvtel_store *store, const struct kvtel_connector *connector)
{
    char message[192];
    if (connector && connector->payload_kind != KVTEL_PAYLOAD_NONE && connector->payload_kind != KVTEL_PAYLOAD_MULTI)
        return true;
    (void)snprintf(message, sizeof(message), "%s%.64s%s: nothing is recorded through the recorder",
                   connector ? "the connector " : "a recorder was asked for an unknown connector",
                   connector ? connector->names[0].name : "", connector ? " does not report stats of its own" : "");
    kvtel_store_count_dropped(store, 1);
    kvtel_store_warn(store, KVTEL_WARN_CONNECTOR, message);
    return false;
}

struct kvtel_recorder *kvtel_recorder_create(struct kvtel_store *store, const struct kvtel_connector *connector,
                                             const struct kvtel_recorder_options *given)
{
    if (!store || !kvtel_store_is_own(store) || !has_stats(store, connector))
        return NULL;
    struct kvtel_recorder_options options = { 0 };
    if (given)
        memcpy(&options, given, kvtel_options_size(given->size, KVTEL_RECORDER_OPTIONS_SIZE_0_1, sizeof(options)));
    struct kvtel_recorder *recorder = create(store, connector, &options);
    if (!recorder) {
        kvtel_store_count_dropped(store, 1);
        kvtel_recorder_warn_no_room(store, KVTEL_E_NOMEM);
        return NULL;
    }
    kvtel_recorder_make_idle_series(recorder);
    recorder->first = get_operation(recorder, NULL, NULL);
    if (!recorder->first) /* the connector has no default flow: operations must be named */
        recorder->first = &recorder->lost_operation;
    for (const struct kvtel_failure_field *entry = connector->failures; entry && entry->field; entry++)
        recorder->failures[entry->failure] = make_instrument(recorder, entry->field, NULL, 0);
    return recorder;
}

void kvtel_recorder_destroy(struct kvtel_recorder *recorder)
{
    if (!recorder)
        return;
    for (struct kvtel_operation *operation = recorder->operations, *next; operation; operation = next) {
        next = operation->next;
        free_operation(operation);
    }
    for (struct kvtel_instrument *instrument = recorder->instruments, *next; instrument; instrument = next) {
        next = instrument->next;
        free(instrument);
    }
    free(recorder->engine);
    free(recorder);
}
