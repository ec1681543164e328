/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that are Python objects: prometheus_client's, or any with the same methods. */
#ifndef KVTEL_PYTHON_METRIC_TYPES_H
#define KVTEL_PYTHON_METRIC_TYPES_H

#include "common.h"

struct kvtel_python_types {
    PyObject *classes[3]; /* by enum kvtel_metric_type */
    PyObject *families;   /* {name: family} */
    PyObject *children;   /* {address: child}: keeps handles alive */
};

/* `metric_types`: {prometheus_client's Gauge, Counter, Histogram: what stands for it}. Fills `vtable`, whose context is
 * `types`. A call that fails in Python leaves the exception set, and later ones then do nothing: look at
 * PyErr_Occurred() when all is done. 0 or -1. */
int kvtel_python_types_init(struct kvtel_python_types *types, PyObject *metric_types,
                            struct kvtel_metric_types *vtable);
void kvtel_python_types_close(struct kvtel_python_types *types);

#endif
