/* SPDX-License-Identifier: Apache-2.0 */
/* Open stores are kept in an array of places. Each place is taken or emptied by one atomic exchange, so a fork at
 * any moment leaves no lock behind. */
#include "record/ending.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { PLACES = 256 };

static struct kvtel_store *_Atomic open_stores[PLACES];
static atomic_bool exiting;

/* Writes the mark. A file that somebody truncated is left alone: a store past its end would raise SIGBUS. */
static void mark(const struct kvtel_store *store, uint64_t ending)
{
    struct stat status;
    if (kvtel_store_is_own(store) && fstat(store->fd, &status) == 0 && status.st_size >= KVTEL_LAYOUT_PAGE)
        atomic_store_explicit((_Atomic uint64_t *)(void *)((char *)store->header + KVTEL_LAYOUT_ENDING_AT), ending,
                              /* relaxed is enough: the file's lock is released later, and a reader looks at the lock
                               * first */
                              memory_order_relaxed);
}

void kvtel_store_begins(struct kvtel_store *store)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct kvtel_store *none = NULL;
        if (atomic_compare_exchange_strong(&open_stores[i], &none, store))
            return;
    }
    mark(store, KVTEL_ENDING_UNKNOWN);
}

bool kvtel_store_ends(struct kvtel_store *store)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct kvtel_store *expected = store;
        if (!atomic_compare_exchange_strong(&open_stores[i], &expected, NULL))
            continue;
        mark(store, KVTEL_ENDING_CLOSED);
        return true;
    }
    if (store->fd >= 0 && atomic_load(&exiting))
        return false;
    if (store->fd >= 0)
        mark(store, KVTEL_ENDING_CLOSED);
    return true;
}

__attribute__((destructor)) static void mark_all(void)
{
    atomic_store(&exiting, true);
    for (size_t i = 0; i < PLACES; i++) {
        struct kvtel_store *store = atomic_exchange(&open_stores[i], NULL);
        if (store)
            mark(store, KVTEL_ENDING_CLOSED);
    }
}
