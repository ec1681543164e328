/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A connector as a table: the kind of its payload, its fields, its metrics, its flows and failures; and, apart from
 * them, how vLLM's code for it prints a log line.
 *
 * A connector is one `const struct kvtel_connector` in one file. Stats, log line, Prometheus families and native
 * recording read the table, so a new connector is a new table and no code elsewhere. A table in C uses designated
 * initializers, which leave the reserved words NULL.
 *
 * libkvtel_record has its functions.
 */
#ifndef KVTEL_CONNECTOR_H
#define KVTEL_CONNECTOR_H

#include <kvtel/base.h>
#include <kvtel/metric.h>
#include <kvtel/transfer_config.h>

KVTEL_BEGIN_DECLS

/** How a payload (vLLM's `KVConnectorStats.data`) is laid out. */
enum kvtel_payload_kind {
    KVTEL_PAYLOAD_NONE,    /**< the connector has no stats */
    KVTEL_PAYLOAD_COLUMNS, /**< {field: [numbers]}, some fields a lone number */
    KVTEL_PAYLOAD_ROWS,    /**< {operation: [{field: value}]} */
    KVTEL_PAYLOAD_COUNTS,  /**< {operation: {field: number}} */
    KVTEL_PAYLOAD_TYPED,   /**< {"types": {metric: type}, "data": {metric: {label values: number or [numbers]}}, "info":
                            ...} */
    KVTEL_PAYLOAD_MULTI    /**< {class name: payload}: a MultiConnector */
};

/** What a field holds and how two of them are aggregated. */
enum kvtel_field_kind {
    KVTEL_FIELD_SAMPLES, /**< list of measurements; joined */
    KVTEL_FIELD_EVENTS,  /**< list of increments; joined */
    KVTEL_FIELD_LEVEL,   /**< list of readings, of which the last counts; aggregating appends the newer object's last */
    KVTEL_FIELD_TOTAL,   /**< a lone number; added */
    KVTEL_FIELD_TEXT,    /**< text (of a row) */
    KVTEL_FIELD_READING  /**< a lone number, which the newer object's replaces; KVTEL_PAYLOAD_COLUMNS only */
};

/** One field of a payload. */
struct kvtel_field {
    const char *key;            /**< its key in the payload */
    enum kvtel_field_kind kind; /**< what it holds */
    enum kvtel_unit unit;       /**< unit of its numbers */
    /** Fields with the same number above 0 describe the same transfers: their lists are equally long, and the values at
     * one position are those of one transfer. */
    unsigned row;
    const void *reserved[2]; /**< must be NULL */
};

/** How a metric's value is derived from its fields. */
enum kvtel_metric_input {
    KVTEL_INPUT_VALUES, /**< histogram: each value; counter: their sum; gauge: the last */
    KVTEL_INPUT_COUNT,  /**< counter: how many rows */
    KVTEL_INPUT_INFO    /**< gauge set to 1, labels filled from the payload's "info" */
};

/** When a configuration exports a metric: when each part that is given holds. */
struct kvtel_condition {
    const char *setting;     /**< a key of kv_connector_extra_config, for `is` or `at_least`; NULL: not asked */
    const char *is;          /**< the setting is this text */
    double at_least;         /**< the setting is a number of at least this; 0: not asked */
    const char *tier;        /**< a secondary tier of this type is configured; NULL: not asked */
    bool cache_metrics;      /**< vLLM runs with --kv-cache-metrics; false: not asked */
    bool negated;            /**< the metric is exported when the condition does not hold */
    const void *reserved[4]; /**< must be NULL */
};

#define KVTEL_METRIC_LABELS 8 /**< Labels of its own that a metric can have. */
#define KVTEL_METRIC_FIELDS 4 /**< Fields that one metric or one log value can take. */

/** One Prometheus family. */
struct kvtel_metric {
    /** With prefix, e.g. "vllm:nixl_xfer_time_seconds"; a counter's name as vLLM gives it, with or without _total. */
    const char *name;
    enum kvtel_metric_type type; /**< what it is exported as */
    const char
        *help; /**< unit, window (from which event to which), and whether rank transfers or requests are counted */
    /** Keys of the fields whose values the metric takes, or for KVTEL_PAYLOAD_TYPED names of metrics in the payload.
     * The metric takes all of them together or, with `values`, the series of values[i] takes fields[i]. Empty for a
     * typed metric that takes the payload's metric of its own name. */
    const char *fields[KVTEL_METRIC_FIELDS];
    enum kvtel_metric_input input; /**< what of the fields it takes */
    /** Own labels, after model_name and engine. In KVTEL_PAYLOAD_ROWS and _COUNTS a label is filled from the row's text
     * field of the same name, any other (operation, transfer_type) from the operation's name. */
    const char *labels[KVTEL_METRIC_LABELS];
    const char
        *values[KVTEL_METRIC_FIELDS]; /**< values of its only label; these series are made up front for every engine */
    const struct kvtel_buckets *buckets;                      /**< histograms only */
    enum kvtel_unit unit;                                     /**< chooses a histogram's exponential range */
    bool (*when)(const struct kvtel_transfer_config *config); /**< whether the family is exported; NULL: always */
    const struct kvtel_condition *condition;                  /**< the same without code; NULL: always */
    const void *reserved[3];                                  /**< must be NULL */
};

