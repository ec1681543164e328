/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Transfer: a transfer that was begun. */
#include "open.h"
#include "store.h"

struct transfer {
    PyObject_HEAD PyObject *recorder;
    struct kvtel_transfer_token token;
    bool ended; /* end() or fail() was called */
};

/* A number of nanoseconds or bytes; None: 0, which stands for "not known". 0; -1: an exception. */
static int read_number(PyObject *object, uint64_t *number)
{
    *number = 0;
    return !object || object == Py_None ? 0 : kvtel_python_uint64(object, number);
}

PyObject *kvtel_python_begin(PyObject *recorder, struct kvtel_store *store, const struct kvtel_operation *operation,
                             PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "bytes", "peer", "began_ns", NULL };
    struct kvtel_transfer_start start = { 0 };
    PyObject *bytes = NULL, *began = NULL;
    const char *peer = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OzO:begin", names, &bytes, &peer, &began) ||
        read_number(bytes, &start.bytes) < 0 || read_number(began, &start.began_ns) < 0)
        return NULL;
    PyObject *class = kvtel_python_class("Transfer");
    struct transfer *self = class ? kvtel_python_new((PyTypeObject *)class) : NULL;
    Py_XDECREF(class);
    if (!self)
        return NULL;
    Py_INCREF(recorder);
    self->recorder = recorder;
    start.peer = kvtel_store_peer(store, peer);
    self->token = kvtel_transfer_begin(operation, &start);
    return (PyObject *)self;
}

static void transfer_free(PyObject *object)
{
    Py_XDECREF(((struct transfer *)object)->recorder);
    kvtel_python_delete(object);
}

static PyObject *transfer_end(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    struct kvtel_transfer transfer;
    if (kvtel_python_transfer(arguments, keywords, NULL, NULL, &transfer) < 0)
        return NULL;
    ((struct transfer *)object)->ended = true;
    return PyBool_FromLong(kvtel_transfer_end(&((struct transfer *)object)->token, &transfer));
}

/* With wrong arguments the transfer stays open. */
static PyObject *transfer_end_exemplar(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    struct transfer *self = (struct transfer *)object;
    struct kvtel_transfer transfer;
    struct kvtel_exemplar exemplar;
    if (kvtel_python_transfer_exemplar(arguments, keywords, &transfer, &exemplar) < 0)
        return NULL;
    self->ended = true;
    return PyBool_FromLong(kvtel_transfer_end_exemplar(&self->token, &transfer, &exemplar));
}

static PyObject *transfer_fail(PyObject *object, PyObject *arguments)
{
    enum kvtel_failure failure = KVTEL_FAILED_TRANSFER;
    PyObject *label = NULL;
    if (!PyArg_ParseTuple(arguments, "|O:fail", &label) || (label && kvtel_python_failure(label, &failure) < 0))
        return NULL;
    ((struct transfer *)object)->ended = true;
    return PyBool_FromLong(kvtel_transfer_fail(&((struct transfer *)object)->token, failure));
}

static PyObject *transfer_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    Py_INCREF(object);
    return object;
}

/* Ends the transfer unless the block did so. */
static PyObject *transfer_exit(PyObject *object, PyObject *arguments)
{
    struct transfer *self = (struct transfer *)object;
    PyObject *type = NULL, *value, *traceback;
    if (!PyArg_ParseTuple(arguments, "OOO:__exit__", &type, &value, &traceback))
        return NULL;
    if (!self->ended && type == Py_None)
        (void)kvtel_transfer_end(&self->token, NULL);
    else if (!self->ended)
        (void)kvtel_transfer_fail(&self->token, KVTEL_FAILED_TRANSFER);
    self->ended = true;
    Py_INCREF(Py_False);
    return Py_False;
}

#define END_ARGUMENTS                                                                \
    "*, duration_ns=None, post_ns=None, bytes=None, descriptors=None, failed=None, " \
    "submitted_ns=None, posted_ns=None, first_byte_ns=None, done_ns=None)\n--\n\n"

int kvtel_python_add_open(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "end", KVTEL_PYTHON_KEYWORDS(transfer_end),
          "end($self, " END_ARGUMENTS
          "Ends a transfer that is complete and records it. What is None is known from the begin: the duration is up "
          "to now, the\nbytes are those of the begin. Returns whether it was recorded; False: it had ended before, or "
          "a number is not\na measurement." },
        { "end_exemplar", KVTEL_PYTHON_KEYWORDS(transfer_end_exemplar),
          "end_exemplar($self, exemplar, " END_ARGUMENTS
          "As end, and leaves the transfer as an exemplar, as Operation.record_exemplar() does." },
        { "fail", transfer_fail, METH_VARARGS,
          "fail($self, failure='transfer', /)\n--\n\nEnds a transfer that failed, and counts it, by the names of "
          "Stats.record_failure().\n\nReturns whether it was counted. Raises UnknownNameError for no such class." },
        { "__enter__", transfer_enter, METH_NOARGS, "The transfer itself." },
        { "__exit__", transfer_exit, METH_VARARGS, "Ends the transfer, or fails it if the block raised." },
        { NULL, NULL, 0, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc, "A transfer that was begun, made by Operation.begin() or Recorder.begin()." },
        { Py_tp_dealloc, (void *)transfer_free },
        { Py_tp_methods, methods },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.Transfer", sizeof(struct transfer), 0, Py_TPFLAGS_DEFAULT, slots };
    return kvtel_python_add_type(module, &spec);
}
