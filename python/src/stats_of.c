/* SPDX-License-Identifier: Apache-2.0 */
/* Access to the stats of a kvtel.Stats, after other threads have finished with them. */
#include "stats.h"

#include <unistd.h>

struct kvtel_stats *kvtel_python_stats_of(PyObject *object)
{
    struct kvtel_python_stats *self = (struct kvtel_python_stats *)object;
    while (self->outside) {
        if (self->outside != getpid()) { /* the thread was lost in a fork; it only read the stats */
            self->outside = 0;
            (void)pthread_mutex_init(&self->lock, NULL);
            break;
        }
        Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->lock);
        pthread_mutex_unlock(&self->lock);
        Py_END_ALLOW_THREADS
    }
    return self->stats;
}
