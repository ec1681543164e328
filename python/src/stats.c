/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Stats: vLLM's KVConnectorStats. */
#include "stats.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void stats_free(PyObject *object)
{
    struct kvtel_python_stats *self = (struct kvtel_python_stats *)object;
    kvtel_stats_destroy(self->stats);
    (void)pthread_mutex_destroy(&self->lock);
    kvtel_python_warnings_close(&self->warnings);
    kvtel_python_keys_close(&self->keys);
    kvtel_python_delete(object);
}

static PyObject *make(PyTypeObject *type, const struct kvtel_connector *connector)
{
    struct kvtel_python_stats *self = kvtel_python_new(type);
    if (!self)
        return NULL;
    (void)pthread_mutex_init(&self->lock, NULL);
    if (kvtel_python_warnings_init(&self->warnings) == 0) {
        self->stats = kvtel_stats_create(connector, self->warnings.diagnostics);
        if (!self->stats)
            PyErr_NoMemory();
    }
    if (!self->stats) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* Replaces the content, then logs what was refused. */
static int replace(PyObject *object, PyObject *payload)
{
    struct kvtel_python_stats *self = (struct kvtel_python_stats *)object;
    int result = kvtel_python_decode(object, payload);
    kvtel_python_warnings_flush(&self->warnings);
    return result;
}

static PyObject *stats_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "connector", "data", "sample_limit", NULL };
    const char *name;
    PyObject *data = NULL;
    Py_ssize_t limit = KVTEL_SAMPLE_LIMIT;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|On:Stats", names, &name, &data, &limit))
        return NULL;
    const struct kvtel_connector *connector = kvtel_connector_find(name);
    if (!connector || connector->payload_kind == KVTEL_PAYLOAD_NONE)
        return kvtel_python_raise_connector(connector, name);
    if (limit < 0)
        return kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "sample_limit is below 0");
    PyObject *self = make(type, connector);
    if (!self)
        return NULL;
    kvtel_stats_set_sample_limit(kvtel_python_stats_of(self), (size_t)limit);
    if (data && data != Py_None && replace(self, data) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

/* Writes the payload without the GIL. 0; -1: an exception. */
static int encode(PyObject *object, enum kvtel_format format, char **bytes, size_t *size)
{
    struct kvtel_python_stats *self = (struct kvtel_python_stats *)object;
    struct kvtel_stats *stats = kvtel_python_stats_of(object);
    enum kvtel_status status;
    self->outside = getpid();
    pthread_mutex_lock(&self->lock);
    Py_BEGIN_ALLOW_THREADS status = kvtel_stats_encode(stats, format, bytes, size);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS self->outside = 0;
    if (status != KVTEL_OK)
        kvtel_python_raise(status, NULL, NULL);
    return status == KVTEL_OK ? 0 : -1;
}

static PyObject *stats_to_dict(PyObject *self, PyObject *unused)
{
    char *bytes;
    size_t size;
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    (void)unused;
    if (encode(self, KVTEL_MSGPACK, &bytes, &size) < 0)
        return NULL;
    enum kvtel_status status = kvtel_value_decode(KVTEL_MSGPACK, bytes, size, &arena, &value, NULL);
    PyObject *dict = status == KVTEL_OK ? kvtel_python_object(&value) : kvtel_python_raise(status, NULL, NULL);
    kvtel_arena_free(&arena);
    free(bytes);
    return dict;
}

static PyObject *get_data(PyObject *self, void *unused)
{
    (void)unused;
    return stats_to_dict(self, NULL);
}

static int set_data(PyObject *self, PyObject *payload, void *unused)
{
    (void)unused;
    if (payload)
        return replace(self, payload);
    PyErr_SetString(PyExc_AttributeError, "data cannot be deleted");
    return -1;
}

static int parse_format(const char *text, enum kvtel_format *format)
{
    bool is_json = text && strcmp(text, "json") == 0;
    *format = is_json ? KVTEL_JSON : KVTEL_MSGPACK;
    if (!text || is_json || strcmp(text, "msgpack") == 0)
        return 0;
    kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "the format is neither \"msgpack\" nor \"json\"");
    return -1;
}

