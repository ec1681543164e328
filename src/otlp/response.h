/* SPDX-License-Identifier: Apache-2.0 */
/* What an endpoint answers to a push. */
#ifndef KVTEL_OTLP_RESPONSE_H
#define KVTEL_OTLP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message ExportMetricsServiceResponse. */
struct otlp_response {
    uint64_t rejected;   /* data points that were not taken */
    const char *message; /* borrowed from the bytes; not terminated */
    size_t message_size;
};

/* Decodes the message of a good answer; fields that are not known are passed over. False: the bytes are none. */
bool otlp_response_parse(const char *bytes, size_t size, struct otlp_response *response);
/* Decodes the message google.rpc.Status of an answer that is an error. `text`: borrowed, not terminated. False as
 * above. */
bool otlp_response_status(const char *bytes, size_t size, const char **text, size_t *text_size);

#endif
