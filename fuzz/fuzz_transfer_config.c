/* SPDX-License-Identifier: Apache-2.0 */
/* KVTransferConfig in both formats. */
#include "contract.h"

#include <kvtel/connector.h>
#include <kvtel/transfer_config.h>

static void must_be_whole(const struct kvtel_transfer_config *config)
{
    size_t children = kvtel_transfer_config_child_count(config);
    MUST(kvtel_transfer_config_connector_name(config));
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(config);
    MUST(children == 0 || connector->payload_kind == KVTEL_PAYLOAD_MULTI);
    for (size_t i = 0; kvtel_transfer_config_tier(config, i); i++)
        MUST(strlen(kvtel_transfer_config_tier(config, i)) < SIZE_MAX);
    for (size_t i = 0; i < children; i++)
        must_be_whole(kvtel_transfer_config_child(config, i));
    MUST(!kvtel_transfer_config_child(config, children));
    MUST(kvtel_transfer_config_cache_metrics(config));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int format = KVTEL_MSGPACK; format <= KVTEL_JSON; format++) {
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_error error = { 0 };
        enum kvtel_status status = kvtel_transfer_config_parse((enum kvtel_format)format, data, size, &config, &error);
        if (status == KVTEL_OK) {
            kvtel_transfer_config_set_cache_metrics(config, true);
            must_be_whole(config);
        } else {
            MUST(!config);
            must_explain(status, &error, (enum kvtel_format)format, size);
        }
        kvtel_transfer_config_destroy(config);
    }
    return 0;
}