static PyObject *stats_encode(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "format", NULL };
    const char *text = NULL;
    enum kvtel_format format;
    char *bytes;
    size_t size;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|s:encode", names, &text) ||
        parse_format(text, &format) < 0 || encode(self, format, &bytes, &size) < 0)
        return NULL;
    PyObject *encoded = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
    free(bytes);
    return encoded;
}

static PyObject *none_or_error(enum kvtel_status status)
{
    if (status != KVTEL_OK)
        return kvtel_python_raise(status, NULL, NULL);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *stats_decode(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "payload", "format", NULL };
    struct kvtel_python_stats *self = (struct kvtel_python_stats *)object;
    const char *text = NULL;
    PyObject *payload;
    enum kvtel_format format;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "S|s:decode", names, &payload, &text) ||
        parse_format(text, &format) < 0)
        return NULL;
    if (format == KVTEL_MSGPACK)
        return replace(object, payload) < 0 ? NULL : none_or_error(KVTEL_OK);
    struct kvtel_error error;
    enum kvtel_status status = kvtel_stats_decode(kvtel_python_stats_of(object), format, PyBytes_AsString(payload),
                                                  (size_t)PyBytes_Size(payload), &error);
    kvtel_python_warnings_flush(&self->warnings);
    return status == KVTEL_OK ? none_or_error(status) : kvtel_python_raise(status, &error, NULL);
}

static PyObject *stats_reset(PyObject *self, PyObject *unused)
{
    (void)unused;
    kvtel_stats_reset(kvtel_python_stats_of(self));
    return none_or_error(KVTEL_OK);
}

static PyObject *stats_is_empty(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(kvtel_stats_is_empty(kvtel_python_stats_of(self)));
}

static PyObject *stats_aggregate(PyObject *self, PyObject *other)
{
    int is = kvtel_python_is(other, "Stats");
    if (is == 0)
        PyErr_SetString(PyExc_TypeError, "only kvtel.Stats can be aggregated");
    if (is <= 0)
        return NULL;
    const struct kvtel_stats *from = kvtel_python_stats_of(other);
    enum kvtel_status status = kvtel_stats_aggregate(kvtel_python_stats_of(self), from);
    if (status != KVTEL_OK)
        return kvtel_python_raise(status, NULL, NULL);
    Py_INCREF(self);
    return self;
}

static PyObject *to_dict(const struct kvtel_reduced *reduced)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < kvtel_reduced_count(reduced); i++) {
        const struct kvtel_reduced_entry *entry = kvtel_reduced_at(reduced, i);
        PyObject *value = entry->kind == KVTEL_REDUCED_INTEGER  ? PyLong_FromLongLong(entry->integer)
                          : entry->kind == KVTEL_REDUCED_DOUBLE ? PyFloat_FromDouble(entry->number)
                                                                : to_dict(entry->dict);
        PyObject *key = PyUnicode_DecodeUTF8(entry->key, (Py_ssize_t)strlen(entry->key), "replace");
        if (!value || !key || PyDict_SetItem(dict, key, value) < 0) {
            Py_DECREF(dict);
            dict = NULL;
        }
        Py_XDECREF(value);
        Py_XDECREF(key);
    }
    return dict;
}

static PyObject *stats_reduce(PyObject *self, PyObject *unused)
{
    struct kvtel_reduced *reduced;
    (void)unused;
    enum kvtel_status status = kvtel_stats_reduce(kvtel_python_stats_of(self), &reduced);
    if (status != KVTEL_OK)
        return kvtel_python_raise(status, NULL, NULL);
    PyObject *dict = to_dict(reduced);
    kvtel_reduced_destroy(reduced);
    return dict;
}

