/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Transfer: a transfer that was begun. */
#ifndef KVTEL_PYTHON_OPEN_H
#define KVTEL_PYTHON_OPEN_H

#include "common.h"

/* Begins a transfer with the keyword arguments bytes, peer and began_ns. `recorder`, which owns the operation, is kept
 * as long as the Transfer. New reference; NULL: an exception. */
PyObject *kvtel_python_begin(PyObject *recorder, struct kvtel_store *store, const struct kvtel_operation *operation,
                             PyObject *arguments, PyObject *keywords);

#define KVTEL_PYTHON_BEGIN_DOC                                                                                         \
    "begin($self, *, bytes=None, peer=None, began_ns=None)\n--\n\n"                                                    \
    "Begins a transfer and returns a Transfer, which end() or fail() ends; as a context manager it ends with the\n"    \
    "block, and fails when the block raises. Where the recorder has open_transfers, kvtel serve shows it meanwhile,\n" \
    "with its peer (a str) and its bytes. began_ns: time.monotonic_ns() of the begin; None is now."

#endif
