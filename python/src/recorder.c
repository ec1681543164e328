/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Recorder, Operation and Instrument: native recording for connectors that are written in Python. */
#include "open.h"
#include "store.h"

#include <string.h>

struct recorder {
    PyObject_HEAD PyObject *store;
    struct kvtel_recorder *recorder;
};

/* An operation or an instrument: a handle, and the recorder that owns it. */
struct handle {
    PyObject_HEAD PyObject *recorder;
    const struct kvtel_operation *operation;
    const struct kvtel_instrument *instrument;
};

static void recorder_free(PyObject *object)
{
    struct recorder *self = (struct recorder *)object;
    kvtel_recorder_destroy(self->recorder);
    Py_XDECREF(self->store);
    kvtel_python_delete(object);
}

static PyObject *recorder_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "store", "connector", "engine", "windows", "open_transfers", "exemplars", NULL };
    struct kvtel_recorder_options options = { .size = sizeof options };
    struct kvtel_transfer_config *config = NULL;
    PyObject *store, *connector;
    int windows = 0, exemplars = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|zpO&p:Recorder", names, &store, &connector,
                                     &options.engine, &windows, kvtel_python_engine, &options.open_transfers,
                                     &exemplars))
        return NULL;
    int is_store = kvtel_python_is(store, "Store");
    if (is_store == 0)
        PyErr_SetString(PyExc_TypeError, "store is not a kvtel.Store");
    if (is_store <= 0 || kvtel_python_config(connector, &config) < 0)
        return NULL;
    const struct kvtel_connector *table = config ? kvtel_transfer_config_connector(config) : NULL;
    options.config = config;
    options.windows = windows;
    options.exemplars = exemplars;
    struct recorder *self = table && table->payload_kind != KVTEL_PAYLOAD_NONE ? kvtel_python_new(type) : NULL;
    if (self) {
        Py_INCREF(store);
        self->store = store;
        self->recorder = kvtel_recorder_create(((struct kvtel_python_store *)store)->store, table, &options);
    } else if (!PyErr_Occurred()) {
        kvtel_python_raise_connector(table, config ? kvtel_transfer_config_connector_name(config) : "");
    }
    kvtel_transfer_config_destroy(config);
    return (PyObject *)self;
}

static PyObject *make_handle(struct recorder *self, const char *class_name, const struct kvtel_operation *operation,
                             const struct kvtel_instrument *instrument)
{
    PyObject *class = kvtel_python_class(class_name);
    struct handle *handle = class ? kvtel_python_new((PyTypeObject *)class) : NULL;
    Py_XDECREF(class);
    if (!handle)
        return NULL;
    Py_INCREF(self);
    handle->recorder = (PyObject *)self;
    handle->operation = operation;
    handle->instrument = instrument;
    return (PyObject *)handle;
}

static void handle_free(PyObject *self)
{
    Py_XDECREF(((struct handle *)self)->recorder);
    kvtel_python_delete(self);
}

static PyObject *recorder_operation(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "name", "status", NULL };
    struct recorder *self = (struct recorder *)object;
    const char *name = NULL, *status = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zz:operation", names, &name, &status))
        return NULL;
    const struct kvtel_operation *operation = kvtel_recorder_operation(self->recorder, name, status);
    if (!operation && self->recorder)
        return kvtel_python_raise(KVTEL_E_UNKNOWN, NULL,
                                  "the connector has no such operation, or there is no room for it");
    return make_handle(self, "Operation", operation, NULL);
}

static PyObject *recorder_instrument(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "key", "labels", NULL };
    struct recorder *self = (struct recorder *)object;
    const char *key;
    PyObject *sequence = NULL;
    struct kvtel_python_texts labels = { 0 };
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|O:instrument", names, &key, &sequence) ||
        (sequence && kvtel_python_texts(sequence, &labels) < 0))
        return NULL;
    const struct kvtel_instrument *instrument =
        kvtel_recorder_instrument(self->recorder, key, labels.texts, labels.count);
    kvtel_python_texts_free(&labels);
    if (!instrument && self->recorder)
        return kvtel_python_raise(KVTEL_E_UNKNOWN, NULL,
                                  "the connector has no such key with these labels, or there is no room for it");
    return make_handle(self, "Instrument", NULL, instrument);
}

static PyObject *recorder_record_failure(PyObject *object, PyObject *label)
{
    enum kvtel_failure failure;
    if (kvtel_python_failure(label, &failure) < 0)
        return NULL;
    return PyBool_FromLong(kvtel_record_failure(((struct recorder *)object)->recorder, failure));
}

