/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVTEL_NIXL_TELEMETRY_H
#define KVTEL_NIXL_TELEMETRY_H

#include <kvtel/connector.h>

/* NIXL's rings as a connector's table named "NIXL telemetry", over the families of nixl/metrics.h. Only reports use
 * it; it does not decode payloads. */
extern const struct kvtel_connector kvtel_nixl_telemetry;

#endif
