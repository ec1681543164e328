/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Logging: vLLM's KVConnectorLogging. */
#include "base/diagnostics.h"
#include "stats.h"

#include <string.h>

struct logging {
    PyObject_HEAD struct kvtel_transfer_config *config; /* NULL: no connector is configured */
    struct kvtel_logging *logging;
    struct kvtel_stats *payload; /* NULL: the connector does not report stats */
    struct kvtel_python_keys keys;
    struct kvtel_python_warnings warnings;
    bool is_vllm;
};

static const char prefix[] = "KV Transfer metrics: ";

static void logging_free(PyObject *object)
{
    struct logging *self = (struct logging *)object;
    kvtel_stats_destroy(self->payload);
    kvtel_logging_destroy(self->logging);
    kvtel_transfer_config_destroy(self->config);
    kvtel_python_warnings_close(&self->warnings);
    kvtel_python_keys_close(&self->keys);
    kvtel_python_delete(object);
}

static int start(struct logging *self, PyObject *config)
{
    if (kvtel_python_warnings_init(&self->warnings) < 0 || kvtel_python_config(config, &self->config) < 0)
        return -1;
    if (!self->config)
        return 0;
    self->logging = kvtel_logging_create(self->config, self->is_vllm ? KVTEL_LOG_VLLM : KVTEL_LOG_DEFAULT,
                                         self->warnings.diagnostics);
    const struct kvtel_connector *table = kvtel_connector_open(kvtel_transfer_config_connector_name(self->config));
    if (self->logging && table)
        self->payload = kvtel_stats_create(table, self->warnings.diagnostics);
    if (self->logging && (self->payload || !table))
        return 0;
    PyErr_NoMemory();
    return -1;
}

static PyObject *logging_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "kv_transfer_config", "style", NULL };
    PyObject *config;
    const char *style = "vllm";
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s:Logging", names, &config, &style))
        return NULL;
    if (strcmp(style, "vllm") != 0 && strcmp(style, "default") != 0)
        return kvtel_python_raise(KVTEL_E_ARGUMENT, NULL, "the style is neither \"vllm\" nor \"default\"");
    struct logging *self = kvtel_python_new(type);
    if (!self)
        return NULL;
    self->is_vllm = strcmp(style, "vllm") == 0;
    if (start(self, config) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *logging_observe(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "transfer_stats_data", "engine_idx", "ranks", NULL };
    struct logging *self = (struct logging *)object;
    struct kvtel_observation observation = { 0 };
    PyObject *payload;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O&O&:observe", names, &payload, kvtel_python_engine,
                                     &observation.engine, kvtel_python_engine, &observation.ranks))
        return NULL;
    if (!self->payload) {
        if (self->config) {
            const char *name = kvtel_transfer_config_connector_name(self->config);
            kvtel_diagnostics_refuse(self->warnings.diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, name,
                                     "%.64s: this connector is unknown; nothing is logged", name);
        }
    } else {
        int decoded = kvtel_python_decode_passing(self->payload, &self->keys, payload);
        enum kvtel_status status =
            decoded == 0 ? kvtel_logging_observe(self->logging, self->payload, &observation) : KVTEL_OK;
        if (decoded < 0) {
            kvtel_python_warnings_flush(&self->warnings);
            return NULL;
        }
        if (status != KVTEL_OK)
            return kvtel_python_raise(status, NULL, NULL);
    }
    kvtel_python_warnings_flush(&self->warnings);
    Py_INCREF(Py_None);
    return Py_None;
}

static void keep_line(void *lines, const char *line)
{
    PyObject *text = PyUnicode_DecodeUTF8(line, (Py_ssize_t)strlen(line), "replace");
    if (text && !PyErr_Occurred())
        (void)PyList_Append(lines, text);
    Py_XDECREF(text);
}

