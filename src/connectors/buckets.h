/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket bounds that more than one connector uses. */
#ifndef KVTEL_CONNECTORS_BUCKETS_H
#define KVTEL_CONNECTORS_BUCKETS_H

#include <kvtel/connector.h>

/* Bounds for times of point-to-point transfers, in seconds. */
#define KVTEL_BUCKETS_TRANSFER_SECONDS KVTEL_BUCKETS(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5)
#define KVTEL_BUCKETS_POST_SECONDS KVTEL_BUCKETS(0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5)
#define KVTEL_BUCKETS_TRANSFER_BYTES                                                                                 \
    KVTEL_BUCKETS(2048, 8192, 32768, 131072, 524288, 2097152, 8388608, 33554432, 134217728, 536870912, 2147483648.0, \
                  8589934592.0)
#define KVTEL_BUCKETS_DESCRIPTORS \
    KVTEL_BUCKETS(10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000)

#endif
