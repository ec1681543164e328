/* SPDX-License-Identifier: Apache-2.0 */
/* The native part of kvtel.Counter, Gauge and Histogram: a series of a store, and the methods that record into it.
 *
 * kvtel/metrics.py has the rest. It gives a metric its store and its series by _attach(), which the methods here ask
 * for by calling _bind(): at the first record, and again in a child of a fork, whose parent's store is not its own. */
#include "store.h"

#include <pthread.h>
#include <string.h>

/* With this flag, neither a tuple nor a dict of arguments is made. The limited API defines the flag from 3.10 on,
 * but CPython 3.9 implements it, too. */
#ifndef METH_FASTCALL
#define METH_FASTCALL 0x0080
#endif

enum { NO_SERIES = UINT32_MAX };

struct metric {
    PyObject_HEAD PyObject *store; /* a Store; NULL: not attached, or nothing can be recorded */
    uint64_t forks;                /* those of this process when it was attached; 0: it has to be */
    uint32_t series;
    bool most_recent; /* a gauge that can only be set */
    double value;     /* of a gauge, as this process set it */
};

/* The module's only global state: how many forks led to this process, from 1. A fork leaves one thread, so it needs no
 * atomic. */
static uint64_t forks = 1;

static void count_fork(void)
{
    forks++;
}

static void metric_free(PyObject *object)
{
    Py_XDECREF(((struct metric *)object)->store);
    kvtel_python_delete(object);
}

static PyObject *metric_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)arguments;
    (void)keywords;
    return kvtel_python_new(type);
}

static struct kvtel_store *store_of(const struct metric *self)
{
    return self->store ? ((struct kvtel_python_store *)self->store)->store : NULL;
}

/* --- Attaching --- */

/* The bounds of a sequence, to be freed by PyMem_Free(). 0; -1: an exception. */
static int read_bounds(PyObject *sequence, struct kvtel_buckets *buckets, double **bounds)
{
    Py_ssize_t count = sequence == Py_None ? 0 : PySequence_Size(sequence);
    *bounds = count >= 0 ? PyMem_Calloc((size_t)count + 1, sizeof **bounds) : NULL;
    if (!*bounds) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_GetItem(sequence, i);
        (*bounds)[i] = item ? PyFloat_AsDouble(item) : -1;
        Py_XDECREF(item);
        if (PyErr_Occurred())
            return -1;
    }
    *buckets = (struct kvtel_buckets){ .bounds = *bounds, .count = (size_t)count };
    return 0;
}

/* Makes the family, and the series where there are label values. */
static enum kvtel_status make_series(struct metric *self, struct kvtel_store *store,
                                     const struct kvtel_family_spec *spec, const struct kvtel_python_texts *values)
{
    uint32_t family, series;
    enum kvtel_status status = kvtel_store_family(store, spec, &family);
    if (status == KVTEL_OK && values->texts)
        status = kvtel_store_series_exemplars(store, family, values->texts, values->count, &series);
    self->series = status == KVTEL_OK && values->texts ? series : (uint32_t)NO_SERIES;
    return status;
}

