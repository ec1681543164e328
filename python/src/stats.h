/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Stats as the other classes see it. */
#ifndef KVTEL_PYTHON_STATS_H
#define KVTEL_PYTHON_STATS_H

#include "payload.h"

#include <pthread.h>

/* `outside`: a thread works on the stats without the GIL and holds `lock`; the others wait. */
struct kvtel_python_stats {
    PyObject_HEAD struct kvtel_stats *stats;
    struct kvtel_python_keys keys;
    struct kvtel_python_warnings warnings;
    pthread_mutex_t lock;
    bool outside;
};

/* The stats inside, once nobody works on them. */
struct kvtel_stats *kvtel_python_stats_of(PyObject *object);

#endif
