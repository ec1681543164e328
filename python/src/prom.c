/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.PromMetrics and kvtel.Prom: vLLM's KVConnectorPromMetrics and KVConnectorProm. */
#include "prom.h"
#include "metric_types.h"
#include "stats.h"
#include "store.h"

#include <stdlib.h>

/* The object of both classes. One of `prom` and `metrics` is set; neither if no connector is configured. */
struct prom {
    PyObject_HEAD struct kvtel_transfer_config *config;
    struct kvtel_prom *prom;
    struct kvtel_prom_metrics *metrics;
    struct kvtel_stats *payload; /* NULL: nothing can be recorded */
    PyObject *store;             /* NULL: the metrics are Python objects */
    struct kvtel_metric_types vtable;
    struct kvtel_python_types types;
    struct kvtel_python_keys keys;
    struct kvtel_python_warnings warnings;
    bool is_of_one; /* it was made for `engine` alone */
    uint32_t engine;
    bool busy; /* in a call whose metrics are Python objects, which may let other Python code run */
};

static void prom_free(PyObject *object)
{
    struct prom *self = (struct prom *)object;
    kvtel_prom_destroy(self->prom);
    kvtel_prom_metrics_destroy(self->metrics);
    kvtel_stats_destroy(self->payload);
    kvtel_transfer_config_destroy(self->config);
    Py_XDECREF(self->store);
    kvtel_python_types_close(&self->types);
    kvtel_python_warnings_close(&self->warnings);
    kvtel_python_keys_close(&self->keys);
    kvtel_python_delete(object);
}

/* --- Making --- */

/* Raises the exception for a store's status. */
static void raise_of_store(enum kvtel_status status, const char *message)
{
    if (status == KVTEL_E_NOMEM)
        PyErr_SetString(PyExc_MemoryError, "no memory is left, or no room where the store's file is");
    else
        kvtel_python_raise(status, NULL, message);
}

/* Uses a store for the metrics: the given one, or a new one in the heap. */
static int use_store(struct prom *self, PyObject *given)
{
    if (given == Py_None) {
        PyObject *class = kvtel_python_class("Store");
        given = class ? PyObject_CallFunction(class, NULL) : NULL;
        Py_XDECREF(class);
    } else {
        Py_INCREF(given);
    }
    if (!given)
        return -1;
    enum kvtel_status status = kvtel_store_metric_types(((struct kvtel_python_store *)given)->store, &self->vtable);
    if (status != KVTEL_OK) {
        Py_DECREF(given);
        raise_of_store(status, "the store has no free lane, or belongs to another process");
        return -1;
    }
    self->store = given;
    return 0;
}

struct engines {
    struct kvtel_engine_labels *labels;
    struct kvtel_python_texts *values;
    size_t count;
};

static void engines_free(struct engines *engines)
{
    for (size_t i = 0; i < engines->count; i++)
        kvtel_python_texts_free(&engines->values[i]);
    PyMem_Free(engines->labels);
    PyMem_Free(engines->values);
}

/* The pairs (engine, label values) of a mapping, in a list of their own, because reading them may run Python code that
 * changes the mapping. New reference; NULL: an exception. */
static PyObject *pairs_of(PyObject *per_engine)
{
    PyObject *pairs = PyMapping_Check(per_engine) ? PyMapping_Items(per_engine) : NULL;
    if (!pairs && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "per_engine_labelvalues is a dict of engines and their label values, not %R",
                     (PyObject *)Py_TYPE(per_engine));
    }
    for (Py_ssize_t i = 0; pairs && i < PyList_Size(pairs); i++) {
        PyObject *pair = PyList_GetItem(pairs, i);
        if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "items() of per_engine_labelvalues are pairs");
            Py_DECREF(pairs);
            pairs = NULL;
        }
    }
    return pairs;
}

