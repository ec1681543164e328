/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Stats as the other classes see it. */
#ifndef KVTEL_PYTHON_STATS_H
#define KVTEL_PYTHON_STATS_H

#include "payload.h"

#include <pthread.h>
#include <sys/types.h>

/* `outside` is not 0: a thread of that process works on the stats without the GIL and holds `lock`; the others wait. */
struct kvtel_python_stats {
    PyObject_HEAD struct kvtel_stats *stats;
    struct kvtel_python_keys keys;
    struct kvtel_python_warnings warnings;
    pthread_mutex_t lock;
    pid_t outside;
};

/* The stats inside, once nobody works on them. */
struct kvtel_stats *kvtel_python_stats_of(PyObject *object);

#endif
