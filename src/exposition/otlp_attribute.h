/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's attributes, each a message KeyValue with a text. */
#ifndef KVTEL_EXPOSITION_OTLP_ATTRIBUTE_H
#define KVTEL_EXPOSITION_OTLP_ATTRIBUTE_H

#include "exposition/wire.h"

enum otlp_attribute_field { ATTRIBUTE_KEY = 1, ATTRIBUTE_VALUE };
enum otlp_value_field { VALUE_STRING = 1 };

/* The size of a text or message with its head. */
static inline size_t kvtel_otlp_field_size(size_t size)
{
    return WIRE_TAG + wire_varint_size(size) + size;
}

/* The size of an attribute's message, without its head. */
static inline size_t kvtel_otlp_attribute_size(size_t name, size_t value)
{
    return kvtel_otlp_field_size(name) + kvtel_otlp_field_size(kvtel_otlp_field_size(value));
}

/* Writes an attribute with its head: kvtel_otlp_field_size(kvtel_otlp_attribute_size()) bytes. */
static inline char *kvtel_otlp_put_attribute(char *at, unsigned field, const char *name, size_t name_size,
                                             const char *value, size_t size)
{
    at = wire_head(at, field, kvtel_otlp_attribute_size(name_size, size));
    at = wire_bytes(at, ATTRIBUTE_KEY, name, name_size);
    at = wire_head(at, ATTRIBUTE_VALUE, kvtel_otlp_field_size(size));
    return wire_bytes(at, VALUE_STRING, value, size);
}

#endif
