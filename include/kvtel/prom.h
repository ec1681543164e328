/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * vLLM's KVConnectorPromMetrics and KVConnectorProm: stats into Prometheus metrics, per connector and engine.
 *
 * libkvtel_record does not have its functions.
 */
#ifndef KVTEL_PROM_H
#define KVTEL_PROM_H

#include <kvtel/connector.h>
#include <kvtel/diagnostics.h>
#include <kvtel/stats.h>

KVTEL_BEGIN_DECLS

struct kvtel_store;

/** A child to be made: its family, and its label values in the order of labelnames. */
struct kvtel_child_spec {
    void *family;              /**< handle that kvtel_metric_types.family gave */
    const char *const *values; /**< label values */
    size_t count;              /**< how many label values */
    const void *reserved[2];   /**< NULL */
};

/** vLLM's `metric_types`: how gauges, counters and histograms are made and how values enter them. The implementation
 * owns the handles, which are valid as long as it is. kvtel calls from one thread at a time. */
struct kvtel_metric_types {
    void *context; /**< passed to each function */
    /** Makes a family, or finds the one of this name. KVTEL_E_MISMATCH: the name is taken by a different definition;
     * the connector goes on without this family. */
    enum kvtel_status (*family)(void *context, const struct kvtel_family_spec *spec, void **family);
    /** Makes or finds the child of these label values (UTF-8, in the order of labelnames). KVTEL_E_LIMIT: the family
     * takes no more. */
    enum kvtel_status (*child)(void *context, void *family, const char *const *values, size_t count, void **child);
    void (*increase)(void *context, void *child, double amount); /**< counter; amount >= 0 */
    void (*set)(void *context, void *child, double value);       /**< gauge */
    void (*observe)(void *context, void *child, const double *values,
                    size_t count); /**< histogram; values >= 0 and finite */
    /** Whether all of these children are there or can be made: KVTEL_OK or KVTEL_E_LIMIT, and then none of an engine's
     * is made. NULL: each is made for which there is room. */
    enum kvtel_status (*room)(void *context, const struct kvtel_child_spec *children, size_t count);
    void (*reserved[4])(void); /**< must be NULL */
};

/** The default types: the metrics are series of a store. All such types of a store share a lane, and take another one
 * while several threads write at once. Any thread; nothing has to be freed. A record for which no lane is free is
 * counted in the store's dropped records. `store` must outlive everything that uses the types.
 * @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (no lane left), KVTEL_E_BUSY (the store is the parent's of a fork) */
KVTEL_API enum kvtel_status kvtel_store_metric_types(struct kvtel_store *store, struct kvtel_metric_types *types);

/** Label values of one engine, in the order of labelnames. */
struct kvtel_engine_labels {
    uint32_t engine;           /**< index of the engine, as kvtel_prom_observe() is given it */
    const char *const *values; /**< label_count of them */
    const void *reserved[2];   /**< must be NULL */
};

/** What vLLM passes to both classes. Borrowed until the create call returns, except `config`, the handles of `types`
 * and `diagnostics`. */
struct kvtel_prom_options {
    const struct kvtel_transfer_config *config; /**< borrowed for the life of the object */
    struct kvtel_metric_types types;            /**< how metrics are made and fed */
    const char *const *labelnames;              /**< usually model_name, engine */
    size_t label_count;                         /**< how many label names */
    const struct kvtel_engine_labels *engines;  /**< per_engine_labelvalues */
    size_t engine_count;                        /**< how many engines */
    struct kvtel_diagnostics *diagnostics;      /**< may be NULL; outlives the object */
    const void *reserved[4];                    /**< must be NULL */
};

/** vLLM's create_metric_per_engine: one child of `family` for each engine. `children`: engine_count of them, in the
 * order of `engines`. Unchanged on failure; what the implementation made stays made. */
KVTEL_API enum kvtel_status kvtel_create_metric_per_engine(const struct kvtel_metric_types *types, void *family,
                                                           const struct kvtel_engine_labels *engines,
                                                           size_t engine_count, size_t label_count, void **children);

/** What a connector's metrics must do. */
struct kvtel_prom_metrics_vtable {
    /** Records one payload. KVTEL_E_ENGINE: the engine was not declared; KVTEL_E_MISMATCH: stats of another connector;
     * KVTEL_E_SUMMARISED: lists that explicit buckets need are gone (record each payload before it is accumulated). */
    enum kvtel_status (*observe)(struct kvtel_prom_metrics *metrics, const struct kvtel_stats *stats, uint32_t engine);
    void (*destroy)(struct kvtel_prom_metrics *metrics); /**< frees the object */
    void (*reserved[4])(void);                           /**< must be NULL */
};
/** vLLM's KVConnectorPromMetrics: the base. A connector that needs code puts it first in a struct of its own. Single
 * owner. */
struct kvtel_prom_metrics {
    const struct kvtel_prom_metrics_vtable *vtable; /**< static; never NULL */
    const struct kvtel_connector *connector;        /**< whose metrics these are; borrowed */
    const void *reserved[2];                        /**< must be NULL */
};

/** The metrics that a connector's table describes, for every engine: children up front, so that idle engines show
 * zeros.
 * @param metrics out, owned. @return KVTEL_OK, KVTEL_E_NO_STATS, KVTEL_E_ARGUMENT (no configuration, a function of
 * `types` is NULL, more than 8 label names, or labels, engines or values that are counted but not there),
 * KVTEL_E_LIMIT, KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_prom_metrics_create_generic(const struct kvtel_connector *connector,
                                                              const struct kvtel_prom_options *options,
                                                              struct kvtel_prom_metrics **metrics);
/** vLLM's build_prom_metrics(): the connector's own function, or the generic metrics. `options->config` names the
 * connector. */
KVTEL_API enum kvtel_status kvtel_connector_build_prom_metrics(const struct kvtel_prom_options *options,
                                                               struct kvtel_prom_metrics **metrics);
/** Records one payload through the vtable; the owner's thread. @return as kvtel_prom_metrics_vtable.observe */
KVTEL_API enum kvtel_status kvtel_prom_metrics_observe(struct kvtel_prom_metrics *metrics,
                                                       const struct kvtel_stats *stats, uint32_t engine);
/** Frees the object. The families and children that it made stay with the metric types. NULL is fine. */
KVTEL_API void kvtel_prom_metrics_destroy(struct kvtel_prom_metrics *metrics);

/** vLLM's KVConnectorProm: the configured connector's metrics, or none. Single owner. */
struct kvtel_prom;

/** Makes the metrics of the connector that `options->config` names. For a connector without stats, and for a name that
 * no table has, the metrics are those that payloads describe: kvtel_prom_observe() then takes stats of
 * kvtel_connector_open(). @param prom out, owned. @return KVTEL_OK, or as kvtel_prom_metrics_create_generic() */
KVTEL_API enum kvtel_status kvtel_prom_create(const struct kvtel_prom_options *options, struct kvtel_prom **prom);
/** @return KVTEL_OK; KVTEL_E_ENGINE, KVTEL_E_MISMATCH: nothing recorded, counted in the diagnostics;
 * KVTEL_E_SUMMARISED: nothing recorded */
KVTEL_API enum kvtel_status kvtel_prom_observe(struct kvtel_prom *prom, const struct kvtel_stats *stats,
                                               uint32_t engine);
/** NULL is fine. */
KVTEL_API void kvtel_prom_destroy(struct kvtel_prom *prom);

KVTEL_END_DECLS
#endif
