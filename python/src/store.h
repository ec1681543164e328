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

#endif
