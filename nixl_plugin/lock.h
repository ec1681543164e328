/* SPDX-License-Identifier: Apache-2.0 */
/* A lock that a fork leaves behind free. It holds the id of the process that took it: one that a thread of the parent
 * held is free in the child, and of several threads of the child one takes it. Nothing on the path of a post takes one.
 */
#ifndef KVTEL_NIXL_PLUGIN_LOCK_H
#define KVTEL_NIXL_PLUGIN_LOCK_H

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

struct plugin_lock {
    _Atomic pid_t owner; /* 0: free */
};

static inline void plugin_lock(struct plugin_lock *lock)
{
    const pid_t own = getpid();
    const struct timespec pause = { .tv_nsec = 20000 };
    for (;;) {
        pid_t there = atomic_load_explicit(&lock->owner, memory_order_relaxed);
        if (there != own && atomic_compare_exchange_strong_explicit(&lock->owner, &there, own, memory_order_acquire,
                                                                    memory_order_relaxed))
            return;
        (void)nanosleep(&pause, NULL);
    }
}

static inline void plugin_unlock(struct plugin_lock *lock)
{
    atomic_store_explicit(&lock->owner, 0, memory_order_release);
}

#endif
