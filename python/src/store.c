/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Store: cumulative metrics, in the heap or in a file that an exporter reads. */
#include "store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void warn(void *context, const char *message)
{
    struct kvtel_python_store *self = context;
    for (size_t i = 0; i < sizeof self->warnings / sizeof *self->warnings; i++) {
        if (atomic_exchange(&self->warnings[i].claimed, 1))
            continue;
        snprintf(self->warnings[i].text, sizeof self->warnings[i].text, "%s", message);
        atomic_store(&self->warnings[i].said, 1);
        return;
    }
}

static PyObject *make(PyTypeObject *type, const struct kvtel_store_options *given, bool in_file)
{
    struct kvtel_python_store *self = kvtel_python_new(type);
    if (!self)
        return NULL;
    struct kvtel_store_options options = *given;
    options.warn = warn;
    options.warn_context = self;
    self->store = (in_file ? kvtel_store_open : kvtel_store_create)(&options);
    if (!self->store) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void store_free(PyObject *self)
{
    kvtel_store_close(((struct kvtel_python_store *)self)->store);
    kvtel_python_delete(self);
}

static PyObject *store_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "model_name", "engine", "rank", "connector", "max_series", "max_lanes", NULL };
    struct kvtel_store_options options = { .size = sizeof options };
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zO&O&zO&O&:Store", names, &options.model_name,
                                     kvtel_python_engine, &options.engine, kvtel_python_engine, &options.rank,
                                     &options.connector, kvtel_python_engine, &options.max_series, kvtel_python_engine,
                                     &options.max_lanes))
        return NULL;
    return make(type, &options, false);
}

static PyObject *store_open(PyObject *class, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {
        "model_name", "dir", "mode", "engine", "rank", "connector", "max_series", "max_lanes", NULL
    };
    struct kvtel_store_options options = { .size = sizeof options };
    PyObject *dir = Py_None, *path = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zOO&O&O&zO&O&:open", names, &options.model_name, &dir,
                                     kvtel_python_engine, &options.mode, kvtel_python_engine, &options.engine,
                                     kvtel_python_engine, &options.rank, &options.connector, kvtel_python_engine,
                                     &options.max_series, kvtel_python_engine, &options.max_lanes) ||
        (dir != Py_None && !PyUnicode_FSConverter(dir, &path)))
        return NULL;
    options.dir = path ? PyBytes_AsString(path) : NULL;
    PyObject *self = make((PyTypeObject *)class, &options, true);
    Py_XDECREF(path);
    return self;
}

/* Takes a snapshot without the GIL. NULL: an exception. */
static struct kvtel_snapshot *snapshot_of(const struct kvtel_store *store)
{
    struct kvtel_snapshot *snapshot;
    enum kvtel_status status = KVTEL_E_NOMEM;
    Py_BEGIN_ALLOW_THREADS snapshot = kvtel_snapshot_create();
    if (snapshot)
        status = kvtel_snapshot_add(snapshot, store);
    Py_END_ALLOW_THREADS if (status == KVTEL_OK) return snapshot;
    kvtel_snapshot_destroy(snapshot);
    return kvtel_python_raise(status, NULL, NULL);
}

static PyObject *store_text(PyObject *self, PyObject *unused)
{
    struct kvtel_snapshot *snapshot = snapshot_of(((struct kvtel_python_store *)self)->store);
    struct kvtel_buffer buffer = { 0 };
    enum kvtel_status status;
    (void)unused;
    if (!snapshot)
        return NULL;
    Py_BEGIN_ALLOW_THREADS status = kvtel_exposition_text(snapshot, &buffer);
    kvtel_snapshot_destroy(snapshot);
    Py_END_ALLOW_THREADS PyObject *text =
        status == KVTEL_OK ? PyUnicode_DecodeUTF8(buffer.bytes ? buffer.bytes : "", (Py_ssize_t)buffer.size, "replace")
                           : kvtel_python_raise(status, NULL, NULL);
    kvtel_buffer_free(&buffer);
    return text;
}

/* Converts a text that may have been cut in the middle of a character. */
static PyObject *to_text(const char *text)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

/* Sets an item of a new tuple. The tuple, or NULL when that failed: then it is freed. */
static PyObject *set_text(PyObject *tuple, size_t i, const char *text)
{
    PyObject *item = to_text(text);
    if (item && PyTuple_SetItem(tuple, (Py_ssize_t)i, item) == 0)
        return tuple;
    Py_DECREF(tuple);
    return NULL;
}

/* Appends `item`, a new reference, or NULL after an exception. 0; -1: an exception. */
static int append(PyObject *list, PyObject *item)
{
    int result = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return result;
}

