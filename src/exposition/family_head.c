/* SPDX-License-Identifier: Apache-2.0 */
/* What a family's message begins with. */
#include "exposition/family_head.h"

#include "base/buffer.h"
#include "base/utf8.h"
#include "exposition/wire.h"

#include <stdlib.h>
#include <string.h>

enum kvtel_status kvtel_family_head(const struct kvtel_snapshot_family *family, const struct kvtel_family_head *fields,
                                    unsigned type, const char *unit, struct kvtel_buffer *buffer)
{
    enum { HEADS = 4 * (WIRE_TAG + WIRE_VARINT) };
    const char *suffix = family->type == KVTEL_COUNTER ? "_total" : "";
    size_t name = strlen(family->name), more = strlen(suffix), help = strlen(family->help);
    char *valid = malloc(3 * help + 1);
    if (!valid || kvtel_buffer_reserve(buffer, HEADS + name + more + 3 * help + strlen(unit)) != KVTEL_OK) {
        free(valid);
        return KVTEL_E_NOMEM;
    }
    help = kvtel_utf8_repair(family->help, help, valid);
    char *at = wire_head(buffer->bytes + buffer->size, fields->name, name + more);
    memcpy(at, family->name, name);
    memcpy(at + name, suffix, more);
    at = wire_bytes(at + name + more, fields->help, valid, help);
    if (fields->type)
        at = wire_number(at, fields->type, type);
    if (*unit)
        at = wire_bytes(at, fields->unit, unit, strlen(unit));
    buffer->size = (size_t)(at - buffer->bytes);
    free(valid);
    return KVTEL_OK;
}