/** How a value of vLLM's log line is computed. The values of all `fields` are taken together, in their order. */
enum kvtel_reduction_kind {
    KVTEL_REDUCE_COUNT,  /**< how many values; integer */
    KVTEL_REDUCE_TOTAL,  /**< their sum as Python's sum(): integer if all are */
    KVTEL_REDUCE_MEAN,   /**< mean * scale, rounded */
    KVTEL_REDUCE_P90,    /**< 90th percentile * scale, rounded */
    KVTEL_REDUCE_RATE,   /**< (sum(fields[0]) * scale) / sum(fields[1]), rounded */
    KVTEL_REDUCE_LAST,   /**< last value * scale, rounded; no line when there is none */
    KVTEL_REDUCE_MATCHES /**< KVTEL_PAYLOAD_ROWS: how many rows hold the text `match` in fields[0] */
};

/** Which summation and which percentile vLLM's code for a connector uses. They determine the last digits of a mean. */
enum kvtel_arithmetic {
    KVTEL_NUMPY, /**< pairwise sums; percentile by linear interpolation */
    KVTEL_PLAIN, /**< left to right sums, sum()/len() */
    KVTEL_EXACT  /**< statistics.fmean (correctly rounded sum); percentile by nearest rank */
};

/** One value of vLLM's log line: its key, and how it is computed from which fields. */
struct kvtel_reduction {
    const char *key; /**< of the log line; in KVTEL_PAYLOAD_ROWS and _COUNTS the operation's name comes before it */
    enum kvtel_reduction_kind kind;          /**< how it is computed */
    const char *fields[KVTEL_METRIC_FIELDS]; /**< keys of the fields that it is computed from */
    double scale;                            /**< 0: 1 */
    int digits;                              /**< decimals */
    bool always; /**< computed even when the connector's `primary` field is empty (other lines are then integer 0) */
    bool finite; /**< KVTEL_REDUCE_RATE: 0.0 when the divisor is 0, where others give inf or nan */
    const char *match;       /**< KVTEL_REDUCE_MATCHES: the text to count; else NULL */
    const void *reserved[2]; /**< must be NULL */
};

/** How vLLM's code for a connector prints its log line. A connector whose line nobody has to compare with vLLM's needs
 * no rules. */
struct kvtel_log_rules {
    const struct kvtel_reduction *reduce; /**< values of the line, in its order; NULL: none. KVTEL_PAYLOAD_TYPED has
                                             none, because its line has one value for each series of the payload */
    const char
        *primary; /**< when this field is empty or 0, values without `always` are integer 0; NULL: no such field */
    const char *const *hidden;        /**< fields or typed metrics that no log line shows; NULL: none */
    enum kvtel_arithmetic arithmetic; /**< how it sums and ranks */
    bool silent_when_empty;           /**< an empty `primary` gives no line at all */
    bool sorted;                      /**< operations are printed sorted by name, not in the order seen */
    const void *reserved[4];          /**< must be NULL */
};

/** Failures that a connector can record. */
#define KVTEL_FAILURE_LIST(X)                                                                       \
    X(KVTEL_FAILED_TRANSFER, "transfer")         /* the transfer itself */                          \
    X(KVTEL_FAILED_HANDSHAKE, "handshake")       /* with the peer, before a transfer */             \
    X(KVTEL_FAILED_NOTIFICATION, "notification") /* of the peer, after a transfer */                \
    X(KVTEL_FAILED_RECEIVE, "receive")           /* the receiving side gave up */                   \
    X(KVTEL_FAILED_EXPIRED, "expired")           /* blocks were freed before anyone fetched them */ \
    X(KVTEL_FAILED_LATE, "late_notification")    /* a notification after expiry */                  \
    X(KVTEL_FAILED_ALLOCATION, "allocation")     /* no room to put blocks */                        \
    X(KVTEL_FAILED_SAVE, "save")                                                                    \
    X(KVTEL_FAILED_LOAD, "load")