/* Reads the label values of one engine, the next of `engines`. */
static int add_engine(struct engines *engines, PyObject *pair, size_t label_count)
{
    struct kvtel_engine_labels *labels = &engines->labels[engines->count];
    struct kvtel_python_texts *values = &engines->values[engines->count];
    if (!kvtel_python_engine(PyTuple_GetItem(pair, 0), &labels->engine) ||
        kvtel_python_texts(PyTuple_GetItem(pair, 1), values) < 0)
        return -1;
    labels->values = values->texts;
    engines->count++;
    if (values->count == label_count)
        return 0;
    kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "an engine has not as many label values as there are labelnames");
    return -1;
}

/* Reads {engine: label values}. */
static int engines_init(struct engines *engines, PyObject *per_engine, size_t label_count)
{
    *engines = (struct engines){ 0 };
    PyObject *pairs = pairs_of(per_engine);
    if (!pairs)
        return -1;
    const size_t size = (size_t)PyList_Size(pairs);
    engines->labels = PyMem_Calloc(size + 1, sizeof *engines->labels);
    engines->values = PyMem_Calloc(size + 1, sizeof *engines->values);
    bool good = engines->labels && engines->values;
    if (!good)
        PyErr_NoMemory();
    for (size_t i = 0; good && i < size; i++)
        good = add_engine(engines, PyList_GetItem(pairs, (Py_ssize_t)i), label_count) == 0;
    Py_DECREF(pairs);
    return good ? 0 : -1;
}

static int create(struct prom *self, bool is_base, const struct kvtel_python_texts *names,
                  const struct engines *engines)
{
    const struct kvtel_prom_options options = {
        .config = self->config,
        .types = self->vtable,
        .labelnames = names->texts,
        .label_count = names->count,
        .engines = engines->labels,
        .engine_count = engines->count,
        .diagnostics = self->warnings.diagnostics,
    };
    self->is_of_one = engines->count == 1;
    self->engine = self->is_of_one ? engines->labels[0].engine : 0;
    enum kvtel_status status = is_base ? kvtel_connector_build_prom_metrics(&options, &self->metrics)
                                       : kvtel_prom_create(&options, &self->prom);
    if (PyErr_Occurred())
        return -1;
    const struct kvtel_connector *connector = kvtel_connector_open(kvtel_transfer_config_connector_name(self->config));
    if (status == KVTEL_OK && connector) {
        self->payload = kvtel_stats_create(connector, self->warnings.diagnostics);
        status = self->payload ? KVTEL_OK : KVTEL_E_NOMEM;
    }
    if (status == KVTEL_OK)
        return 0;
    if (status == KVTEL_E_UNKNOWN)
        kvtel_python_raise_connector(NULL, kvtel_transfer_config_connector_name(self->config));
    else if (self->store)
        raise_of_store(status, NULL);
    else
        kvtel_python_raise(status, NULL, NULL);
    return -1;
}

static PyObject *make(PyTypeObject *type, PyObject *config, PyObject *metric_types, PyObject *labelnames,
                      PyObject *per_engine, bool is_base)
{
    struct prom *self = kvtel_python_new(type);
    struct kvtel_python_texts names = { 0 };
    struct engines engines = { 0 };
    if (!self)
        return NULL;
    int is_store = metric_types == Py_None ? 1 : kvtel_python_is(metric_types, "Store");
    int result = is_store < 0 || kvtel_python_warnings_init(&self->warnings) < 0 ||
                         kvtel_python_config(config, &self->config) < 0 ||
                         (is_store ? use_store(self, metric_types)
                                   : kvtel_python_types_init(&self->types, metric_types, &self->vtable)) < 0
                     ? -1
                     : 0;
    if (result == 0 && self->config) {
        result = kvtel_python_texts(labelnames, &names);
        if (result == 0)
            result = engines_init(&engines, per_engine, names.count);
        if (result == 0)
            result = create(self, is_base, &names, &engines);
        kvtel_python_texts_free(&names);
        engines_free(&engines);
    } else if (result == 0 && is_base) {
        kvtel_python_raise(KVTEL_E_NO_STATS, NULL, "no connector is configured");
        result = -1;
    }
    kvtel_python_warnings_flush(&self->warnings);
    if (result < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *prom_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "vllm_config", "labelnames", "per_engine_labelvalues", "store", NULL };
    PyObject *config, *labelnames, *per_engine, *store = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|O:Prom", names, &config, &labelnames, &per_engine,
                                     &store))
        return NULL;
    return make(type, config, store, labelnames, per_engine, false);
}

