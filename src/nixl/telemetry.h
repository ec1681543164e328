/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVTEL_NIXL_TELEMETRY_H
#define KVTEL_NIXL_TELEMETRY_H

#include <kvtel/connector.h>

/* Index of each family in kvtel_nixl_telemetry.metrics. The connector's table is the only place that describes them:
 * nixl/metrics.c makes the families from it. */
enum kvtel_nixl_family {
    KVTEL_NIXL_FAMILY_XFER_TIME,
    KVTEL_NIXL_FAMILY_POST_TIME,
    KVTEL_NIXL_FAMILY_ALL_BYTES, /* the next family again, without its label */
    KVTEL_NIXL_FAMILY_BYTES,
    KVTEL_NIXL_FAMILY_SIZES,
    KVTEL_NIXL_FAMILY_REQUESTS,
    KVTEL_NIXL_FAMILY_ERRORS,
    KVTEL_NIXL_FAMILY_MEMORY,
    KVTEL_NIXL_FAMILY_DROPPED,
    KVTEL_NIXL_FAMILY_REGISTERED,
    KVTEL_NIXL_FAMILY_DEREGISTERED,
    KVTEL_NIXL_FAMILIES
};

/* Bounds for transfers inside a node and a rack, followed by the bounds of vLLM's NIXL connector. */
#define KVTEL_NIXL_TIME_BUCKETS                                                                                        \
    KVTEL_BUCKETS(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, \
                  0.1, 0.2, 0.3, 0.5, 0.75, 1, 5)

/* NIXL's rings as a connector's table named "NIXL telemetry", over the families of nixl/metrics.h. Only reports use
 * it; it does not decode payloads. */
extern const struct kvtel_connector kvtel_nixl_telemetry;

#endif
