/* SPDX-License-Identifier: Apache-2.0 */
/* Converting payloads between Python objects and stats. */
#ifndef KVTEL_PYTHON_PAYLOAD_H
#define KVTEL_PYTHON_PAYLOAD_H

#include "common.h"
#include "vllm/stats/stats.h"

/* The keys of the latest payload by their place in the dict. Senders use the same key objects in the same order, so
 * the address of a key identifies the field. The struct owns references. Start from {0}. */
struct kvtel_python_keys {
    struct {
        PyObject *key;
        int field;
    } places[16];
};
void kvtel_python_keys_close(struct kvtel_python_keys *keys);

/* Replaces the content of a Stats by a payload: a dict, or MessagePack as bytes. Long MessagePack is decoded without
 * the GIL. 0; -1: an exception, and the content is unchanged. */
int kvtel_python_decode(PyObject *object, PyObject *payload);

/* The same for stats that are replaced by each payload. On failure their content is undefined. */
int kvtel_python_decode_passing(struct kvtel_stats *stats, struct kvtel_python_keys *keys, PyObject *payload);

/* The Python object of a value; an array as key becomes a tuple. New reference; NULL: an exception. */
PyObject *kvtel_python_object(const struct kvtel_value *value);

#endif
