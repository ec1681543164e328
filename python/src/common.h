/* SPDX-License-Identifier: Apache-2.0 */
/* What the bindings share. The module has no state of its own: classes are looked up where they are rarely needed. */
#ifndef KVTEL_PYTHON_COMMON_H
#define KVTEL_PYTHON_COMMON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <kvtel/kvtel.h>

/* Bytes from which on work is done without the GIL. */
enum { KVTEL_PYTHON_LONG = 64 * 1024 };

/* Raises what a status means, and returns NULL. `error` (may be NULL) gives message and place, else `message` does;
 * both NULL: the status' own text. */
void *kvtel_python_raise(enum kvtel_status status, const struct kvtel_error *error, const char *message);

/* Raises that a connector (NULL: nobody knows it) has no stats, and returns NULL. */
void *kvtel_python_raise_connector(const struct kvtel_connector *connector, const char *name);

/* Attribute `name` of kvtel._support, called with what Py_BuildValue() makes of `format`, a tuple. New reference or
 * NULL. */
PyObject *kvtel_python_support(const char *name, const char *format, ...);

/* A class of this module, for checks. New reference or NULL. */
PyObject *kvtel_python_class(const char *name);
/* Whether `object` is an instance of a class of this module: 1 or 0; -1 with an exception. */
int kvtel_python_is(PyObject *object, const char *class_name);

/* Memory of an instance, zeroed but for its type; and the other way round. */
void *kvtel_python_new(PyTypeObject *type);
void kvtel_python_delete(PyObject *self);

/* tp_init of classes that are complete when they are made: takes whatever was given, does nothing. */
int kvtel_python_init(PyObject *self, PyObject *arguments, PyObject *keywords);

/* Function and flags of a method that takes keywords. */
#define KVTEL_PYTHON_KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

/* A type and its addition to the module. 0 or -1. */
int kvtel_python_add_type(PyObject *module, PyType_Spec *spec);

/* A vLLM configuration, a KVTransferConfig, a dict, JSON, or a connector's name. `*config` is owned; NULL where there
 * is no connector at all. 0 or -1. */
int kvtel_python_config(PyObject *object, struct kvtel_transfer_config **config);

/* UTF-8 of a str, NUL-terminated, alive as long as `*holder`, which is a new reference. NULL with an exception (no str,
 * a NUL inside). */
const char *kvtel_python_text(PyObject *object, PyObject **holder);
/* Several of them: a sequence of texts (anything else in it is taken as its str()). `count` of them are in `texts`.
 * Free with kvtel_python_texts_free(). */
struct kvtel_python_texts {
    const char **texts;
    PyObject **holders;
    size_t count;
};
int kvtel_python_texts(PyObject *sequence, struct kvtel_python_texts *texts);
void kvtel_python_texts_free(struct kvtel_python_texts *texts);

/* Whether the exception that is set says that a value is of no use: then it is cleared. What says anything else
 * (KeyboardInterrupt, SystemExit, MemoryError: a value may be code) stays set. */
bool kvtel_python_is_wrong_value(void);

/* A uint64_t from an int, or from what stands for one: NumPy's integers do. 0 or -1. */
int kvtel_python_uint64(PyObject *object, uint64_t *out);
/* A uint32_t from an int. 0 or -1. For PyArg_Parse's O&. */
int kvtel_python_engine(PyObject *object, void *engine);

/* A transfer from keyword arguments alone: those of struct kvtel_transfer; what is absent or None was not measured. A
 * number that no uint64_t holds is one that no transfer has (UINT64_MAX), so that it is refused and counted as such.
 * Where `name` is not NULL, an argument before them, by that name or by place, is put into `*first` (borrowed; NULL
 * when it is absent or None). 0 or -1. */
int kvtel_python_transfer(PyObject *arguments, PyObject *keywords, const char *name, PyObject **first,
                          struct kvtel_transfer *transfer);
/* A failure by its label, e.g. "handshake". 0 or -1. */
int kvtel_python_failure(PyObject *label, enum kvtel_failure *failure);

/* Diagnostics whose warnings wait in a list until the call is over, so that no Python runs in the middle of one. */
struct kvtel_python_warnings {
    struct kvtel_diagnostics *diagnostics;
    PyObject *pending; /* NULL: none */
};
int kvtel_python_warnings_init(struct kvtel_python_warnings *warnings);
void kvtel_python_warnings_close(struct kvtel_python_warnings *warnings);
void kvtel_python_warnings_say(struct kvtel_python_warnings *warnings);
/* Says what is pending, if anything is. */
static inline void kvtel_python_warnings_flush(struct kvtel_python_warnings *warnings)
{
    if (warnings->pending)
        kvtel_python_warnings_say(warnings);
}
/* {reason: count}, without zeros. */
PyObject *kvtel_python_refused(const struct kvtel_python_warnings *warnings);

int kvtel_python_add_stats(PyObject *module);
int kvtel_python_add_logging(PyObject *module);
int kvtel_python_add_prom(PyObject *module);
int kvtel_python_add_store(PyObject *module);
int kvtel_python_add_recorder(PyObject *module);
int kvtel_python_add_scheduler_stats(PyObject *module);

#endif
