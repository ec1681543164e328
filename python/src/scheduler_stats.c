/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel._kvtel.SchedulerStatsRecorder: the part of the plugin for vLLM that is called in every step of every engine. */
#include "prom.h"

struct recorder {
    PyObject_HEAD PyObject *prom; /* a Prom; NULL: there is nothing to record */
    PyObject *attribute;          /* "kv_connector_stats" */
    PyObject *engine_idx;         /* the name of an argument */
};

static void recorder_free(PyObject *object)
{
    struct recorder *self = (struct recorder *)object;
    Py_XDECREF(self->prom);
    Py_XDECREF(self->attribute);
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
    self->engine_idx = PyUnicode_InternFromString("engine_idx");
    if (!self->attribute || !self->engine_idx) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* Hands what was raised to the subclass. Nothing of it goes on to the caller, vLLM. */
static void report(PyObject *self, PyObject *stats, PyObject *engine)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *answer = PyObject_CallMethod(self, "_not_recorded", "OOO", error ? error : Py_None, stats ? stats : Py_None,
                                           engine ? engine : Py_None);
    if (!answer)
        PyErr_WriteUnraisable(self);
    Py_XDECREF(answer);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

static PyObject *scheduler_stats_of(PyObject *arguments, PyObject *keywords)
{
    if (Py_SIZE(arguments) > 0)
        return PyTuple_GetItem(arguments, 0);
    return keywords ? PyDict_GetItemString(keywords, "scheduler_stats") : NULL;
}

static PyObject *recorder_record(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    struct recorder *self = (struct recorder *)object;
    PyObject *scheduler_stats = self->prom ? scheduler_stats_of(arguments, keywords) : NULL;
    if (scheduler_stats && scheduler_stats != Py_None) {
        PyObject *index = Py_SIZE(arguments) > 3 ? PyTuple_GetItem(arguments, 3)
                          : keywords             ? PyDict_GetItem(keywords, self->engine_idx)
                                                 : NULL;
        uint32_t engine = 0;
        PyObject *stats = PyObject_GetAttr(scheduler_stats, self->attribute);
        if (!stats || (stats != Py_None && ((index && !kvtel_python_engine(index, &engine)) ||
                                            kvtel_python_prom_observe(self->prom, stats, engine) < 0)))
            report(object, stats, index);
        Py_XDECREF(stats);
    }
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

int kvtel_python_add_scheduler_stats(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "record", KVTEL_PYTHON_KEYWORDS(recorder_record),
          "record($self, scheduler_stats, iteration_stats=None, mm_cache_stats=None, engine_idx=0)\n--\n\n"
          "Records scheduler_stats.kv_connector_stats. Raises nothing: self._not_recorded(error, stats, engine_idx) is called "
          "instead." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "prom", get_prom, set_prom, "The Prom that payloads go to; None until it is set: they are not looked at.", NULL },
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