/** A class of failure: one of KVTEL_FAILURE_LIST. */
enum kvtel_failure {
#define X(name, label) name,
    KVTEL_FAILURE_LIST(X)
#undef X
        KVTEL_FAILURE_COUNT
};
/** The class as text, e.g. "handshake". Static; NULL outside the list. Any thread. */
KVTEL_API const char *kvtel_failure_label(enum kvtel_failure failure);

/** Which field counts a class of failure. */
struct kvtel_failure_field {
    enum kvtel_failure failure; /**< the class */
    const char *field;          /**< key of a field: a total, or a list of increments */
    const void *reserved[2];    /**< must be NULL */
};

/** Which fields describe one kind of transfer. kvtel's own log line, its summary and native recording use them. A field
 * may hold samples (quantiles can be computed) or a total (only the sum is there). NULL where the connector does not
 * measure it. */
struct kvtel_flow {
    const char *name; /**< "transfer", "load", "store"; KVTEL_PAYLOAD_ROWS and _COUNTS: "*", each operation is a flow */
    const char *time; /**< seconds from start to completion */
    const char *post; /**< seconds to post the request */
    const char *bytes;       /**< bytes moved by one transfer, or a total of bytes */
    const char *sizes;       /**< samples of bytes of one transfer, where `bytes` is a total */
    const char *descriptors; /**< contiguous pieces of memory, or keys of a store */
    const char *count;       /**< a total of transfers, where no field has samples */
    const char *started;     /**< a total that grows with each transfer and each failure counted in `failed` */
    const char *failed; /**< a total of failed transfers of this flow; KVTEL_PAYLOAD_ROWS: pieces (keys) that failed */
    const char *status; /**< KVTEL_PAYLOAD_ROWS: text; a row with another text than "ok" is a failure of the class that
                           the text names */
    const void *reserved[4]; /**< must be NULL */
};

/** A configured name (vLLM's `kv_connector`) and the class behind it, which is a MultiConnector child's key. */
struct kvtel_connector_name {
    const char *name;        /**< as configured */
    const char *class_name;  /**< NULL: the same */
    const void *reserved[2]; /**< must be NULL */
};

struct kvtel_stats;
struct kvtel_prom_metrics;
struct kvtel_prom_options;

/** A connector. A list ends with an entry whose first member is NULL (names, fields, metrics, flows, content) or whose
 * `field` is NULL (failures). Immutable and static: what uses it keeps the pointer. */
struct kvtel_connector {
    const struct kvtel_connector_name *names;   /**< at least one; the first is the name that log lines show */
    enum kvtel_payload_kind payload_kind;       /**< layout of the payload */
    const struct kvtel_field *fields;           /**< fields of the payload; KVTEL_PAYLOAD_TYPED: NULL */
    const struct kvtel_metric *metrics;         /**< Prometheus families; NULL: none */
    const struct kvtel_flow *flows;             /**< kinds of transfer; NULL: none */
    const struct kvtel_failure_field *failures; /**< failures that are counted; NULL: none */
    const char *const *content;        /**< keys that make stats not empty when one of them is not; NULL: any key */
    bool has_info;                     /**< KVTEL_PAYLOAD_TYPED: the payload carries "info" */
    const struct kvtel_log_rules *log; /**< how vLLM's code for it prints a log line; NULL: by no rules of its own */
    const struct kvtel_connector
        *older; /**< table of the payloads of older versions of vLLM, if they are of another kind */
    /** NULL: kvtel_prom_metrics_create_generic(). For a connector that needs code; see prom.h. */
    enum kvtel_status (*build_prom_metrics)(const struct kvtel_connector *connector,
                                            const struct kvtel_prom_options *options,
                                            struct kvtel_prom_metrics **metrics);
    const void *reserved[8]; /**< must be NULL */
};

