/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads between Python objects and stats. */
#ifndef KVTEL_PYTHON_PAYLOAD_H
#define KVTEL_PYTHON_PAYLOAD_H

#include "common.h"
#include "vllm/stats/stats.h"

/* The keys of the latest payload by their place in the dict. Senders keep key objects and order, so that a look at the
 * address tells the field. Holds references. Start from {0}. */
struct kvtel_python_keys {
    struct {
        PyObject *key;
        int field;
    } places[16];
};
void kvtel_python_keys_close(struct kvtel_python_keys *keys);

/* Replaces the content of a Stats by a payload: a dict, or MessagePack as bytes, which is decoded without the GIL when
 * it is long. 0, or -1 with an exception and the content as it was. */
int kvtel_python_decode(PyObject *object, PyObject *payload);

/* The same for stats that hold one payload after the other: on failure they hold nothing that can be relied on. */
int kvtel_python_decode_passing(struct kvtel_stats *stats, struct kvtel_python_keys *keys, PyObject *payload);

/* Python's object of a value; an array in key position becomes a tuple. */
PyObject *kvtel_python_object(const struct kvtel_value *value);

#endif
