/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of all bindings. They are called with the GIL. The module has no global state: classes are looked up by
 * name, where speed does not matter. */
#ifndef KVTEL_PYTHON_COMMON_H
#define KVTEL_PYTHON_COMMON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <kvtel/kvtel.h>

/* Payloads of at least this many bytes are processed without the GIL. */
enum { KVTEL_PYTHON_LONG = 64 * 1024 };

/* Raises the exception of a status and returns NULL. Message and place are from `error` if it is not NULL, else the
 * text is `message` if it is not NULL, else the status' own text. */
void *kvtel_python_raise(enum kvtel_status status, const struct kvtel_error *error, const char *message);

/* Raises the exception for a connector without stats (NULL: an unknown connector) and returns NULL. */
void *kvtel_python_raise_connector(const struct kvtel_connector *connector, const char *name);

/* Calls the attribute `name` of kvtel._support with the tuple that Py_BuildValue() makes of `format`. New reference;
 * NULL: an exception. */
PyObject *kvtel_python_support(const char *name, const char *format, ...);

/* A class of this module. New reference; NULL: an exception. */
PyObject *kvtel_python_class(const char *name);
/* Whether `object` is an instance of a class of this module: 1 or 0; -1: an exception. */
int kvtel_python_is(PyObject *object, const char *class_name);

/* Allocate an instance, zeroed but for its type, and free it. */
void *kvtel_python_new(PyTypeObject *type);
void kvtel_python_delete(PyObject *self);

/* tp_init of classes whose instances are complete after tp_new: accepts any arguments and does nothing. */
int kvtel_python_init(PyObject *self, PyObject *arguments, PyObject *keywords);

/* Function and flags of a method that takes keywords. */
#define KVTEL_PYTHON_KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

/* Makes a type and adds it to the module. 0; -1: an exception. */
int kvtel_python_add_type(PyObject *module, PyType_Spec *spec);

/* Reads a configuration: a vLLM configuration, a KVTransferConfig, a dict, JSON, or a connector's name. `*config` is
 * owned; NULL if no connector is configured. 0; -1: an exception. */
int kvtel_python_config(PyObject *object, struct kvtel_transfer_config **config);

/* The UTF-8 text of a str, NUL-terminated, valid as long as `*holder`, a new reference. NULL: an exception (not a
 * str, or a NUL inside). */
const char *kvtel_python_text(PyObject *object, PyObject **holder);
/* The texts of a sequence, `count` in number; for elements that are not str, their str(). Free with
 * kvtel_python_texts_free(). */
struct kvtel_python_texts {
    const char **texts;
    PyObject **holders;
    size_t count;
};
int kvtel_python_texts(PyObject *sequence, struct kvtel_python_texts *texts);
void kvtel_python_texts_free(struct kvtel_python_texts *texts);

/* Whether the current exception means that a value is unusable. If so it is cleared. Other exceptions stay set
 * (KeyboardInterrupt, SystemExit, MemoryError: evaluating a value may run Python code). */
bool kvtel_python_is_wrong_value(void);

/* Reads a uint64_t from an int, or from an object that stands for one, like NumPy's integers. 0; -1: an exception. */
int kvtel_python_uint64(PyObject *object, uint64_t *out);
/* Reads a uint32_t from an int. 0; -1: an exception. For the O& of PyArg_Parse. */
int kvtel_python_engine(PyObject *object, void *engine);

/* Reads a transfer from keyword arguments named like the members of struct kvtel_transfer; an argument that is
 * missing or None means "not measured". A number that does not fit uint64_t becomes UINT64_MAX, which is then
 * refused and counted as implausible. If `name` is not NULL, another argument of this name, which may also come
 * first by position, is stored in `*first` (borrowed; NULL: missing or None). 0; -1: an exception. */
int kvtel_python_transfer(PyObject *arguments, PyObject *keywords, const char *name, PyObject **first,
                          struct kvtel_transfer *transfer);
/* Finds a failure by its label, e.g. "handshake". 0; -1: an exception. */
int kvtel_python_failure(PyObject *label, enum kvtel_failure *failure);

/* Diagnostics whose warnings are collected in a list until the call ends, so that no Python code runs in the middle
 * of the call. */
struct kvtel_python_warnings {
    struct kvtel_diagnostics *diagnostics;
    PyObject *pending; /* NULL: none */
};
int kvtel_python_warnings_init(struct kvtel_python_warnings *warnings);
void kvtel_python_warnings_close(struct kvtel_python_warnings *warnings);
void kvtel_python_warnings_say(struct kvtel_python_warnings *warnings);
/* Logs the collected warnings. */
static inline void kvtel_python_warnings_flush(struct kvtel_python_warnings *warnings)
{
    if (warnings->pending)
        kvtel_python_warnings_say(warnings);
}
/* A dict {reason: count} without zeros. New reference; NULL: an exception. */
PyObject *kvtel_python_refused(const struct kvtel_python_warnings *warnings);

int kvtel_python_add_stats(PyObject *module);
int kvtel_python_add_logging(PyObject *module);
int kvtel_python_add_prom(PyObject *module);
int kvtel_python_add_store(PyObject *module);
int kvtel_python_add_recorder(PyObject *module);
int kvtel_python_add_open(PyObject *module);
int kvtel_python_add_metric(PyObject *module);
int kvtel_python_add_scheduler_stats(PyObject *module);

#endif