/* clang-format off */
/** A list of struct kvtel_connector_name for a table in C; the macro adds the entry that ends it. */
#define KVTEL_NAMES(...) (const struct kvtel_connector_name[]) { __VA_ARGS__, { .name = NULL } }
/** A list of struct kvtel_field, likewise. */
#define KVTEL_FIELDS(...) (const struct kvtel_field[]) { __VA_ARGS__, { .key = NULL } }
/** A list of struct kvtel_metric, likewise. */
#define KVTEL_METRICS(...) (const struct kvtel_metric[]) { __VA_ARGS__, { .name = NULL } }
/** A list of struct kvtel_reduction, likewise. */
#define KVTEL_REDUCE(...) (const struct kvtel_reduction[]) { __VA_ARGS__, { .key = NULL } }
/** A list of struct kvtel_flow, likewise. */
#define KVTEL_FLOWS(...) (const struct kvtel_flow[]) { __VA_ARGS__, { .name = NULL } }
/** A list of struct kvtel_failure_field, likewise. */
#define KVTEL_FAILURES(...) (const struct kvtel_failure_field[]) { __VA_ARGS__, { .field = NULL } }
/** A list of texts, ended by NULL. */
#define KVTEL_KEYS(...) (const char *const[]) { __VA_ARGS__, NULL }
/** A condition of a metric. */
#define KVTEL_CONDITION(...) (&(const struct kvtel_condition) { __VA_ARGS__ })
/* clang-format on */
/** Defines a connector of the build; its file in src/connectors/ has the same name. */
#define KVTEL_CONNECTOR(id) const struct kvtel_connector kvtel_connector_##id

/** The table of a configured name or of a class name; NULL when no table has the name. Any thread. */
KVTEL_API const struct kvtel_connector *kvtel_connector_find(const char *name);
/** The table of a name, or, where no table has the name or its table has no stats, an open one: it has no list of
 * metrics and learns them from payloads that describe themselves (KVTEL_PAYLOAD_TYPED, or any payload with a
 * `_metrics_descriptor`). One and the same for each name, for the life of the process; at most 128.
 * @return NULL: there are 128 already, the name is empty or longer than 1,024 bytes, or no memory. Any thread. */
KVTEL_API const struct kvtel_connector *kvtel_connector_open(const char *name);
/** The class behind a configured name, such as "NixlPullConnector" behind "NixlConnector"; `name` itself when no table
 * has it. Any thread. */
KVTEL_API const char *kvtel_connector_class(const char *name);
/** The i-th table of all, registered ones last; NULL past the end. Any thread. */
KVTEL_API const struct kvtel_connector *kvtel_connector_at(size_t i);
/** Adds a table of the caller's for the life of the process. At most 64. The whole table is checked: that Prometheus
 * accepts the names, that each key is a field of the table, that bounds ascend, and what else is said of the members.
 * @param error the reason of a refusal; may be NULL
 * @return KVTEL_OK, KVTEL_E_ARGUMENT (the table is inconsistent, or a name is taken), KVTEL_E_LIMIT. Any thread. */
KVTEL_API enum kvtel_status kvtel_connector_register(const struct kvtel_connector *connector,
                                                     struct kvtel_error *error);

/** The value of a number of a transfer that was not measured. A difference of two real numbers is never this. */
#define KVTEL_UNMEASURED (UINT64_C(1) << 63)
/** Every number of a transfer is below this: 2^62 ns are 146 years. A transfer with a larger number (for instance the
 * difference of two clocks that disagree) is refused and counted. */
#define KVTEL_TRANSFER_LIMIT (UINT64_C(1) << 62)

/** One finished transfer, as a native user records it. A number that was not measured is KVTEL_UNMEASURED: no value is
 * recorded for it, so it does not change counts and means. In `post_ns`, `descriptors` and the points in time 0 means
 * not measured, too. In the other members 0 is a value. */
struct kvtel_transfer {
    uint64_t duration_ns; /**< from start to completion */
    uint64_t post_ns;     /**< to post the request; 0: not measured */
    uint64_t bytes;       /**< bytes moved */
    uint64_t descriptors; /**< contiguous pieces, or keys of a store; 0: not measured */
    uint64_t failed;      /**< keys of a store that failed */
    /** Points in time, in ns of one clock; 0: not known. Where `done_ns` is given, they stand in for durations that are
     * 0 or KVTEL_UNMEASURED: duration_ns is then from submitted to done, post_ns from submitted to posted, and neither
     * is measured when one of its points is not known. A point before `submitted_ns` is refused as a number past the
     * limit is; `first_byte_ns` outside of the transfer is left out and counted. Only native recording (recorder.h)
     * looks at them. */
    uint64_t submitted_ns;
    uint64_t posted_ns;     /**< the request was handed over; see `submitted_ns` */
    uint64_t first_byte_ns; /**< the first byte arrived; see `submitted_ns` */
    uint64_t done_ns;       /**< the transfer was complete; see `submitted_ns` */
    /** Must be 0: later versions give it a meaning. With one word the struct has 80 bytes, which gcc clears by five
     * stores; it clears 88 bytes by a loop that takes longer than recording does. */
    uint64_t reserved;
};

KVTEL_END_DECLS
#endif