/* Logs a line in vLLM's way: the log function gets a format and one argument. */
static PyObject *say(const struct logging *self, PyObject *log_fn, PyObject *line)
{
    if (!self->is_vllm)
        return PyObject_CallFunction(log_fn, "sO", "%s", line);
    Py_ssize_t skip = (Py_ssize_t)strlen(prefix);
    PyObject *rest = PySequence_GetSlice(line, skip, PySequence_Size(line));
    PyObject *said = rest ? PyObject_CallFunction(log_fn, "sO", "KV Transfer metrics: %s", rest) : NULL;
    Py_XDECREF(rest);
    return said;
}

static PyObject *logging_log(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "log_fn", "interval_seconds", NULL };
    struct logging *self = (struct logging *)object;
    PyObject *log_fn = Py_None, *lines;
    double interval = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|Od:log", names, &log_fn, &interval) ||
        !(lines = PyList_New(0)))
        return NULL;
    enum kvtel_status status = self->logging ? kvtel_logging_log(self->logging, interval, keep_line, lines) : KVTEL_OK;
    if (status != KVTEL_OK)
        kvtel_python_raise(status, NULL, NULL);
    PyObject *function = status != KVTEL_OK || PyErr_Occurred() ? NULL
                         : log_fn == Py_None                    ? kvtel_python_support("default_log", "()")
                                                                : log_fn;
    if (function == log_fn)
        Py_XINCREF(function);
    bool failed = !function;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(lines); i++) {
        PyObject *said = say(self, function, PyList_GetItem(lines, i));
        failed = !said;
        Py_XDECREF(said);
    }
    Py_XDECREF(function);
    Py_DECREF(lines);
    if (failed)
        return NULL;
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *logging_reset(PyObject *object, PyObject *unused)
{
    struct logging *self = (struct logging *)object;
    (void)unused;
    if (self->logging)
        kvtel_logging_reset(self->logging);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *get_refused(PyObject *self, void *unused)
{
    (void)unused;
    return kvtel_python_refused(&((struct logging *)self)->warnings);
}

int kvtel_python_add_logging(PyObject *module)
{
    static PyMethodDef methods[] = {
        { "observe", KVTEL_PYTHON_KEYWORDS(logging_observe),
          "observe($self, transfer_stats_data, engine_idx=0, ranks=0)\n--\n\n"
          "Adds a payload (a dict, or MessagePack as bytes) to the interval. ranks: workers it was aggregated from, 0 "
          "not "
          "known.\n\n"
          "Raises DecodeError, WrongTypeError. An unknown connector, or one without stats, is warned about "
          "once." },
        { "log", KVTEL_PYTHON_KEYWORDS(logging_log),
          "log($self, log_fn=None, interval_seconds=0)\n--\n\n"
          "Ends the interval: calls log_fn(format, text) for each line (none when nothing was observed), and "
          "resets.\n\n"
          "log_fn: None is logging.getLogger('kvtel').info. interval_seconds: wall-clock length, for style "
          "'default'." },
        { "reset", logging_reset, METH_NOARGS, "reset($self)\n--\n\nForgets the interval without a line." },
        { NULL, NULL, 0, NULL },
    };
    static PyGetSetDef members[] = {
        { "refused", get_refused, NULL, "What could not be used: {reason: count}.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
    };
    static PyType_Slot slots[] = {
        { Py_tp_doc,
          "Logging(kv_transfer_config, style='vllm')\n--\n\nvLLM's KVConnectorLogging: the log line of an interval.\n\n"
          "kv_transfer_config: vLLM's KVTransferConfig or VllmConfig, a dict, JSON, a connector's name, or None "
          "(nothing is "
          "logged).\n"
          "style: 'vllm' is vLLM's line to the letter; 'default' a line per connector and engine with quantiles and "
          "failures.\n\n"
          "Raises DecodeError, WrongTypeError (the configuration), ArgumentError (the style)." },
        { Py_tp_new, (void *)logging_new },
        { Py_tp_init, (void *)kvtel_python_init },
        { Py_tp_dealloc, (void *)logging_free },
        { Py_tp_methods, methods },
        { Py_tp_getset, members },
        { 0, NULL },
    };
    static PyType_Spec spec = { "kvtel._kvtel.Logging", sizeof(struct logging), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    return kvtel_python_add_type(module, &spec);
}