static PyObject *metric_attach(PyObject *object, PyObject *arguments)
{
    struct metric *self = (struct metric *)object;
    struct kvtel_family_spec spec = { 0 };
    struct kvtel_buckets buckets = { 0 };
    struct kvtel_python_texts labels = { 0 }, values = { 0 };
    PyObject *store, *labelnames, *bounds, *labelvalues;
    double *kept = NULL;
    int type, unit;
    if (!PyArg_ParseTuple(arguments, "OissOOiO:_attach", &store, &type, &spec.name, &spec.help, &labelnames, &bounds,
                          &unit, &labelvalues))
        return NULL;
    int is_store = kvtel_python_is(store, "Store");
    if (is_store == 0)
        PyErr_SetString(PyExc_TypeError, "store is not a kvtel.Store");
    if (is_store > 0 && read_bounds(bounds, &buckets, &kept) == 0 && kvtel_python_texts(labelnames, &labels) == 0 &&
        (labelvalues == Py_None || kvtel_python_texts(labelvalues, &values) == 0)) {
        spec.type = (enum kvtel_metric_type)type;
        spec.unit = (enum kvtel_unit)unit;
        spec.labelnames = labels.texts;
        spec.label_count = labels.count;
        spec.buckets = &buckets;
        enum kvtel_status status = make_series(self, ((struct kvtel_python_store *)store)->store, &spec, &values);
        PyObject *before = self->store;
        Py_INCREF(store);
        self->store = store;
        Py_XDECREF(before);
        if (self->forks != 0 && self->forks != forks)
            self->value = 0; /* the parent's */
        self->forks = values.texts ? forks : 0;
        if (status != KVTEL_OK)
            kvtel_python_raise(status, NULL, NULL);
    }
    kvtel_python_texts_free(&values);
    kvtel_python_texts_free(&labels);
    PyMem_Free(kept);
    if (PyErr_Occurred())
        return NULL;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *metric_remove(PyObject *object, PyObject *unused)
{
    struct metric *self = (struct metric *)object;
    (void)unused;
    if (self->forks == forks && self->store && self->series != NO_SERIES)
        (void)kvtel_store_series_remove(store_of(self), self->series);
    self->series = NO_SERIES;
    self->value = 0;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *metric_detach(PyObject *object, PyObject *unused)
{
    struct metric *self = (struct metric *)object;
    PyObject *before = self->store;
    (void)unused;
    self->store = NULL;
    Py_XDECREF(before);
    self->forks = forks;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *metric_only_set(PyObject *object, PyObject *unused)
{
    (void)unused;
    ((struct metric *)object)->most_recent = true;
    Py_INCREF(Py_None);
    return Py_None;
}

/* --- Recording --- */

/* Whether the metric is attached in this process, or nothing was raised when that was tried. */
static inline bool is_bound(struct metric *self)
{
    if (__builtin_expect(self->forks == forks, 1))
        return true;
    PyObject *answer = PyObject_CallMethod((PyObject *)self, "_bind", NULL);
    Py_XDECREF(answer);
    return answer != NULL;
}

/* What a method was called with. */
struct call {
    PyObject *amount;   /* borrowed; NULL: not given */
    PyObject *exemplar; /* borrowed; NULL: none */
};

static int take_name(struct call *call, PyObject *name, PyObject *value, const char *first, bool has_exemplar)
{
    PyObject **place = PyUnicode_CompareWithASCIIString(name, first) == 0                        ? &call->amount
                       : has_exemplar && PyUnicode_CompareWithASCIIString(name, "exemplar") == 0 ? &call->exemplar
                                                                                                 : NULL;
    if (place && !*place) {
        *place = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, place ? "argument %R is given twice" : "%R is not an argument", name);
    return -1;
}

/* 0; -1: an exception. */
static int take_call(struct call *call, PyObject *const *arguments, Py_ssize_t count, PyObject *names,
                     const char *first, bool has_exemplar)
{
    *call = (struct call){ .amount = count > 0 ? arguments[0] : NULL };
    if (__builtin_expect(count <= 1 && !names, 1))
        return 0;
    if (count > (has_exemplar ? 2 : 1)) {
        PyErr_SetString(PyExc_TypeError, "too many arguments");
        return -1;
    }
    if (count > 1)
        call->exemplar = arguments[1];
    for (Py_ssize_t i = 0; names && i < PyTuple_Size(names); i++)
        if (take_name(call, PyTuple_GetItem(names, i), arguments[count + i], first, has_exemplar) < 0)
            return -1;
    return 0;
}

/* The number that a method was given. 0; -1: an exception. */
static int number_of(PyObject *object, double *number)
{
    *number = PyFloat_AsDouble(object);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* The rules of prometheus_client. 0; -1: an exception. */
static int check_labels(PyObject *labels)
{
    PyObject *name, *value;
    Py_ssize_t at = 0, characters = 0;
    while (PyDict_Check(labels) && PyDict_Next(labels, &at, &name, &value)) {
        if (!PyUnicode_Check(name) || !PyUnicode_Check(value)) {
            PyErr_SetString(PyExc_TypeError, "names and values of an exemplar's labels are texts");
            return -1;
        }
        characters += PyUnicode_GetLength(name) + PyUnicode_GetLength(value);
        if (PyUnicode_GetLength(name) > 1 && PyUnicode_ReadChar(name, 0) == '_' && PyUnicode_ReadChar(name, 1) == '_') {
            PyErr_Format(PyExc_ValueError, "Reserved label metric name: %U", name);
            return -1;
        }
    }
    if (characters <= 128)
        return 0;
    PyErr_Format(PyExc_ValueError, "Exemplar labels have %zd UTF-8 characters, exceeding the limit of 128", characters);
    return -1;
}

/* Records; a wrong exemplar is left out of the record, and raises. */
static PyObject *record(struct metric *self, double value, PyObject *labels)
{
    struct kvtel_exemplar exemplar;
    bool some = labels && labels != Py_None && PyObject_IsTrue(labels) == 1;
    if (__builtin_expect(some, 0))
        some = check_labels(labels) == 0 && kvtel_python_exemplar(labels, &exemplar) == 0;
    (void)kvtel_store_record(store_of(self), self->series, value, some ? &exemplar : NULL);
    if (__builtin_expect(labels != NULL, 0) && PyErr_Occurred())
        return NULL;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *counter_inc(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    struct metric *self = (struct metric *)object;
    struct call call;
    double amount = 1;
    if (take_call(&call, arguments, count, names, "amount", true) < 0 || !is_bound(self) ||
        (call.amount && number_of(call.amount, &amount) < 0))
        return NULL;
    if (amount < 0) {
        PyErr_SetString(PyExc_ValueError, "Counters can only be incremented by non-negative amounts.");
        return NULL;
    }
    return record(self, amount, call.exemplar);
}

static PyObject *histogram_observe(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    struct metric *self = (struct metric *)object;
    struct call call;
    double amount;
    if (take_call(&call, arguments, count, names, "amount", true) < 0 || !is_bound(self))
        return NULL;
    if (!call.amount) {
        PyErr_SetString(PyExc_TypeError, "observe() missing 1 required positional argument: 'amount'");
        return NULL;
    }
    return number_of(call.amount, &amount) < 0 ? NULL : record(self, amount, call.exemplar);
}

static PyObject *gauge_set(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    struct metric *self = (struct metric *)object;
    struct call call;
    if (take_call(&call, arguments, count, names, "value", false) < 0 || !is_bound(self))
        return NULL;
    if (!call.amount) {
        PyErr_SetString(PyExc_TypeError, "set() missing 1 required positional argument: 'value'");
        return NULL;
    }
    PyObject *real = PyNumber_Float(call.amount);
    if (!real)
        return NULL;
    self->value = PyFloat_AsDouble(real);
    Py_DECREF(real);
    return record(self, self->value, NULL);
}

static PyObject *add(struct metric *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names, double sign,
                     const char *name)
{
    struct call call;
    double amount = 1;
    if (self->most_recent) {
        PyErr_Format(PyExc_RuntimeError, "%s must not be used with the mostrecent mode", name);
        return NULL;
    }
    if (take_call(&call, arguments, count, names, "amount", false) < 0 || !is_bound(self) ||
        (call.amount && number_of(call.amount, &amount) < 0))
        return NULL;
    self->value += sign * amount;
    return record(self, self->value, NULL);
}

static PyObject *gauge_inc(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    return add((struct metric *)object, arguments, count, names, 1, "inc");
}

static PyObject *gauge_dec(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    return add((struct metric *)object, arguments, count, names, -1, "dec");
}

/* --- Types --- */

#define RECORDS(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

/* Methods of all three. */
#define ATTACHES                            \
    "_attach", metric_attach, METH_VARARGS, \
        "Makes the family in a store, and the series if there are label values. Raises what the store refuses."
#define REMOVES "_remove", metric_remove, METH_NOARGS, "Takes the series off the store."
#define DETACHES "_detach", metric_detach, METH_NOARGS, "Records nothing until the next fork."

static int add_class(PyObject *module, const char *name, const char *doc, PyMethodDef *methods)
{
    PyType_Slot slots[] = {
        { Py_tp_doc, (void *)(uintptr_t)doc },
        { Py_tp_new, (void *)metric_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)metric_free },
        { Py_tp_methods, methods },
        { 0, NULL },
    };
    PyType_Spec spec = { name, sizeof(struct metric), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return kvtel_python_add_type(module, &spec);
}

int kvtel_python_add_metric(PyObject *module)
{
    static PyMethodDef counter[] = {
        { "inc", RECORDS(counter_inc),
          "inc($self, amount=1, exemplar=None)\n--\n\nAdds to the counter. Raises ValueError for an amount below 0." },
        { ATTACHES },
        { REMOVES },
        { DETACHES },
        { NULL, NULL, 0, NULL },
    };
    static PyMethodDef gauge[] = {
        { "inc", RECORDS(gauge_inc), "inc($self, amount=1)\n--\n\nAdds to what this process set the gauge to." },
        { "dec", RECORDS(gauge_dec), "dec($self, amount=1)\n--\n\nSubtracts from what this process set the gauge to." },
        { "set", RECORDS(gauge_set), "set($self, value)\n--\n\nSets the gauge." },
        { "_only_set", metric_only_set, METH_NOARGS, "From now on inc() and dec() raise RuntimeError." },
        { ATTACHES },
        { REMOVES },
        { DETACHES },
        { NULL, NULL, 0, NULL },
    };
    static PyMethodDef histogram[] = {
        { "observe", RECORDS(histogram_observe),
          "observe($self, amount, exemplar=None)\n--\n\nCounts a value in its bucket. `exemplar`: a dict of labels." },
        { ATTACHES },
        { REMOVES },
        { DETACHES },
        { NULL, NULL, 0, NULL },
    };
    static bool watches;
    if (!watches && pthread_atfork(NULL, NULL, count_fork) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    watches = true;
    return add_class(module, "kvtel._kvtel._CounterSeries", "A counter's series.", counter) < 0 ||
                   add_class(module, "kvtel._kvtel._GaugeSeries", "A gauge's series.", gauge) < 0 ||
                   add_class(module, "kvtel._kvtel._HistogramSeries", "A histogram's series.", histogram) < 0
               ? -1
               : 0;
}