static PyObject *record(const struct kvtel_operation *operation, PyObject *arguments, PyObject *keywords)
{
    struct kvtel_transfer transfer;
    if (kvtel_python_transfer(arguments, keywords, NULL, NULL, &transfer) < 0)
        return NULL;
    return PyBool_FromLong(kvtel_record_operation(operation, &transfer));
}

static PyObject *recorder_record_transfer(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    return record(kvtel_recorder_operation(((struct recorder *)object)->recorder, NULL, NULL), arguments, keywords);
}

static PyObject *operation_record(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    return record(((struct handle *)self)->operation, arguments, keywords);
}

static PyObject *begin(PyObject *object, const struct kvtel_operation *operation, PyObject *arguments,
                       PyObject *keywords)
{
    PyObject *store = ((struct recorder *)object)->store;
    return kvtel_python_begin(object, ((struct kvtel_python_store *)store)->store, operation, arguments, keywords);
}

static PyObject *operation_begin(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    return begin(((struct handle *)self)->recorder, ((struct handle *)self)->operation, arguments, keywords);
}

static PyObject *recorder_begin(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    return begin(self, kvtel_recorder_operation(((struct recorder *)self)->recorder, NULL, NULL), arguments, keywords);
}

static PyObject *record_exemplar(const struct kvtel_operation *operation, PyObject *arguments, PyObject *keywords)
{
    struct kvtel_transfer transfer;
    struct kvtel_exemplar exemplar;
    if (kvtel_python_transfer_exemplar(arguments, keywords, &transfer, &exemplar) < 0)
        return NULL;
    return PyBool_FromLong(kvtel_record_exemplar(operation, &transfer, &exemplar));
}

static PyObject *recorder_record_exemplar(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    return record_exemplar(kvtel_recorder_operation(((struct recorder *)object)->recorder, NULL, NULL), arguments,
                           keywords);
}

static PyObject *operation_record_exemplar(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    return record_exemplar(((struct handle *)self)->operation, arguments, keywords);
}

static PyObject *instrument_record(PyObject *self, PyObject *value)
{
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(kvtel_record_value(((struct handle *)self)->instrument, number));
}

/* --- Many transfers from buffers. The limited API of Python 3.9 cannot access buffers, so their bytes are copied.
 * --- */

struct column {
    PyObject *bytes; /* NULL: all rows have the value `same` */
    const char *data;
    size_t count;
    char format; /* format of the struct module: 'd', or an integer of 8 bytes: 'q' signed, 'Q' unsigned */
    uint64_t same;
};

static int column_format(PyObject *object, char *format)
{
    int result = -1;
    *format = 'Q';
    if (PyBytes_Check(object) || PyByteArray_Check(object))
        return 0;
    PyObject *view = PyMemoryView_FromObject(object);
    PyObject *text = view ? PyObject_GetAttrString(view, "format") : NULL, *holder = NULL;
    const char *given = text ? kvtel_python_text(text, &holder) : NULL;
    if (given) {
        given += *given == '@' || *given == '=' || *given == '<';
        *format = *given == 'l' || *given == 'n' ? 'q' : *given == 'L' || *given == 'N' ? 'Q' : *given;
        result = given[0] != '\0' && given[1] == '\0' && strchr("dqQ", *format) ? 0 : -1;
        if (result < 0)
            kvtel_python_raise(KVTEL_E_TYPE, NULL, "a buffer holds neither float64 nor integers of 8 bytes");
    }
    Py_XDECREF(holder);
    Py_XDECREF(text);
    Py_XDECREF(view);
    return result;
}

/* Whether the object is an int or a NumPy integer. The latter is also a buffer, but does not have a length. */
static bool is_number(PyObject *object)
{
    if (PyLong_Check(object))
        return true;
    bool is = PyIndex_Check(object) && PyObject_Size(object) < 0;
    (void)kvtel_python_is_wrong_value();
    return is;
}

static int column_init(struct column *column, PyObject *object)
{
    Py_ssize_t size;
    char *data;
    *column = (struct column){ .same = KVTEL_UNMEASURED };
    if (!object || object == Py_None)
        return 0;
    if (is_number(object))
        return PyErr_Occurred() ? -1 : kvtel_python_uint64(object, &column->same);
    if (PyErr_Occurred())
        return -1;
    if (column_format(object, &column->format) < 0)
        return -1;
    column->bytes = PyBytes_FromObject(object);
    if (!column->bytes || PyBytes_AsStringAndSize(column->bytes, &data, &size) < 0)
        return -1;
    column->data = data;
    column->count = (size_t)size / 8;
    if (size % 8 == 0)
        return 0;
    kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "a buffer ends in the middle of a value");
    return -1;
}

