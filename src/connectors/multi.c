/* SPDX-License-Identifier: Apache-2.0 */
/* Several connectors in one: the payload holds each child's under its class name. */
#include <kvtel/connector.h>

KVTEL_CONNECTOR(multi) = {
    .names = KVTEL_NAMES({ .name = "MultiConnector" }),
    .payload_kind = KVTEL_PAYLOAD_MULTI,
};
