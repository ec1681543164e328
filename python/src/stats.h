/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.Stats for the other classes. */
#ifndef KVTEL_PYTHON_STATS_H
#define KVTEL_PYTHON_STATS_H

#include "payload.h"

#include <pthread.h>
#include <sys/types.h>

/* If `outside` is not 0, a thread of the process with this pid works on the stats without the GIL. It holds `lock`,
 * and other threads wait. */
struct kvtel_python_stats {
    PyObject_HEAD struct kvtel_stats *stats;
    struct kvtel_python_keys keys;
    struct kvtel_python_warnings warnings;
    pthread_mutex_t lock;
    pid_t outside;
};

/* The stats of the object. Waits until no other thread works on them. */
struct kvtel_stats *kvtel_python_stats_of(PyObject *object);

#endif