static PyObject *stats_clone_and_reset(PyObject *self, PyObject *unused)
{
    struct kvtel_stats *stats = kvtel_python_stats_of(self), *delta;
    (void)unused;
    PyObject *clone = make(Py_TYPE(self), kvtel_stats_connector(stats));
    if (!clone)
        return NULL;
    enum kvtel_status status = kvtel_stats_clone_and_reset(stats, &delta);
    if (status == KVTEL_OK) {
        struct kvtel_stats *moved = ((struct kvtel_python_stats *)clone)->stats;
        kvtel_stats_set_sample_limit(moved, stats->sample_limit);
        status = kvtel_stats_aggregate(moved, delta);
        kvtel_stats_destroy(delta);
    }
    if (status != KVTEL_OK) {
        Py_DECREF(clone);
        return kvtel_python_raise(status, NULL, NULL);
    }
    return clone;
}

static PyObject *stats_record_transfer(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct kvtel_transfer transfer;
    PyObject *name, *holder = NULL;
    if (kvtel_python_transfer(arguments, keywords, "flow", &name, &transfer) < 0)
        return NULL;
    const char *flow = name ? kvtel_python_text(name, &holder) : NULL;
    if (name && !flow)
        return NULL;
    enum kvtel_status status = kvtel_stats_record_transfer(kvtel_python_stats_of(self), flow, &transfer);
    Py_XDECREF(holder);
    return none_or_error(status);
}

static PyObject *stats_record_failure(PyObject *self, PyObject *label)
{
    enum kvtel_failure failure;
    if (kvtel_python_failure(label, &failure) < 0)
        return NULL;
    return none_or_error(kvtel_stats_record_failure(kvtel_python_stats_of(self), failure));
}

static PyObject *stats_record_operation(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    const char *operation, *status;
    struct kvtel_transfer transfer;
    PyObject *empty = PyTuple_New(0);
    if (!empty || !PyArg_ParseTuple(arguments, "ss:record_operation", &operation, &status) ||
        kvtel_python_transfer(empty, keywords, NULL, NULL, &transfer) < 0) {
        Py_XDECREF(empty);
        return NULL;
    }
    Py_DECREF(empty);
    return none_or_error(kvtel_stats_record_operation(kvtel_python_stats_of(self), operation, status, &transfer));
}

static PyObject *stats_record_value(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "key", "value", "labels", NULL };
    const char *key;
    double value;
    PyObject *sequence = NULL;
    struct kvtel_python_texts labels = { 0 };
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sd|O:record_value", names, &key, &value, &sequence) ||
        (sequence && kvtel_python_texts(sequence, &labels) < 0))
        return NULL;
    enum kvtel_status status =
        kvtel_stats_record_value(kvtel_python_stats_of(self), key, labels.texts, labels.count, value);
    kvtel_python_texts_free(&labels);
    return none_or_error(status);
}

static PyObject *stats_pickle(PyObject *self, PyObject *unused)
{
    const struct kvtel_stats *stats = kvtel_python_stats_of(self);
    const char *name = kvtel_stats_connector(stats)->names[0].name;
    char *bytes;
    size_t size;
    (void)unused;
    if (encode(self, KVTEL_MSGPACK, &bytes, &size) < 0)
        return NULL;
    PyObject *answer = Py_BuildValue("O(sy#n)", (PyObject *)Py_TYPE(self), name, bytes, (Py_ssize_t)size,
                                     (Py_ssize_t)stats->sample_limit);
    free(bytes);
    return answer;
}

static PyObject *get_connector(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(kvtel_stats_connector(kvtel_python_stats_of(self))->names[0].name);
}

static PyObject *get_is_summarised(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(kvtel_stats_is_summarised(kvtel_python_stats_of(self)));
}

static PyObject *get_refused(PyObject *self, void *unused)
{
    (void)unused;
    return kvtel_python_refused(&((struct kvtel_python_stats *)self)->warnings);
}

