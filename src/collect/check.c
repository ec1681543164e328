/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a store's file: its header, names and bounds. */
#include "collect/check.h"

#include "base/error.h"
#include "record/store.h"

#include <stdlib.h>
#include <string.h>

enum kvtel_status kvtel_check_header(const struct kvtel_layout_header *header, struct kvtel_error *error)
{
    if (memcmp(header->magic, KVTEL_LAYOUT_MAGIC, sizeof(header->magic)) != 0)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "not a store");
    if (header->byte_order != KVTEL_LAYOUT_ORDER)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, byte_order),
                          "a store of a machine with another byte order");
    if (header->version != KVTEL_LAYOUT_VERSION || header->header_size != sizeof(*header))
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, version),
                          "a store of layout version %u, this program knows version %u: use the same version of kvtel "
                          "in the engine and here",
                          (unsigned)header->version, (unsigned)KVTEL_LAYOUT_VERSION);
    if (header->schema != KVTEL_LAYOUT_SCHEMA || header->block_rows != KVTEL_BLOCK_ROWS ||
        header->max_lanes > KVTEL_LAYOUT_LANES)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, schema),
                          "sizes that this version does not have");
    for (size_t i = 0; i < KVTEL_TABLES; i++) {
        const struct kvtel_layout_table *table = &header->tables[i];
        if (table->at < sizeof(*header) || table->at > header->lanes_at || table->size > header->lanes_at - table->at ||
            table->at % 8 != 0)
            return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, tables) + i * sizeof(*table),
                              "a table outside its place");
    }
    if (header->lines_at < sizeof(*header) || header->lines_at > header->lanes_at || header->lines_at % 8 != 0 ||
        header->max_lanes * KVTEL_LINE_WORDS * sizeof(uint64_t) > header->lanes_at - header->lines_at)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, lines_at),
                          "lines of lanes outside their place");
    if (header->lanes_at > KVTEL_LAYOUT_LANE_BYTES || header->lanes_at % 8 != 0 ||
        header->lane_stride > KVTEL_LAYOUT_LANE_BYTES || header->lane_stride % 8 != 0 ||
        header->slots_size > header->lane_stride || header->slots_size % 8 != 0)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, lanes_at),
                          "lanes outside their place");
    return KVTEL_OK;
}

/* Checks the names of a metric and of its labels; a label may occur once only. */
bool kvtel_check_names(const char *text, uint32_t label_count, bool histogram)
{
    const char *labels[KVTEL_LAYOUT_LABELS];
    if (!kvtel_is_name(text, true))
        return false;
    text += strlen(text) + 1; /* help */
    for (uint32_t i = 0; i < label_count; i++) {
        labels[i] = text += strlen(text) + 1;
        if (!kvtel_is_name(text, false) || (histogram && strcmp(text, "le") == 0))
            return false;
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(labels[k], text) == 0)
                return false;
        }
    }
    return true;
}

bool kvtel_check_bounds(const char *table, const struct kvtel_layout_family *family)
{
    const double *bounds = family->bound_count > 0 ? (const double *)(const void *)table + family->bounds_at : NULL;
    for (uint32_t i = 0; i < family->bound_count; i++) {
        if (!kvtel_is_bound(bounds[i], i > 0 ? bounds[i - 1] : -1))
            return false;
    }
    return true;
}

bool kvtel_marks_reserve(uint8_t **marks, uint32_t *room, uint32_t count)
{
    if (count <= *room)
        return true;
    uint32_t larger = count + count / 2 + 64;
    uint8_t *moved = realloc(*marks, larger);
    if (!moved)
        return false;
    memset(moved + *room, 0, larger - *room);
    *marks = moved;
    *room = larger;
    return true;
}
