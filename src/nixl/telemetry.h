/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVTEL_NIXL_TELEMETRY_H
#define KVTEL_NIXL_TELEMETRY_H

#include <kvtel/connector.h>

/* NIXL's rings as a connector, "NIXL telemetry", over the families of nixl/metrics.h. Reports use it; nothing decodes
 * with it. */
extern const struct kvtel_connector kvtel_nixl_telemetry;

#endif
