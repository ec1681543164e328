/* SPDX-License-Identifier: Apache-2.0 */
/* Connector files. */
#include "contract.h"

#include <kvtel/connector_file.h>

#include "connectors/parse/table_reader.h"

/* A table that is read and written is read again, as the same text. */
static void must_be_whole(const struct kvtel_connector *table)
{
    struct kvtel_buffer first = { 0 }, second = { 0 };
    struct kvtel_error error = { 0 };
    MUST(kvtel_connector_encode(table, &first) == KVTEL_OK);
    struct kvtel_arena arena = { 0 };
    const struct kvtel_connector *again;
    MUST(kvtel_connector_read(first.bytes, first.size, &arena, &again, &error) == KVTEL_OK);
    MUST(kvtel_connector_encode(again, &second) == KVTEL_OK);
    MUST(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    kvtel_arena_free(&arena);
    kvtel_buffer_free(&first);
    kvtel_buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kvtel_error error = { 0 };
    struct kvtel_arena arena = { 0 };
    const struct kvtel_connector *table = NULL;
    enum kvtel_status status = kvtel_connector_parse((const char *)data, size, false, &error);
    if (status != KVTEL_OK)
        must_explain(status, &error, KVTEL_JSON, size);
    else if (kvtel_connector_read((const char *)data, size, &arena, &table, &error) == KVTEL_OK)
        must_be_whole(table);
    kvtel_arena_free(&arena);
    return 0;
}
