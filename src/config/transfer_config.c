/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a KVTransferConfig. The parser is in src/config/parse/, so that recording does not need it. */
#include "config/transfer_config.h"

#include <stdlib.h>
#include <string.h>

struct kvtel_transfer_config *kvtel_transfer_config_of(const char *connector_name)
{
    if (!connector_name || strnlen(connector_name, KVTEL_TEXT_LIMIT + 1) > KVTEL_TEXT_LIMIT)
        return NULL;
    struct kvtel_transfer_config *config = calloc(1, sizeof(*config));
    if (config && !(config->connector_name = strdup(connector_name))) {
        free(config);
        return NULL;
    }
    return config;
}

void kvtel_transfer_config_destroy(struct kvtel_transfer_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->setting_count; i++) {
        free(config->settings[i].key);
        free(config->settings[i].text);
    }
    for (size_t i = 0; i < config->tier_count; i++)
        free(config->tiers[i]);
    for (size_t i = 0; i < config->child_count; i++)
        kvtel_transfer_config_destroy(config->children[i]);
    free(config->settings);
    free(config->tiers);
    free(config->children);
    free(config->connector_name);
    free(config);
}

const char *kvtel_transfer_config_connector_name(const struct kvtel_transfer_config *config)
{
    return config->connector_name;
}

/* Finds a setting by its key. Of two equal keys the last one counts. */
static const struct kvtel_setting *find_setting(const struct kvtel_transfer_config *config, const char *key)
{
    for (size_t i = config->setting_count; i-- > 0;) {
        if (strcmp(config->settings[i].key, key) == 0)
            return &config->settings[i];
    }
    return NULL;
}

const char *kvtel_transfer_config_text(const struct kvtel_transfer_config *config, const char *key,
                                       const char *fallback)
{
    const struct kvtel_setting *setting = find_setting(config, key);
    return setting && setting->text ? setting->text : fallback;
}

double kvtel_transfer_config_number(const struct kvtel_transfer_config *config, const char *key, double fallback)
{
    const struct kvtel_setting *setting = find_setting(config, key);
    return setting && !setting->text ? setting->number : fallback;
}

const char *kvtel_transfer_config_tier(const struct kvtel_transfer_config *config, size_t i)
{
    return i < config->tier_count ? config->tiers[i] : NULL;
}

size_t kvtel_transfer_config_child_count(const struct kvtel_transfer_config *config)
{
    return config->child_count;
}

const struct kvtel_transfer_config *kvtel_transfer_config_child(const struct kvtel_transfer_config *config, size_t i)
{
    return i < config->child_count ? config->children[i] : NULL;
}

void kvtel_transfer_config_set_cache_metrics(struct kvtel_transfer_config *config, bool on)
{
    config->cache_metrics = on;
    for (size_t i = 0; i < config->child_count; i++)
        kvtel_transfer_config_set_cache_metrics(config->children[i], on);
}

bool kvtel_transfer_config_cache_metrics(const struct kvtel_transfer_config *config)
{
    return config->cache_metrics;
}
