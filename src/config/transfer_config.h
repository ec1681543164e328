/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a KVTransferConfig, which parsing fills. All memory comes from malloc(). */
#ifndef KVTEL_CONFIG_TRANSFER_CONFIG_H
#define KVTEL_CONFIG_TRANSFER_CONFIG_H

#include <kvtel/transfer_config.h>

/* An entry of kv_connector_extra_config whose value is text or a number. */
struct kvtel_setting {
    char *key;
    char *text; /* NULL: a number */
    double number;
};

struct kvtel_transfer_config {
    char *connector_name;
    struct kvtel_setting *settings;
    size_t setting_count;
    char **tiers; /* "": a tier without a type */
    size_t tier_count;
    struct kvtel_transfer_config **children;
    size_t child_count;
    bool cache_metrics;
};

#endif