static PyObject *metrics_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "vllm_config", "metric_types", "labelnames", "per_engine_labelvalues", NULL };
    PyObject *config, *metric_types, *labelnames, *per_engine;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOO:PromMetrics", names, &config, &metric_types,
                                     &labelnames, &per_engine))
        return NULL;
    return make(type, config, metric_types, labelnames, per_engine, true);
}

/* --- Observing --- */

/* Observes a payload or a Stats. 0; -1: an exception. */
static int observe(struct prom *self, PyObject *data, uint32_t engine)
{
    if (!self->payload)
        return 0;
    const struct kvtel_stats *stats = self->payload;
    bool is_payload = Py_TYPE(data) == &PyDict_Type || PyDict_Check(data) || PyBytes_Check(data);
    int is_stats = is_payload ? 0 : kvtel_python_is(data, "Stats");
    if (is_stats < 0)
        return -1;
    int decoded = is_stats ? 0 : kvtel_python_decode_passing(self->payload, &self->keys, data);
    if (is_stats)
        stats = kvtel_python_stats_of(data);
    if (decoded != 0)
        return decoded < 0 ? -1 : 0;
    enum kvtel_status status = self->prom ? kvtel_prom_observe(self->prom, stats, engine)
                                          : kvtel_prom_metrics_observe(self->metrics, stats, engine);
    if (!self->store && PyErr_Occurred())
        return -1;
    if (status == KVTEL_OK)
        return 0;
    kvtel_python_raise(status, NULL, NULL);
    return -1;
}

bool kvtel_python_prom_is_of(PyObject *object, uint32_t engine)
{
    struct prom *self = (struct prom *)object;
    return !self->is_of_one || self->engine == engine;
}

int kvtel_python_prom_observe(PyObject *object, PyObject *data, uint32_t engine)
{
    struct prom *self = (struct prom *)object;
    if (self->busy) {
        kvtel_python_raise(KVTEL_E_BUSY, NULL, "another observe() of this object is not over");
        return -1;
    }
    self->busy = true;
    int result = observe(self, data, engine);
    self->busy = false;
    kvtel_python_warnings_flush(&self->warnings);
    return result;
}

static PyObject *prom_observe(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "transfer_stats_data", "engine_idx", NULL };
    uint32_t engine = 0;
    PyObject *data;
    Py_ssize_t given = keywords ? 0 : PyTuple_Size(arguments);
    if (given == 1 || given == 2) { /* the usual call */
        data = PyTuple_GetItem(arguments, 0);
        if (given == 2 && !kvtel_python_engine(PyTuple_GetItem(arguments, 1), &engine))
            return NULL;
    } else if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O&:observe", names, &data, kvtel_python_engine,
                                            &engine)) {
        return NULL;
    }
    if (kvtel_python_prom_observe(self, data, engine) < 0)
        return NULL;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *create_metric_per_engine(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "metric", "per_engine_labelvalues", NULL };
    PyObject *metric, *per_engine;
    (void)self;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO:create_metric_per_engine", names, &metric, &per_engine))
        return NULL;
    PyObject *pairs = pairs_of(per_engine), *labels = pairs ? PyObject_GetAttrString(metric, "labels") : NULL,
             *children = labels ? PyDict_New() : NULL;
    for (Py_ssize_t i = 0; children && i < PyList_Size(pairs); i++) {
        PyObject *pair = PyList_GetItem(pairs, i);
        PyObject *tuple = PySequence_Tuple(PyTuple_GetItem(pair, 1));
        PyObject *child = tuple ? PyObject_Call(labels, tuple, NULL) : NULL;
        if (!child || PyDict_SetItem(children, PyTuple_GetItem(pair, 0), child) < 0) {
            Py_DECREF(children);
            children = NULL;
        }
        Py_XDECREF(child);
        Py_XDECREF(tuple);
    }
    Py_XDECREF(pairs);
    Py_XDECREF(labels);
    return children;
}

