/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of all bindings: errors, arguments, warnings. */
#include "common.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PyObject *kvtel_python_support(const char *name, const char *format, ...)
{
    va_list list;
    PyObject *module = PyImport_ImportModule("kvtel._support");
    PyObject *function = module ? PyObject_GetAttrString(module, name) : NULL;
    va_start(list, format);
    PyObject *arguments = function ? Py_VaBuildValue(format, list) : NULL;
    va_end(list);
    PyObject *result = arguments ? PyObject_Call(function, arguments, NULL) : NULL;
    Py_XDECREF(arguments);
    Py_XDECREF(function);
    Py_XDECREF(module);
    return result;
}

static void *raise(int status, const char *message, const struct kvtel_error *error)
{
    PyObject *raised =
        kvtel_python_support("make_error", "(iskII)", status, message, error ? (unsigned long)error->offset : 0ul,
                             error ? error->line : 0u, error ? error->column : 0u);
    if (raised)
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_XDECREF(raised);
    return NULL;
}

void *kvtel_python_raise(enum kvtel_status status, const struct kvtel_error *error, const char *message)
{
    if (status == KVTEL_E_NOMEM)
        return PyErr_NoMemory();
    if (error)
        message = error->message;
    else if (!message)
        message = kvtel_status_text(status);
    return raise((int)status, message, error);
}

void *kvtel_python_raise_connector(const struct kvtel_connector *connector, const char *name)
{
    enum { UNKNOWN_CONNECTOR = 1 }; /* not a status of the library: _errors.py defines a class for it */
    char message[192];
    if (connector)
        snprintf(message, sizeof message, "%.100s: this connector has no stats", name);
    else
        snprintf(message, sizeof message, "unknown connector \"%.100s\"", name);
    return raise(connector ? (int)KVTEL_E_NO_STATS : UNKNOWN_CONNECTOR, message, NULL);
}

PyObject *kvtel_python_class(const char *name)
{
    PyObject *module = PyImport_ImportModule("kvtel._kvtel");
    PyObject *class = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return class;
}

int kvtel_python_is(PyObject *object, const char *class_name)
{
    PyObject *class = kvtel_python_class(class_name);
    if (!class)
        return -1;
    int is = PyType_IsSubtype(Py_TYPE(object), (PyTypeObject *)class);
    Py_DECREF(class);
    return is;
}

void *kvtel_python_new(PyTypeObject *type)
{
    return ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
}

void kvtel_python_delete(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

int kvtel_python_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    (void)self;
    (void)arguments;
    (void)keywords;
    return 0;
}

int kvtel_python_add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    if (!type || PyModule_AddObject(module, strrchr(spec->name, '.') + 1, type) < 0) {
        Py_XDECREF(type);
        return -1;
    }
    return 0;
}

int kvtel_python_config(PyObject *object, struct kvtel_transfer_config **config)
{
    char *json;
    Py_ssize_t size;
    int cache_metrics, result = -1;
    *config = NULL;
    PyObject *answer =
        kvtel_python_support("config_of", "(O)", object); /* (JSON as bytes or None, --kv-cache-metrics) */
    if (!answer)
        return -1;
    PyObject *text = PyTuple_GetItem(answer, 0), *on = PyTuple_GetItem(answer, 1);
    if (text == Py_None) {
        result = 0;
    } else if (text && on && (cache_metrics = PyObject_IsTrue(on)) >= 0 &&
               PyBytes_AsStringAndSize(text, &json, &size) == 0) {
        struct kvtel_error error;
        enum kvtel_status status = kvtel_transfer_config_parse(KVTEL_JSON, json, (size_t)size, config, &error);
        if (status == KVTEL_OK) {
            kvtel_transfer_config_set_cache_metrics(*config, cache_metrics);
            result = 0;
        } else {
            kvtel_python_raise(status, &error, NULL);
        }
    }
    Py_DECREF(answer);
    return result;
}

const char *kvtel_python_text(PyObject *object, PyObject **holder)
{
    char *text;
    *holder = NULL;
    if (!PyUnicode_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a str is wanted");
        return NULL;
    }
    PyObject *bytes = PyUnicode_AsUTF8String(object);
    if (!bytes || PyBytes_AsStringAndSize(bytes, &text, NULL) < 0) {
        Py_XDECREF(bytes);
        return NULL;
    }
    *holder = bytes;
    return text;
}

int kvtel_python_texts(PyObject *sequence, struct kvtel_python_texts *texts)
{
    Py_ssize_t count = PySequence_Size(sequence);
    *texts = (struct kvtel_python_texts){ 0 };
    if (count < 0)
        return -1;
    texts->texts = PyMem_Calloc((size_t)count + 1, sizeof *texts->texts);
    texts->holders = PyMem_Calloc((size_t)count + 1, sizeof *texts->holders);
    if (!texts->texts || !texts->holders) {
        kvtel_python_texts_free(texts);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_GetItem(sequence, i);
        PyObject *text = item ? PyObject_Str(item) : NULL;
        Py_XDECREF(item);
        texts->texts[i] = text ? kvtel_python_text(text, &texts->holders[i]) : NULL;
        Py_XDECREF(text);
        if (!texts->texts[i]) {
            kvtel_python_texts_free(texts);
            return -1;
        }
        texts->count++;
    }
    return 0;
}

void kvtel_python_texts_free(struct kvtel_python_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        Py_XDECREF(texts->holders[i]);
    PyMem_Free((void *)texts->texts);
    PyMem_Free((void *)texts->holders);
    *texts = (struct kvtel_python_texts){ 0 };
}

bool kvtel_python_is_wrong_value(void)
{
    if (!PyErr_Occurred())
        return true;
    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_OverflowError))
        return false;
    PyErr_Clear();
    return true;
}

