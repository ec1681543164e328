/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel._kvtel.SchedulerStatsRecorder: the part of vLLM's plugin that is called in each step of each engine. */
#include "prom.h"

/* With this flag, neither a tuple nor a dict of arguments is made. The limited API defines the flag from 3.10 on,
 * but CPython 3.9 implements it, too. */
#ifndef METH_FASTCALL
#define METH_FASTCALL 0x0080
#endif

struct recorder {
    PyObject_HEAD PyObject *prom; /* a Prom; NULL: nothing can be recorded */
    PyObject *attribute;          /* "kv_connector_stats" */
    PyObject *scheduler_stats;    /* names of arguments */
    PyObject *engine_idx;
    bool takes; /* the subclass' _take() is called with stats and engine before the Prom */
};

static void recorder_free(PyObject *object)
{
    struct recorder *self = (struct recorder *)object;
    Py_XDECREF(self->prom);
    Py_XDECREF(self->attribute);
    Py_XDECREF(self->scheduler_stats);
    Py_XDECREF(self->engine_idx);
    kvtel_python_delete(object);
}

static PyObject *recorder_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    struct recorder *self = kvtel_python_new(type);
    (void)arguments;
    (void)keywords;
    if (!self)
        return NULL;
    self->attribute = PyUnicode_InternFromString("kv_connector_stats");
    self->scheduler_stats = PyUnicode_InternFromString("scheduler_stats");
    self->engine_idx = PyUnicode_InternFromString("engine_idx");
    if (!self->attribute || !self->scheduler_stats || !self->engine_idx) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* Passes an exception to the subclass, so that vLLM does not get it. Exceptions that are not errors
 * (KeyboardInterrupt, SystemExit) stay set for the caller; then the result is false. */
static bool report(PyObject *self, PyObject *stats, PyObject *engine)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return false;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *answer = PyObject_CallMethod(self, "_not_recorded", "OOO", error ? error : Py_None,
                                           stats ? stats : Py_None, engine ? engine : Py_None);
    if (!answer && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_WriteUnraisable(self);
    Py_XDECREF(answer);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return !PyErr_Occurred();
}

/* The argument at a place, or with a name. Borrowed; NULL: it was not given. */
static PyObject *argument(PyObject *const *arguments, Py_ssize_t count, PyObject *names, Py_ssize_t place,
                          PyObject *name)
{
    if (place < count)
        return arguments[place];
    for (Py_ssize_t i = 0; names && i < Py_SIZE(names); i++)
        if (PyUnicode_Compare(PyTuple_GetItem(names, i), name) == 0)
            return arguments[count + i];
    return NULL;
}

/* What _take() leaves of stats for the Prom: new reference; None: nothing. NULL: an exception. */
static PyObject *left_of(struct recorder *self, PyObject *stats, uint32_t engine)
{
    if (self->takes)
        return PyObject_CallMethod((PyObject *)self, "_take", "Ok", stats, (unsigned long)engine);
    Py_INCREF(stats);
    return stats;
}

/* 0 or -1. An engine that the Prom was not made for is an error that it does not count: the subclass has another. */
static int observe(struct recorder *self, PyObject **stats, uint32_t engine)
{
    PyObject *left = left_of(self, *stats, engine);
    if (!left)
        return -1;
    Py_DECREF(*stats);
    *stats = left;
    if (left == Py_None)
        return 0;
    if (kvtel_python_prom_is_of(self->prom, engine))
        return kvtel_python_prom_observe(self->prom, left, engine);
    kvtel_python_raise(KVTEL_E_ENGINE, NULL, NULL);
    return -1;
}

static PyObject *recorder_record(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    struct recorder *self = (struct recorder *)object;
    PyObject *scheduler_stats = self->prom ? argument(arguments, count, names, 0, self->scheduler_stats) : NULL;
    bool good = true;
    if (scheduler_stats && scheduler_stats != Py_None) {
        PyObject *index = argument(arguments, count, names, 3, self->engine_idx);
        if (!index && count == 3 && PyLong_Check(arguments[2])) /* older versions of vLLM do not pass mm_cache_stats */
            index = arguments[2];
        uint32_t engine = 0;
        PyObject *stats = PyObject_GetAttr(scheduler_stats, self->attribute);
        if (!stats || (stats != Py_None &&
                       ((index && !kvtel_python_engine(index, &engine)) || observe(self, &stats, engine) < 0)))
            good = report(object, stats, index);
        Py_XDECREF(stats);
    }
    if (!good)
        return NULL;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *get_prom(PyObject *object, void *unused)
{
    PyObject *prom = ((struct recorder *)object)->prom;
    (void)unused;
    prom = prom ? prom : Py_None;
    Py_INCREF(prom);
    return prom;
}

static int set_prom(PyObject *object, PyObject *prom, void *unused)
{
    struct recorder *self = (struct recorder *)object;
    int is_prom = prom ? kvtel_python_is(prom, "Prom") : 0;
    (void)unused;
    if (is_prom == 0)
        PyErr_SetString(PyExc_TypeError, "not a kvtel.Prom");
    if (is_prom <= 0)
        return -1;
    PyObject *old = self->prom;
    Py_INCREF(prom);
    self->prom = prom;
    Py_XDECREF(old);
    return 0;
}

static PyObject *get_takes(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct recorder *)object)->takes);
}

static int set_takes(PyObject *object, PyObject *takes, void *unused)
{
    int is = takes ? PyObject_IsTrue(takes) : 0;
    (void)unused;
    if (is < 0)
        return -1;
    ((struct recorder *)object)->takes = is != 0;
    return 0;
}

int kvtel_python_add_scheduler_stats(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "record", (PyCFunction)(void (*)(void))recorder_record, METH_FASTCALL | METH_KEYWORDS,
          "record($self, scheduler_stats, iteration_stats=None, mm_cache_stats=None, engine_idx=0)\n--\n\n"
          "Records scheduler_stats.kv_connector_stats. Raises nothing: self._not_recorded(error, stats, engine_idx) is "
          "called "
          "instead." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "prom", get_prom, set_prom, "The Prom that payloads go to; None until it is set: they are not looked at.",
          NULL },
        { "takes", get_takes, set_takes,
          "Whether self._take(stats, engine) is called first, which returns what of the stats is for the Prom; None: "
          "nothing.",
          NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc, "What vLLM calls in every step, for kvtel.vllm." },
        { Py_tp_new, (void *)recorder_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)recorder_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.SchedulerStatsRecorder", sizeof(struct recorder), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return kvtel_python_add_type(module, &spec);
}
