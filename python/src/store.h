/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Store for the other classes. */
#ifndef KVTEL_PYTHON_STORE_H
#define KVTEL_PYTHON_STORE_H

#include "common.h"

/* The store's latest warnings, from any thread. A text is complete when `said` is set. */
struct kvtel_python_store {
    PyObject_HEAD struct kvtel_store *store;
    struct {
        _Atomic int claimed, said;
        char text[512];
    } warnings[4];
};

/* Fills an exemplar from a dict of labels. 0; -1: an exception. */
int kvtel_python_exemplar(PyObject *labels, struct kvtel_exemplar *exemplar);
/* Reads a transfer as kvtel_python_transfer() does, and the argument `exemplar`. 0; -1: an exception. */
int kvtel_python_transfer_exemplar(PyObject *arguments, PyObject *keywords, struct kvtel_transfer *transfer,
                                   struct kvtel_exemplar *exemplar);
/* kvtel.trace_labels(). */
PyObject *kvtel_python_trace_labels(PyObject *self, PyObject *traceparent);
/* The exemplars of a snapshot, as Store.exemplars() returns them. */
PyObject *kvtel_python_exemplars(const struct kvtel_snapshot *snapshot);

#endif