int kvtel_python_uint64(PyObject *object, uint64_t *out)
{
    PyObject *integer = PyNumber_Index(object);
    *out = integer ? PyLong_AsUnsignedLongLong(integer) : 0;
    Py_XDECREF(integer);
    return PyErr_Occurred() ? -1 : 0;
}

int kvtel_python_engine(PyObject *object, void *engine)
{
    long long number = PyLong_AsLongLong(object);
    if (number == -1 && PyErr_Occurred())
        return 0;
    if (number < 0 || number > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "not a number from 0 to 4294967295");
        return 0;
    }
    *(uint32_t *)engine = (uint32_t)number;
    return 1;
}

static const char *const transfer_names[] = { "duration_ns",  "post_ns",   "bytes",         "descriptors", "failed",
                                              "submitted_ns", "posted_ns", "first_byte_ns", "done_ns" };

static uint64_t *transfer_member(struct kvtel_transfer *transfer, size_t i)
{
    uint64_t *const members[] = { &transfer->duration_ns, &transfer->post_ns,       &transfer->bytes,
                                  &transfer->descriptors, &transfer->failed,        &transfer->submitted_ns,
                                  &transfer->posted_ns,   &transfer->first_byte_ns, &transfer->done_ns };
    return members[i];
}

/* Reads a number of a transfer. A negative or huge one does not raise, because recording must not fail when two
 * clocks disagree. */
static int set_number(PyObject *value, uint64_t *number)
{
    if (kvtel_python_uint64(value, number) == 0)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_OverflowError))
        return -1;
    PyErr_Clear();
    *number = UINT64_MAX;
    return 0;
}

static int set_member(PyObject *key, PyObject *value, struct kvtel_transfer *transfer)
{
    for (size_t i = 0; i < sizeof transfer_names / sizeof *transfer_names; i++)
        if (PyUnicode_CompareWithASCIIString(key, transfer_names[i]) == 0)
            return value == Py_None ? 0 : set_number(value, transfer_member(transfer, i));
    PyErr_Format(PyExc_TypeError, "%R is not a part of a transfer", key);
    return -1;
}

int kvtel_python_transfer(PyObject *arguments, PyObject *keywords, const char *name, PyObject **first,
                          struct kvtel_transfer *transfer)
{
    Py_ssize_t given = PyTuple_Size(arguments), at = 0;
    PyObject *key, *value;
    *transfer =
        (struct kvtel_transfer){ KVTEL_UNMEASURED, KVTEL_UNMEASURED, KVTEL_UNMEASURED, KVTEL_UNMEASURED, .failed = 0 };
    if (given > (name ? 1 : 0)) {
        PyErr_SetString(PyExc_TypeError, "the parts of a transfer are given by name");
        return -1;
    }
    if (name)
        *first = given == 1 ? PyTuple_GetItem(arguments, 0) : NULL;
    while (keywords && PyDict_Next(keywords, &at, &key, &value))
        if (name && !*first && PyUnicode_CompareWithASCIIString(key, name) == 0)
            *first = value;
        else if (set_member(key, value, transfer) < 0)
            return -1;
    if (name && *first == Py_None)
        *first = NULL;
    return 0;
}

int kvtel_python_failure(PyObject *label, enum kvtel_failure *failure)
{
    for (int i = 0; PyUnicode_Check(label) && i < KVTEL_FAILURE_COUNT; i++)
        if (PyUnicode_CompareWithASCIIString(label, kvtel_failure_label((enum kvtel_failure)i)) == 0) {
            *failure = (enum kvtel_failure)i;
            return 0;
        }
    kvtel_python_raise(KVTEL_E_UNKNOWN, NULL, "no such class of failure");
    return -1;
}

static void remember(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct kvtel_python_warnings *warnings = context;
    (void)reason;
    (void)subject;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
    if (!warnings->pending)
        warnings->pending = PyList_New(0);
    if (!text || !warnings->pending || PyList_Append(warnings->pending, text) < 0)
        PyErr_Clear();
    Py_XDECREF(text);
    PyErr_Restore(type, value, traceback);
}

int kvtel_python_warnings_init(struct kvtel_python_warnings *warnings)
{
    warnings->pending = NULL;
    warnings->diagnostics = kvtel_diagnostics_create(remember, warnings);
    if (!warnings->diagnostics)
        PyErr_NoMemory();
    return warnings->diagnostics ? 0 : -1;
}

void kvtel_python_warnings_close(struct kvtel_python_warnings *warnings)
{
    kvtel_diagnostics_destroy(warnings->diagnostics);
    Py_XDECREF(warnings->pending);
}

void kvtel_python_warnings_say(struct kvtel_python_warnings *warnings)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *pending = warnings->pending;
    warnings->pending = NULL;
    PyObject *said = kvtel_python_support("warn", "(O)", pending);
    if (!said)
        PyErr_WriteUnraisable(NULL);
    Py_XDECREF(said);
    Py_DECREF(pending);
    PyErr_Restore(type, value, traceback);
}

PyObject *kvtel_python_refused(const struct kvtel_python_warnings *warnings)
{
    PyObject *counts = PyDict_New();
    for (int reason = 0; counts && reason < KVTEL_REFUSAL_COUNT; reason++) {
        uint64_t count = kvtel_diagnostics_count(warnings->diagnostics, (enum kvtel_refusal)reason);
        PyObject *number = count > 0 ? PyLong_FromUnsignedLongLong(count) : NULL;
        if (count > 0 &&
            (!number || PyDict_SetItemString(counts, kvtel_refusal_label((enum kvtel_refusal)reason), number) < 0)) {
            Py_DECREF(counts);
            counts = NULL;
        }
        Py_XDECREF(number);
    }
    return counts;
}