/* The list [(upper bound, number of values up to it)]; the last entry counts all values. */
static PyObject *to_buckets(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    PyObject *buckets = PyList_New(0);
    for (size_t i = 0; buckets && i <= kvtel_snapshot_bound_count(family); i++) {
        double bound = kvtel_snapshot_bound(family, i);
        unsigned long long count = kvtel_snapshot_count_up_to(family, series, bound, NULL);
        if (append(buckets, Py_BuildValue("(dK)", bound, count)) < 0) {
            Py_DECREF(buckets);
            buckets = NULL;
        }
    }
    return buckets;
}

static PyObject *to_series(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    PyObject *labels = PyTuple_New((Py_ssize_t)kvtel_snapshot_label_count(family));
    for (size_t i = 0; labels && i < kvtel_snapshot_label_count(family); i++)
        labels = set_text(labels, i, kvtel_snapshot_label(series, i));
    if (!labels)
        return NULL;
    struct kvtel_reading reading;
    kvtel_snapshot_read(series, &reading);
    if (kvtel_snapshot_type(family) != KVTEL_HISTOGRAM)
        return Py_BuildValue("(Nd)", labels, reading.value);
    PyObject *buckets = to_buckets(family, series);
    if (buckets)
        return Py_BuildValue("(N(Nd))", labels, buckets, reading.sum);
    Py_DECREF(labels);
    return NULL;
}

static PyObject *to_family(const struct kvtel_snapshot_family *family)
{
    static const char *const types[] = {
        [KVTEL_COUNTER] = "counter", [KVTEL_GAUGE] = "gauge", [KVTEL_HISTOGRAM] = "histogram"
    };
    PyObject *series = PyList_New(0);
    for (size_t i = 0; series && i < kvtel_snapshot_series_count(family); i++)
        if (append(series, to_series(family, kvtel_snapshot_series(family, i))) < 0) {
            Py_DECREF(series);
            series = NULL;
        }
    PyObject *names = series ? PyTuple_New((Py_ssize_t)kvtel_snapshot_label_count(family)) : NULL;
    for (size_t i = 0; names && i < kvtel_snapshot_label_count(family); i++)
        names = set_text(names, i, kvtel_snapshot_label_name(family, i));
    if (names)
        return Py_BuildValue("(sssNN)", kvtel_snapshot_name(family), types[kvtel_snapshot_type(family)],
                             kvtel_snapshot_help(family), names, series);
    Py_XDECREF(series);
    return NULL;
}

static PyObject *store_collect(PyObject *self, PyObject *unused)
{
    struct kvtel_snapshot *snapshot = snapshot_of(((struct kvtel_python_store *)self)->store);
    (void)unused;
    if (!snapshot)
        return NULL;
    PyObject *families = PyList_New(0);
    for (size_t i = 0; families && i < kvtel_snapshot_family_count(snapshot); i++)
        if (append(families, to_family(kvtel_snapshot_family(snapshot, i))) < 0) {
            Py_DECREF(families);
            families = NULL;
        }
    kvtel_snapshot_destroy(snapshot);
    return families;
}

static PyObject *store_exemplars(PyObject *self, PyObject *unused)
{
    struct kvtel_snapshot *snapshot = snapshot_of(((struct kvtel_python_store *)self)->store);
    (void)unused;
    PyObject *exemplars = snapshot ? kvtel_python_exemplars(snapshot) : NULL;
    kvtel_snapshot_destroy(snapshot);
    return exemplars;
}

static PyObject *store_info(PyObject *self, PyObject *unused)
{
    struct kvtel_store_info info;
    (void)unused;
    kvtel_store_describe(((struct kvtel_python_store *)self)->store, &info);
    return Py_BuildValue(
        "{sN,sN,sI,sI,sK,sK,sK,sK,sK,sK,sK,sN,sK,sK}", "model_name", to_text(info.model_name), "connector",
        to_text(info.connector), "engine", (unsigned)info.engine, "rank", (unsigned)info.rank, "pid",
        (unsigned long long)info.pid, "families", (unsigned long long)info.families, "series",
        (unsigned long long)info.series, "lanes", (unsigned long long)info.lanes, "series_dropped",
        (unsigned long long)info.series_dropped, "records_dropped", (unsigned long long)info.records_dropped,
        "values_refused", (unsigned long long)info.values_refused, "file_deleted",
        PyBool_FromLong(info.file_deleted != 0), "transfers_untracked", (unsigned long long)info.transfers_untracked,
        "tokens_refused", (unsigned long long)info.tokens_refused);
}

