/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that are Python objects. */
#include "metric_types.h"

#include <string.h>

static PyObject *to_list(const char *const *texts, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *text = PyUnicode_DecodeUTF8(texts[i], (Py_ssize_t)strlen(texts[i]), "replace");
        if (!text || PyList_SetItem(list, (Py_ssize_t)i, text) < 0) {
            Py_DECREF(list);
            list = NULL;
        }
    }
    return list;
}

static PyObject *to_bounds(const struct kvtel_buckets *buckets)
{
    PyObject *list = PyList_New((Py_ssize_t)buckets->count);
    for (size_t i = 0; list && i < buckets->count; i++) {
        PyObject *bound = PyFloat_FromDouble(buckets->bounds[i]);
        if (!bound || PyList_SetItem(list, (Py_ssize_t)i, bound) < 0) {
            Py_DECREF(list);
            list = NULL;
        }
    }
    return list;
}

/* Calls a metric's class with the arguments that vLLM's connectors pass. */
static PyObject *call_class(PyObject *class, const struct kvtel_family_spec *spec)
{
    PyObject *labelnames = to_list(spec->labelnames, spec->label_count);
    if (!labelnames)
        return NULL;
    PyObject *keywords = Py_BuildValue("{ss,ss,sN}", "name", spec->name, "documentation", spec->help ? spec->help : "",
                                       "labelnames", labelnames);
    PyObject *extra = spec->type == KVTEL_GAUGE       ? PyUnicode_FromString("mostrecent")
                      : spec->type == KVTEL_HISTOGRAM ? to_bounds(spec->buckets)
                                                      : NULL;
    const char *extra_name = spec->type == KVTEL_GAUGE ? "multiprocess_mode" : "buckets";
    PyObject *arguments = PyTuple_New(0), *made = NULL;
    if (keywords && arguments && !PyErr_Occurred() &&
        (!extra || PyDict_SetItemString(keywords, extra_name, extra) == 0))
        made = PyObject_Call(class, arguments, keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(extra);
    Py_XDECREF(keywords);
    return made;
}

static enum kvtel_status make_family(void *context, const struct kvtel_family_spec *spec, void **family)
{
    struct kvtel_python_types *types = context;
    if (PyErr_Occurred())
        return KVTEL_E_ARGUMENT;
    PyObject *found = PyDict_GetItemString(types->families, spec->name);
    if (!found) {
        PyObject *made = call_class(types->classes[spec->type], spec);
        if (!made || PyDict_SetItemString(types->families, spec->name, made) < 0) {
            Py_XDECREF(made);
            return KVTEL_E_ARGUMENT;
        }
        found = made;
        Py_DECREF(made);
    }
    *family = found;
    return KVTEL_OK;
}

static enum kvtel_status make_child(void *context, void *family, const char *const *values, size_t count, void **child)
{
    struct kvtel_python_types *types = context;
    if (PyErr_Occurred())
        return KVTEL_E_ARGUMENT;
    PyObject *list = to_list(values, count), *labels = list ? PyObject_GetAttrString(family, "labels") : NULL;
    PyObject *arguments = labels ? PyList_AsTuple(list) : NULL;
    PyObject *made = arguments ? PyObject_Call(labels, arguments, NULL) : NULL;
    PyObject *address = made ? PyLong_FromVoidPtr(made) : NULL;
    bool kept = address && PyDict_SetItem(types->children, address, made) == 0;
    if (kept)
        *child = made;
    Py_XDECREF(address);
    Py_XDECREF(made);
    Py_XDECREF(arguments);
    Py_XDECREF(labels);
    Py_XDECREF(list);
    return kept ? KVTEL_OK : KVTEL_E_ARGUMENT;
}

static void call(PyObject *child, const char *method, double value)
{
    if (PyErr_Occurred())
        return;
    PyObject *answer = PyObject_CallMethod(child, method, "d", value);
    Py_XDECREF(answer);
}

static void increase(void *context, void *child, double amount)
{
    (void)context;
    call(child, "inc", amount);
}

static void set(void *context, void *child, double value)
{
    (void)context;
    call(child, "set", value);
}

static void observe(void *context, void *child, const double *values, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        call(child, "observe", values[i]);
}

int kvtel_python_types_init(struct kvtel_python_types *types, PyObject *metric_types, struct kvtel_metric_types *vtable)
{
    PyObject *classes = kvtel_python_support("metric_classes", "(O)", metric_types);
    if (!classes)
        return -1;
    int parsed = PyArg_ParseTuple(classes, "OOO", &types->classes[KVTEL_COUNTER], &types->classes[KVTEL_GAUGE],
                                  &types->classes[KVTEL_HISTOGRAM]);
    for (size_t i = 0; parsed && i < 3; i++)
        Py_INCREF(types->classes[i]);
    Py_DECREF(classes);
    types->families = PyDict_New();
    types->children = PyDict_New();
    if (!parsed || !types->families || !types->children)
        return -1;
    *vtable = (struct kvtel_metric_types){
        .context = types,
        .family = make_family,
        .child = make_child,
        .increase = increase,
        .set = set,
        .observe = observe,
    };
    return 0;
}

void kvtel_python_types_close(struct kvtel_python_types *types)
{
    for (size_t i = 0; i < 3; i++)
        Py_XDECREF(types->classes[i]);
    Py_XDECREF(types->families);
    Py_XDECREF(types->children);
}
