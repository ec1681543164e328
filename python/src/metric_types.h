/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that are Python objects: prometheus_client's, or any with the same methods. */
#ifndef KVTEL_PYTHON_METRIC_TYPES_H
#define KVTEL_PYTHON_METRIC_TYPES_H

#include "common.h"

struct kvtel_python_types {
    PyObject *classes[3]; /* by enum kvtel_metric_type */
    PyObject *families;   /* {name: family} */
    PyObject *children;   /* {address: child}; keeps the children alive */
};

/* Prepares the types. `metric_types`: a dict from prometheus_client's Gauge, Counter and Histogram to the classes to
 * use. Fills `vtable`, whose context is `types`. After a call that raised, the exception stays set and later calls
 * do nothing: check PyErr_Occurred() at the end. 0; -1: an exception. */
int kvtel_python_types_init(struct kvtel_python_types *types, PyObject *metric_types,
                            struct kvtel_metric_types *vtable);
void kvtel_python_types_close(struct kvtel_python_types *types);

#endif