/* The value of a row. A negative, NaN or too large value becomes UINT64_MAX, which is refused and counted. */
static uint64_t column_get(const struct column *column, size_t row)
{
    double real;
    uint64_t number;
    if (!column->bytes)
        return column->same;
    if (column->format != 'd') {
        memcpy(&number, column->data + 8 * row, sizeof number);
        return number < KVTEL_TRANSFER_LIMIT ? number : UINT64_MAX;
    }
    memcpy(&real, column->data + 8 * row, sizeof real);
    return real >= 0 && real < (double)KVTEL_TRANSFER_LIMIT ? (uint64_t)(real + 0.5) : UINT64_MAX;
}

enum { COLUMNS = 4, BATCH = 64 };

static size_t record_rows(const struct kvtel_operation *operation, const struct column columns[COLUMNS], size_t count)
{
    struct kvtel_transfer transfers[BATCH];
    size_t recorded = 0;
    for (size_t row = 0; row < count;) {
        const size_t batch = count - row < BATCH ? count - row : BATCH;
        for (size_t i = 0; i < batch; i++, row++)
            transfers[i] =
                (struct kvtel_transfer){ column_get(&columns[0], row), column_get(&columns[1], row),
                                         column_get(&columns[2], row), column_get(&columns[3], row), .failed = 0 };
        recorded += kvtel_record_transfers(operation, transfers, batch);
    }
    return recorded;
}

static PyObject *record_many(const struct kvtel_operation *operation, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "duration_ns", "post_ns", "bytes", "descriptors", NULL };
    PyObject *given[COLUMNS] = { NULL };
    struct column columns[COLUMNS] = { { 0 } };
    size_t count = 0, recorded = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OOO:record_transfers", names, &given[0], &given[1],
                                     &given[2], &given[3]))
        return NULL;
    bool good = true, sized = false;
    for (size_t i = 0; i < COLUMNS && good; i++) {
        good = column_init(&columns[i], given[i]) == 0;
        if (!good || !columns[i].bytes)
            continue;
        if (sized && columns[i].count != count) {
            kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "buffers are not equally long");
            good = false;
        }
        sized = true;
        count = columns[i].count;
    }
    if (good && !sized) {
        kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "no argument is a buffer");
        good = false;
    }
    if (good) {
        Py_BEGIN_ALLOW_THREADS recorded = record_rows(operation, columns, count);
        Py_END_ALLOW_THREADS
    }
    for (size_t i = 0; i < COLUMNS; i++)
        Py_XDECREF(columns[i].bytes);
    return good ? PyLong_FromSize_t(recorded) : NULL;
}

static PyObject *recorder_record_transfers(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    return record_many(kvtel_recorder_operation(((struct recorder *)object)->recorder, NULL, NULL), arguments,
                       keywords);
}

static PyObject *operation_record_many(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    return record_many(((struct handle *)self)->operation, arguments, keywords);
}

static PyObject *get_store(PyObject *object, void *unused)
{
    PyObject *store = ((struct recorder *)object)->store;
    (void)unused;
    Py_INCREF(store);
    return store;
}

#define EXEMPLAR_DOC                                                                                             \
    ")\n--\n\nAs record, and leaves the transfer as an exemplar: `exemplar` is a dict of its labels (trace_id, " \
    "request_id,\npeer), 128 characters together. A label that cannot be one is left out. Needs "                \
    "Recorder(exemplars=True)."
#define TRANSFER_ARGUMENTS                                                                              \
    "*, duration_ns=None, post_ns=None, bytes=None, descriptors=None, failed=None, submitted_ns=None, " \
    "posted_ns=None, "                                                                                  \
    "first_byte_ns=None, done_ns=None"
#define MANY_DOC                                                                                                      \
    "($self, duration_ns, post_ns=None, bytes=None, descriptors=None)\n--\n\n"                                        \
    "Records a transfer for each row. Each argument is a buffer of float64 or 8-byte integers (NumPy array, "         \
    "array.array,\n"                                                                                                  \
    "memoryview; bytes and bytearray are taken as uint64), an int that all rows share, or None: not measured. Times " \
    "are\n"                                                                                                           \
    "nanoseconds. Rows with a negative, NaN or impossible value (from 2^62 on) are refused, and counted in\n"         \
    "Store.info()['values_refused']. Returns how many were recorded.\n\nRaises ArgumentError (lengths), "             \
    "WrongTypeError (item "                                                                                           \
    "type)."