static PyObject *get_store(PyObject *object, void *unused)
{
    PyObject *store = ((struct prom *)object)->store;
    (void)unused;
    store = store ? store : Py_None;
    Py_INCREF(store);
    return store;
}

static PyObject *get_refused(PyObject *self, void *unused)
{
    (void)unused;
    return kvtel_python_refused(&((struct prom *)self)->warnings);
}

#define OBSERVE_DOC                                                                                                \
    "observe($self, transfer_stats_data, engine_idx=0)\n--\n\n"                                                    \
    "Records one payload: a dict, MessagePack as bytes, or a Stats.\n\n"                                           \
    "Raises UnknownEngineError (not in per_engine_labelvalues), DecodeError, WrongTypeError, MismatchError. What " \
    "cannot be\n"                                                                                                  \
    "used of a payload is counted in `refused` and warned about once; the rest is recorded."

int kvtel_python_add_prom(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "observe", KVTEL_PYTHON_KEYWORDS(prom_observe), OBSERVE_DOC },
        { "create_metric_per_engine", KVTEL_PYTHON_KEYWORDS(create_metric_per_engine),
          "create_metric_per_engine($self, metric, per_engine_labelvalues)\n--\n\n{engine: metric.labels(*values)} for "
          "each "
          "engine." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "store", get_store, NULL, "The Store that the metrics live in; None where they are Python objects.", NULL },
        { "refused", get_refused, NULL, "What could not be used: {reason: count}.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot metrics_slots[] = {
        { Py_tp_doc,
          "PromMetrics(vllm_config, metric_types, labelnames, per_engine_labelvalues)\n--\n\n"
          "vLLM's KVConnectorPromMetrics: the Prometheus families of a connector, every engine's series up front.\n\n"
          "vllm_config: as for Logging. metric_types: {Gauge: ..., Counter: ..., Histogram: ...} as vLLM passes it "
          "(the metrics\n"
          "are then Python objects), a Store, or None (a new Store in the heap). per_engine_labelvalues: {engine: "
          "[values]}.\n\n"
          "Raises UnknownConnectorError, NoStatsError, LimitError, ArgumentError, and what metric_types' classes "
          "raise." },
        { Py_tp_new, (void *)metrics_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)prom_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Slot prom_slots[] = {
        { Py_tp_doc,
          "Prom(vllm_config, labelnames, per_engine_labelvalues, store=None)\n--\n\n"
          "vLLM's KVConnectorProm: the configured connector's metrics, or none.\n\n"
          "vllm_config: as for Logging. store: the Store that the metrics live in; None is a new one in the heap.\n"
          "An unknown connector, or one without stats, is not an error: observe() then records payloads that describe\n"
          "themselves, and counts others in `refused`.\n\n"
          "Raises LimitError, ArgumentError, DecodeError." },
        { Py_tp_new, (void *)prom_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)prom_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec metrics_spec = { "kvtel._kvtel.PromMetrics", sizeof(struct prom), 0,
                                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, metrics_slots };
    static PyType_Spec prom_spec = { "kvtel._kvtel.Prom", sizeof(struct prom), 0,
                                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, prom_slots };
    return kvtel_python_add_type(module, &metrics_spec) < 0 ? -1 : kvtel_python_add_type(module, &prom_spec);
}