/* None, or the exception of `status`: an unknown name has a message of its own. */
static PyObject *removed(enum kvtel_status status, const char *name, const char *what)
{
    if (status != KVTEL_OK) {
        char message[256];
        (void)snprintf(message, sizeof message, "%.180s: %s", name, what);
        return kvtel_python_raise(status, NULL, status == KVTEL_E_UNKNOWN ? message : NULL);
    }
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *store_remove(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "name", "labelvalues", NULL };
    struct kvtel_store *store = ((struct kvtel_python_store *)self)->store;
    const char *name;
    PyObject *sequence = NULL;
    struct kvtel_python_texts values = { 0 };
    uint32_t family, series;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|O:remove", names, &name, &sequence) ||
        (sequence && kvtel_python_texts(sequence, &values) < 0))
        return NULL;
    const char *what = "no such metric";
    enum kvtel_status status = kvtel_store_find_family(store, name, &family);
    if (status == KVTEL_OK) {
        what = "no series of these label values";
        status = kvtel_store_find_series(store, family, values.texts, values.count, &series);
    }
    if (status == KVTEL_OK)
        status = kvtel_store_series_remove(store, series);
    kvtel_python_texts_free(&values);
    return removed(status, name, what);
}

static PyObject *store_clear(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "name", NULL };
    struct kvtel_store *store = ((struct kvtel_python_store *)self)->store;
    const char *name;
    uint32_t family;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s:clear", names, &name))
        return NULL;
    enum kvtel_status status = kvtel_store_find_family(store, name, &family);
    if (status == KVTEL_OK)
        status = kvtel_store_family_clear(store, family);
    return removed(status, name, "no such metric");
}

static PyObject *get_path(PyObject *self, void *unused)
{
    const char *path = kvtel_store_path(((struct kvtel_python_store *)self)->store);
    (void)unused;
    if (path)
        return PyUnicode_DecodeFSDefault(path);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *get_warnings(PyObject *object, void *unused)
{
    struct kvtel_python_store *self = (struct kvtel_python_store *)object;
    PyObject *warnings = PyList_New(0);
    (void)unused;
    for (size_t i = 0; warnings && i < sizeof self->warnings / sizeof *self->warnings; i++)
        if (atomic_load(&self->warnings[i].said) && append(warnings, to_text(self->warnings[i].text)) < 0) {
            Py_DECREF(warnings);
            warnings = NULL;
        }
    return warnings;
}

int kvtel_python_add_store(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "open", (PyCFunction)(void (*)(void))store_open, METH_VARARGS | METH_KEYWORDS | METH_CLASS,
          "open($type, model_name='', dir=None, mode=0, engine=0, rank=0, connector='', max_series=0, "
          "max_lanes=0)\n--\n\n"
          "A store in a file, where `kvtel serve` finds it, however this process ends.\n\n"
          "dir: None is $KVTEL_STORE_DIR, else kvtel-UID in shared memory. mode: permissions of the file; 0 is "
          "$KVTEL_STORE_MODE, else 0o600. Others get "
          "reading at most (0o644). Where no file can be "
          "made it is\n"
          "a store in the heap: path is None and warnings says why. Raises MemoryError." },
        { "text", store_text, METH_NOARGS, "text($self)\n--\n\nAll metrics in Prometheus' text format 0.0.4." },
        { "collect", store_collect, METH_NOARGS,
          "collect($self)\n--\n\nAll metrics: [(name, type, help, labelnames, [(labelvalues, value)])]. The value of a "
          "histogram "
          "is\n"
          "([(upper bound, values up to it)], sum)." },
        { "exemplars", store_exemplars, METH_NOARGS,
          "exemplars($self)\n--\n\nThe newest exemplar of each bucket that has one: [(name, labelvalues, upper bound, "
          "value,\ntime in ns since 1970, labels)]." },
        { "info", store_info, METH_NOARGS,
          "info($self)\n--\n\nWho writes it, how much is in it, what was dropped, as a dict." },
        { "remove", KVTEL_PYTHON_KEYWORDS(store_remove),
          "remove($self, name, labelvalues=())\n--\n\nRemoves a series that will not come back, whatever it counted. "
          "What is recorded for it later is dropped and counted.\n\n"
          "name, labelvalues: as collect() has them. Raises UnknownNameError; ArgumentError: a wrong number of "
          "values." },
        { "clear", KVTEL_PYTHON_KEYWORDS(store_clear),
          "clear($self, name)\n--\n\nRemoves all series of a metric, as remove() does. Raises UnknownNameError." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "path", get_path, NULL, "The file's path; None for a store in the heap.", NULL },
        { "warnings", get_warnings, NULL, "What could not be done, each way once, as sentences.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc,
          "Store(model_name='', engine=0, rank=0, connector='', max_series=0, max_lanes=0)\n--\n\n"
          "Cumulative metrics of one process, in the heap; Store.open() makes one in a file.\n\n"
          "model_name: label of every series that a Recorder makes. engine: default engine of a Recorder. max_series: "
          "of one\n"
          "family, 0 is 10,000. max_lanes: threads that record at a time, 0 is 256. It is closed when the last "
          "reference is gone;\n"
          "a file stays for the exporter. After a fork the child records nothing into it and makes its own." },
        { Py_tp_new, (void *)store_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)store_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.Store", sizeof(struct kvtel_python_store), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return kvtel_python_add_type(module, &spec);
}
