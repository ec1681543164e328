/* SPDX-License-Identifier: Apache-2.0 */
/* The default metric types: a store, and a lane of its own. Handles are 1 + the store's numbers, so that none is NULL. */
#include <kvtel/store.h>

#include "store/store.h"

static void *to_handle(uint32_t number)
{
    return (void *)((uintptr_t)number + 1);
}

static uint32_t from_handle(const void *handle)
{
    return (uint32_t)((uintptr_t)handle - 1);
}

static enum kvtel_status make_family(void *lane, const struct kvtel_family_spec *spec, void **family)
{
    uint32_t number;
    enum kvtel_status status = kvtel_store_family(((struct kvtel_lane *)lane)->store, spec, &number);
    if (status == KVTEL_OK)
        *family = to_handle(number);
    return status;
}

static enum kvtel_status make_child(void *lane, void *family, const char *const *values, size_t count, void **child)
{
    uint32_t number;
    enum kvtel_status status = kvtel_store_series(((struct kvtel_lane *)lane)->store, from_handle(family), values, count, &number);
    if (status == KVTEL_OK)
        *child = to_handle(number);
    return status;
}

static void increase(void *lane, void *child, double amount)
{
    (void)kvtel_lane_increase(lane, from_handle(child), amount);
}

static void set(void *lane, void *child, double value)
{
    (void)kvtel_lane_set(lane, from_handle(child), value);
}

static void observe(void *lane, void *child, const double *values, size_t count)
{
    (void)kvtel_lane_observe(lane, from_handle(child), values, count);
}

enum kvtel_status kvtel_store_metric_types(struct kvtel_store *store, struct kvtel_metric_types *types)
{
    struct kvtel_lane *lane;
    enum kvtel_status status = kvtel_lane_open(store, &lane);
    if (status == KVTEL_OK)
        *types = (struct kvtel_metric_types){ lane, make_family, make_child, increase, set, observe };
    return status;
}
