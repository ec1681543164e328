/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: the labels of one from a dict, and those of a store as Python objects. */
#include "store.h"

#include <string.h>

/* Labels that cannot be taken are left out: a request's header must not make recording fail. */
int kvtel_python_exemplar(PyObject *labels, struct kvtel_exemplar *exemplar)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    *exemplar = (struct kvtel_exemplar){ 0 };
    if (!labels || !PyDict_Check(labels)) {
        PyErr_SetString(PyExc_TypeError, "exemplar is not a dict of texts");
        return -1;
    }
    while (PyDict_Next(labels, &at, &key, &value)) {
        PyObject *key_holder = NULL, *value_holder = NULL;
        const char *name = kvtel_python_text(key, &key_holder);
        const char *text = name ? kvtel_python_text(value, &value_holder) : NULL;
        if (text)
            (void)kvtel_exemplar_add(exemplar, name, text);
        Py_XDECREF(key_holder);
        Py_XDECREF(value_holder);
        if (!text)
            return -1;
    }
    return 0;
}

int kvtel_python_transfer_exemplar(PyObject *arguments, PyObject *keywords, struct kvtel_transfer *transfer,
                                   struct kvtel_exemplar *exemplar)
{
    PyObject *labels = NULL;
    if (kvtel_python_transfer(arguments, keywords, "exemplar", &labels, transfer) < 0)
        return -1;
    return kvtel_python_exemplar(labels, exemplar);
}

PyObject *kvtel_python_trace_labels(PyObject *self, PyObject *traceparent)
{
    struct kvtel_exemplar exemplar = { 0 };
    PyObject *holder = NULL;
    (void)self;
    const char *text = kvtel_python_text(traceparent, &holder);
    bool good = text && kvtel_exemplar_add_traceparent(&exemplar, text);
    Py_XDECREF(holder);
    if (!text)
        return NULL;
    if (!good)
        return PyDict_New();
    const char *trace = exemplar.text + sizeof "trace_id", *span_name = trace + strlen(trace) + 1;
    return Py_BuildValue("{ssss}", "trace_id", trace, "span_id", span_name + sizeof "span_id");
}

static int append(PyObject *list, PyObject *item)
{
    int result = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return result;
}

static PyObject *to_labels(const struct kvtel_snapshot_exemplar *exemplar)
{
    PyObject *labels = PyDict_New();
    const char *name;
    for (size_t i = 0; labels && (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        PyObject *value = PyUnicode_FromString(kvtel_snapshot_exemplar_label(exemplar, i));
        if (!value || PyDict_SetItemString(labels, name, value) < 0)
            Py_CLEAR(labels);
        Py_XDECREF(value);
    }
    return labels;
}

static PyObject *to_values(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    const size_t count = kvtel_snapshot_label_count(family);
    PyObject *values = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; values && i < count; i++) {
        PyObject *value = PyUnicode_FromString(kvtel_snapshot_label(series, i));
        if (!value || PyTuple_SetItem(values, (Py_ssize_t)i, value) < 0)
            Py_CLEAR(values);
    }
    return values;
}

/* Appends the exemplars of a series. 0; -1: an exception. */
static int append_series(PyObject *list, const struct kvtel_snapshot_family *family,
                         const struct kvtel_snapshot_series *series)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i <= kvtel_snapshot_bound_count(family); i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        PyObject *values = exemplar ? to_values(family, series) : NULL, *labels = values ? to_labels(exemplar) : NULL;
        if (labels)
            result =
                append(list, Py_BuildValue("(sNddKN)", kvtel_snapshot_name(family), values,
                                           kvtel_snapshot_bound(family, i), kvtel_snapshot_exemplar_value(exemplar),
                                           (unsigned long long)kvtel_snapshot_exemplar_time_ns(exemplar), labels));
        else if (exemplar) {
            Py_XDECREF(values);
            result = -1;
        }
    }
    return result;
}

PyObject *kvtel_python_exemplars(const struct kvtel_snapshot *snapshot)
{
    PyObject *list = PyList_New(0);
    for (size_t f = 0; list && f < kvtel_snapshot_family_count(snapshot); f++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
        for (size_t i = 0; list && i < kvtel_snapshot_series_count(family); i++)
            if (append_series(list, family, kvtel_snapshot_series(family, i)) < 0)
                Py_CLEAR(list);
    }
    return list;
}
