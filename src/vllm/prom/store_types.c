/* SPDX-License-Identifier: Apache-2.0 */
/* The default metric types: a store. Each call borrows a lane: users that do not write at the same time share one
 * lane, and those that do get one each. Handles are 1 + the store's numbers, so that none is NULL. */
#include <kvtel/prom.h>
#include <kvtel/store.h>

#include "record/store.h"

static void *to_handle(uint32_t number)
{
    return (void *)((uintptr_t)number + 1);
}

static uint32_t from_handle(const void *handle)
{
    return (uint32_t)((uintptr_t)handle - 1);
}

static enum kvtel_status borrow(struct kvtel_store *store, struct kvtel_lane **lane)
{
    /* pairs with the exchange in give_back(): the last borrower's writes are visible */
    *lane = atomic_exchange_explicit(&store->shared_lane, NULL, memory_order_acq_rel);
    return *lane ? KVTEL_OK : kvtel_lane_open(store, lane);
}

static void give_back(struct kvtel_store *store, struct kvtel_lane *lane)
{
    kvtel_lane_close(atomic_exchange_explicit(&store->shared_lane, lane, memory_order_acq_rel));
}

/* Borrows a lane to write `values` values. NULL: no lane is free, and the values are counted as dropped. */
static struct kvtel_lane *borrow_for(struct kvtel_store *store, size_t values)
{
    struct kvtel_lane *lane;
    if (borrow(store, &lane) == KVTEL_OK)
        return lane;
    atomic_fetch_add_explicit(&store->header->records_dropped, values, memory_order_relaxed);
    return NULL;
}

static enum kvtel_status make_family(void *store, const struct kvtel_family_spec *spec, void **family)
{
    uint32_t number;
    enum kvtel_status status = kvtel_store_family(store, spec, &number);
    if (status == KVTEL_OK)
        *family = to_handle(number);
    return status;
}

static enum kvtel_status make_child(void *store, void *family, const char *const *values, size_t count, void **child)
{
    uint32_t number;
    enum kvtel_status status = kvtel_store_series(store, from_handle(family), values, count, &number);
    if (status == KVTEL_OK)
        *child = to_handle(number);
    return status;
}

enum { ROOM_LIMIT = 256 }; /* limit of label sets that one engine of a connector has from the start */

static enum kvtel_status room(void *store, const struct kvtel_child_spec *children, size_t count)
{
    struct kvtel_series_request requests[ROOM_LIMIT];
    if (count > ROOM_LIMIT)
        return KVTEL_OK;
    for (size_t i = 0; i < count; i++)
        requests[i] = (struct kvtel_series_request){ from_handle(children[i].family), children[i].values,
                                                     children[i].count, false };
    return kvtel_store_room(store, requests, count);
}

static void increase(void *store, void *child, double amount)
{
    struct kvtel_lane *lane = borrow_for(store, 1);
    if (!lane)
        return;
    (void)kvtel_lane_increase(lane, from_handle(child), amount);
    give_back(store, lane);
}

static void set(void *store, void *child, double value)
{
    struct kvtel_lane *lane = borrow_for(store, 1);
    if (!lane)
        return;
    (void)kvtel_lane_set(lane, from_handle(child), value);
    give_back(store, lane);
}

static void observe(void *store, void *child, const double *values, size_t count)
{
    struct kvtel_lane *lane = borrow_for(store, count);
    if (!lane)
        return;
    (void)kvtel_lane_observe(lane, from_handle(child), values, count);
    give_back(store, lane);
}

enum kvtel_status kvtel_store_metric_types(struct kvtel_store *store, struct kvtel_metric_types *types)
{
    struct kvtel_lane *lane;
    enum kvtel_status status = borrow(store, &lane);
    if (status != KVTEL_OK)
        return status;
    give_back(store, lane);
    *types = (struct kvtel_metric_types){ .context = store,
                                          .family = make_family,
                                          .child = make_child,
                                          .increase = increase,
                                          .set = set,
                                          .observe = observe,
                                          .room = room };
    return KVTEL_OK;
}
