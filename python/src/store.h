/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Store as the other classes see it. */
#ifndef KVTEL_PYTHON_STORE_H
#define KVTEL_PYTHON_STORE_H

#include "common.h"

/* What the store warned of, from any thread: text is complete where `said` is set. */
struct kvtel_python_store {
    PyObject_HEAD struct kvtel_store *store;
    struct {
        _Atomic int claimed, said;
        char text[512];
    } warnings[4];
};

#endif
