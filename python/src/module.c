/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel._kvtel: the extension module. */
#include "store.h"

#include <kvtel/connector_file.h>

static PyObject *connectors(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names && kvtel_connector_at(i); i++)
        for (const struct kvtel_connector_name *name = kvtel_connector_at(i)->names; names && name->name; name++) {
            PyObject *text = PyUnicode_FromString(name->name);
            if (!text || PyList_Append(names, text) < 0) {
                Py_DECREF(names);
                names = NULL;
            }
            Py_XDECREF(text);
        }
    return names;
}

static PyObject *load_connector(PyObject *module, PyObject *path)
{
    struct kvtel_error error;
    PyObject *bytes;
    (void)module;
    if (!PyUnicode_FSConverter(path, &bytes))
        return NULL;
    enum kvtel_status status = kvtel_connector_load(PyBytes_AsString(bytes), true, &error);
    Py_DECREF(bytes);
    if (status != KVTEL_OK)
        return kvtel_python_raise(status, &error, NULL);
    Py_INCREF(Py_None);
    return Py_None;
}

static void keep_failure(void *messages, const char *file, const struct kvtel_error *error)
{
    PyObject *text = PyUnicode_FromFormat("%s:%u:%u: %s", file, error->line, error->column, error->message);
    if (!text || PyList_Append(messages, text) < 0)
        PyErr_Clear();
    Py_XDECREF(text);
}

static PyObject *load_connector_path(PyObject *module, PyObject *unused)
{
    PyObject *messages = PyList_New(0);
    (void)module;
    (void)unused;
    if (messages)
        (void)kvtel_connector_load_path(NULL, keep_failure, messages);
    return messages;
}

static PyObject *now_ns(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(kvtel_now_ns());
}

static PyObject *default_dir(PyObject *module, PyObject *unused)
{
    char path[4096];
    (void)module;
    (void)unused;
    size_t size = kvtel_store_default_dir(NULL, path, sizeof path);
    return size > 0 ? PyUnicode_DecodeFSDefaultAndSize(path, (Py_ssize_t)size)
                    : kvtel_python_raise(KVTEL_E_LIMIT, NULL, NULL);
}

static int execute(PyObject *module)
{
    if (PyModule_AddStringConstant(module, "__version__", kvtel_version()) < 0)
        return -1;
    static int (*const add[])(PyObject *) = {
        kvtel_python_add_stats, kvtel_python_add_logging, kvtel_python_add_store,           kvtel_python_add_recorder,
        kvtel_python_add_open,  kvtel_python_add_prom,    kvtel_python_add_scheduler_stats, kvtel_python_add_metric
    };
    for (size_t i = 0; i < sizeof add / sizeof *add; i++)
        if (add[i](module) < 0)
            return -1;
    return 0;
}

PyMODINIT_FUNC PyInit__kvtel(void);

PyMODINIT_FUNC PyInit__kvtel(void)
{
    static PyMethodDef methods[] = {
        { "connectors", connectors, METH_NOARGS, "Names of all connectors that are known." },
        { "load_connector", load_connector, METH_O,
          "load_connector($module, path, /)\n--\n\n"
          "Adds the tables of a connector file for the life of the process.\n\n"
          "Raises DecodeError, WrongTypeError, ArgumentError, LimitError, StoreError (the file cannot be read)." },
        { "_load_connector_path", load_connector_path, METH_NOARGS,
          "Loads the files of $KVTEL_CONNECTOR_PATH. Returns what is wrong with those that could not be loaded." },
        { "now_ns", now_ns, METH_NOARGS, "CLOCK_MONOTONIC in nanoseconds." },
        { "trace_labels", kvtel_python_trace_labels, METH_O,
          "trace_labels(traceparent, /)\n--\n\nLabels of an exemplar from a W3C traceparent: trace_id and span_id; {} "
          "for a malformed one." },
        { "default_dir", default_dir, METH_NOARGS,
          "The directory in which Store.open() makes its file: $KVTEL_STORE_DIR, else kvtel-UID in shared memory." },
        { NULL, NULL, 0, NULL },
    };
    static PyModuleDef_Slot slots[] = { { Py_mod_exec, (void *)execute }, { 0, NULL } };
    static PyModuleDef definition = {
        .m_base = PyModuleDef_HEAD_INIT,
        .m_name = "kvtel._kvtel",
        .m_doc = "Native part of kvtel.",
        .m_methods = methods,
        .m_slots = slots,
    };
    return PyModuleDef_Init(&definition);
}
