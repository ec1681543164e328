/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * vLLM's KVTransferConfig: the JSON of `--kv-transfer-config`, as it is.
 *
 * libkvtel_record has its functions, except kvtel_transfer_config_parse().
 */
#ifndef KVTEL_TRANSFER_CONFIG_H
#define KVTEL_TRANSFER_CONFIG_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

struct kvtel_connector;

/** Immutable after parsing: any thread may read it. */
struct kvtel_transfer_config;

/** Parses `{"kv_connector": ..., "kv_connector_extra_config": {...}, ...}`; keys that kvtel does not use are ignored.
 * @param config out, owned: kvtel_transfer_config_destroy()
 * @param error  may be NULL
 * @return KVTEL_OK, KVTEL_E_SYNTAX, KVTEL_E_TYPE (no kv_connector string, a name with a NUL or longer than
 * KVTEL_TEXT_LIMIT, children not a list), KVTEL_E_DEPTH, KVTEL_E_LIMIT (more than 1,000 children),
 * KVTEL_E_NOMEM. Any thread. */
KVTEL_API enum kvtel_status kvtel_transfer_config_parse(enum kvtel_format format, const void *bytes, size_t size,
                                                        struct kvtel_transfer_config **config,
                                                        struct kvtel_error *error);
/** A configuration that consists of a connector's name alone. @return owned, or NULL without memory and for a name
 * longer than KVTEL_TEXT_LIMIT bytes. */
KVTEL_API struct kvtel_transfer_config *kvtel_transfer_config_of(const char *connector_name);
/** NULL is fine. Children go with their parent. */
KVTEL_API void kvtel_transfer_config_destroy(struct kvtel_transfer_config *config);

/** `kv_connector`. Borrowed until destroy. */
KVTEL_API const char *kvtel_transfer_config_connector_name(const struct kvtel_transfer_config *config);
/** The table of `kv_connector`, or NULL when no table has the name. */
KVTEL_API const struct kvtel_connector *kvtel_transfer_config_connector(const struct kvtel_transfer_config *config);

/** `kv_connector_extra_config.KEY` as text or number. Borrowed until destroy; `fallback` when absent, of another type,
 * or longer than KVTEL_TEXT_LIMIT bytes. */
KVTEL_API const char *kvtel_transfer_config_text(const struct kvtel_transfer_config *config, const char *key,
                                                 const char *fallback);
/** Likewise for a number. */
KVTEL_API double kvtel_transfer_config_number(const struct kvtel_transfer_config *config, const char *key,
                                              double fallback);
/** The `type` of the i-th entry of `kv_connector_extra_config.secondary_tiers`, or NULL past the end. Borrowed until
 * destroy. */
KVTEL_API const char *kvtel_transfer_config_tier(const struct kvtel_transfer_config *config, size_t i);

/** How many children a MultiConnector has (`kv_connector_extra_config.connectors`); 0 for any other connector. */
KVTEL_API size_t kvtel_transfer_config_child_count(const struct kvtel_transfer_config *config);
/** The i-th child, or NULL past the end. Borrowed until destroy. */
KVTEL_API const struct kvtel_transfer_config *kvtel_transfer_config_child(const struct kvtel_transfer_config *config,
                                                                          size_t i);

/** vLLM's `--kv-cache-metrics`, which is no part of the JSON: some connectors export more with it. Default false.
 * Children follow. Call before the configuration is shared. */
KVTEL_API void kvtel_transfer_config_set_cache_metrics(struct kvtel_transfer_config *config, bool on);
/** What kvtel_transfer_config_set_cache_metrics() set. */
KVTEL_API bool kvtel_transfer_config_cache_metrics(const struct kvtel_transfer_config *config);

KVTEL_END_DECLS
#endif
