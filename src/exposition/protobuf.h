/* SPDX-License-Identifier: Apache-2.0 */
/* One family as a message io.prometheus.client.MetricFamily, with its size before it. */
#ifndef KVTEL_EXPOSITION_PROTOBUF_H
#define KVTEL_EXPOSITION_PROTOBUF_H

#include "exposition/exposition.h"

/* Appends the family. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_protobuf_family(const struct kvtel_snapshot_family *family,
                                        const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer);

#endif