static int add_handles(PyObject *module)
{
    static PyMethodDef operation_methods[] = {
        { "record", KVTEL_PYTHON_KEYWORDS(operation_record),
          "record($self, " TRANSFER_ARGUMENTS
          ")\n--\n\nRecords a finished transfer or call. Returns whether it was recorded." },
        { "record_exemplar", KVTEL_PYTHON_KEYWORDS(operation_record_exemplar),
          "record_exemplar($self, exemplar, " TRANSFER_ARGUMENTS EXEMPLAR_DOC },
        { "record_many", KVTEL_PYTHON_KEYWORDS(operation_record_many), "record_many" MANY_DOC },
        { "begin", KVTEL_PYTHON_KEYWORDS(operation_begin), KVTEL_PYTHON_BEGIN_DOC },
        { NULL, NULL, 0, NULL },
    };
    static PyMethodDef instrument_methods[] = {
        { "record", instrument_record, METH_O,
          "record($self, value, /)\n--\n\nSets a level, adds to a count, or takes a sample (not below 0). Returns "
          "whether it was "
          "recorded." },
        { NULL, NULL, 0, NULL },
    };
    static PyType_Slot operation_slots[] = {
        { Py_tp_doc, "The handle of a kind of transfer, made by Recorder.operation()." },
        { Py_tp_dealloc, (void *)handle_free },
        { Py_tp_methods, operation_methods },
        { 0, NULL },
    };
    static PyType_Slot instrument_slots[] = {
        { Py_tp_doc, "The handle of a field or typed metric, made by Recorder.instrument()." },
        { Py_tp_dealloc, (void *)handle_free },
        { Py_tp_methods, instrument_methods },
        { 0, NULL },
    };
    static PyType_Spec operation = { "kvtel._kvtel.Operation", sizeof(struct handle), 0, Py_TPFLAGS_DEFAULT,
                                     operation_slots };
    static PyType_Spec instrument = { "kvtel._kvtel.Instrument", sizeof(struct handle), 0, Py_TPFLAGS_DEFAULT,
                                      instrument_slots };
    return kvtel_python_add_type(module, &operation) < 0 ? -1 : kvtel_python_add_type(module, &instrument);
}

int kvtel_python_add_recorder(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "record_transfer", KVTEL_PYTHON_KEYWORDS(recorder_record_transfer),
          "record_transfer($self, " TRANSFER_ARGUMENTS ")\n--\n\n"
          "Records a finished transfer of the connector's first flow: nanoseconds, bytes, contiguous pieces. What is "
          "None was not\n"
          "measured and has no value. Points in time (submitted_ns, posted_ns, first_byte_ns, done_ns) stand in for "
          "durations.\n"
          "Returns whether it was recorded. A number below 0, or from 2^62 on, is not a measurement: the transfer is "
          "refused, and\n"
          "counted in Store.info()['values_refused']." },
        { "record_exemplar", KVTEL_PYTHON_KEYWORDS(recorder_record_exemplar),
          "record_exemplar($self, exemplar, " TRANSFER_ARGUMENTS EXEMPLAR_DOC },
        { "record_transfers", KVTEL_PYTHON_KEYWORDS(recorder_record_transfers), "record_transfers" MANY_DOC },
        { "begin", KVTEL_PYTHON_KEYWORDS(recorder_begin), KVTEL_PYTHON_BEGIN_DOC },
        { "record_failure", recorder_record_failure, METH_O,
          "record_failure($self, failure, /)\n--\n\nRecords one failure, by the names of Stats.record_failure().\n\n"
          "Returns whether it was recorded; False: the connector does not count it. Raises UnknownNameError for no "
          "such class." },
        { "operation", KVTEL_PYTHON_KEYWORDS(recorder_operation),
          "operation($self, name=None, status=None)\n--\n\nThe handle of a flow ('load', 'store'), or of an operation "
          "of a store "
          "with its "
          "status.\n\n"
          "Raises UnknownNameError." },
        { "instrument", KVTEL_PYTHON_KEYWORDS(recorder_instrument),
          "instrument($self, key, labels=())\n--\n\nThe handle of a field by its key, or of a typed metric by its name "
          "and label "
          "values.\n\n"
          "Raises UnknownNameError." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "store", get_store, NULL, "The Store that is recorded into.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc,
          "Recorder(store, connector, engine=None, windows=False, open_transfers=0, exemplars=False)\n--\n\n"
          "A connector's families in a Store, for one engine. Any thread records.\n\n"
          "connector: a name, or a configuration as for Logging. engine: value of the engine label; None is the "
          "store's engine.\n"
          "windows: also histograms of the time to the first byte and from there on, from points in time.\n"
          "open_transfers: how many transfers that a thread began can be open at once and be seen by kvtel serve.\n"
          "exemplars: places for what record_exemplar() and Transfer.end_exemplar() leave.\n\n"
          "Raises UnknownConnectorError, NoStatsError. Recording raises only for arguments of wrong types." },
        { Py_tp_new, (void *)recorder_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)recorder_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.Recorder", sizeof(struct recorder), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return add_handles(module) < 0 ? -1 : kvtel_python_add_type(module, &spec);
}