int kvtel_python_add_stats(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "to_dict", stats_to_dict, METH_NOARGS,
          "to_dict($self)\n--\n\nThe payload as a new dict: what was given comes out equal.\n\n"
          "Raises SummarisedError when samples were summarised (see sample_limit)." },
        { "reset", stats_reset, METH_NOARGS, "reset($self)\n--\n\nForgets all observations." },
        { "aggregate", stats_aggregate, METH_O,
          "aggregate($self, other, /)\n--\n\nAdds another Stats of the same connector, which stays as it is. Returns "
          "self.\n\n"
          "Raises MismatchError for another connector; self is then unchanged." },
        { "reduce", stats_reduce, METH_NOARGS,
          "reduce($self)\n--\n\nThe interval as a few representative values, in vLLM's keys, order and rounding (units "
          "are in the "
          "keys)." },
        { "is_empty", stats_is_empty, METH_NOARGS,
          "is_empty($self)\n--\n\nWhether nothing was observed, by the connector's own rule." },
        { "clone_and_reset", stats_clone_and_reset, METH_NOARGS,
          "clone_and_reset($self)\n--\n\nMoves what was observed into a new Stats: a worker's delta." },
        { "encode", KVTEL_PYTHON_KEYWORDS(stats_encode),
          "encode($self, format='msgpack')\n--\n\nThe payload as bytes, 'msgpack' or 'json'. Raises SummarisedError." },
        { "decode", KVTEL_PYTHON_KEYWORDS(stats_decode),
          "decode($self, payload, format='msgpack')\n--\n\nReplaces the content by the payload in these bytes.\n\n"
          "Raises DecodeError (with offset, line, column) and leaves the content as it was. Fields that cannot be used "
          "are refused "
          "one\n"
          "by one, counted in `refused`, and the rest is applied." },
        { "record_transfer", KVTEL_PYTHON_KEYWORDS(stats_record_transfer),
          "record_transfer($self, flow=None, *, duration_ns=None, post_ns=None, bytes=None, descriptors=None, "
          "failed=None)\n--\n\n"
          "Adds one transfer: nanoseconds, bytes, counts. flow is its kind ('transfer', 'load', ...), None the "
          "connector's "
          "first.\n\n"
          "Raises UnknownNameError for a flow that the connector does not have." },
        { "record_failure", stats_record_failure, METH_O,
          "record_failure($self, failure, /)\n--\n\nAdds one failure: 'transfer', 'handshake', 'notification', "
          "'receive', "
          "'expired',\n"
          "'late_notification', 'allocation', 'save' or 'load'.\n\nRaises UnknownNameError where the connector does "
          "not count "
          "it." },
        { "record_operation", KVTEL_PYTHON_KEYWORDS(stats_record_operation),
          "record_operation($self, operation, status, /, *, duration_ns=None, bytes=None, descriptors=None, "
          "failed=None)\n--\n\n"
          "Adds one call of a store with its status ('ok', 'error', ...). descriptors are its keys.\n\n"
          "Raises UnknownNameError where the connector has no operations." },
        { "record_value", KVTEL_PYTHON_KEYWORDS(stats_record_value),
          "record_value($self, key, value, labels=())\n--\n\n"
          "Sets a level, adds to a total, or adds a sample, by the field's key or the typed metric's name.\n\n"
          "Raises UnknownNameError, ArgumentError." },
        { "__reduce__", stats_pickle, METH_NOARGS, "How to pickle it." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "data", get_data, set_data, "The payload: a new dict at each look. Assigning replaces the content.", NULL },
        { "connector", get_connector, NULL, "The connector's first configured name.", NULL },
        { "is_summarised", get_is_summarised, NULL, "Whether some list has become a distribution.", NULL },
        { "refused", get_refused, NULL, "What could not be used: {reason: count}.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc, "Stats(connector, data=None, sample_limit=1000000)\n--\n\n"
                     "vLLM's KVConnectorStats: what one connector observed since the last reset.\n\n"
                     "connector is a configured name ('NixlConnector') or a class name. data is a payload: a dict, or "
                     "MessagePack as bytes.\n"
                     "Past sample_limit samples lists become distributions: counts and sums stay exact, quantiles are "
                     "within 1 %.\n\n"
                     "Raises UnknownConnectorError, NoStatsError, DecodeError, WrongTypeError." },
        { Py_tp_new, (void *)stats_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)stats_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.Stats", sizeof(struct kvtel_python_stats), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return kvtel_python_add_type(module, &spec);
}
