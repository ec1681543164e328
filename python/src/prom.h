/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Prom for the other classes. */
#ifndef KVTEL_PYTHON_PROM_H
#define KVTEL_PYTHON_PROM_H

#include "common.h"

/* Prom.observe(). 0; -1: an exception. */
int kvtel_python_prom_observe(PyObject *prom, PyObject *data, uint32_t engine);

#endif
