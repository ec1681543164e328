/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Prom for the other classes. */
#ifndef KVTEL_PYTHON_PROM_H
#define KVTEL_PYTHON_PROM_H

#include "common.h"

/* Whether observe() can take a payload of this engine; true where a Prom has several: observe() then says. */
bool kvtel_python_prom_is_of(PyObject *prom, uint32_t engine);
/* Prom.observe(). 0; -1: an exception. */
int kvtel_python_prom_observe(PyObject *prom, PyObject *data, uint32_t engine);

#endif
