/* SPDX-License-Identifier: Apache-2.0 */
/* The web configuration file. */
#include "contract.h"

#include "serve/web/config.h"

static void must_be_whole(const struct web_config *config)
{
    MUST(!config->tls || (web_pem_is_given(&config->cert) && web_pem_is_given(&config->key)));
    MUST(config->client_auth == WEB_NO_CLIENT_CERT || config->tls);
    MUST(config->min_version <= config->max_version && config->max_version <= WEB_TLS13);
    MUST(config->header_count <= WEB_HEADERS && config->curve_count <= WEB_CURVES);
    for (size_t i = 0; i < config->header_count; i++)
        MUST(config->headers[i].name && !strpbrk(config->headers[i].value, "\r\n"));
    for (size_t i = 0; i < config->user_count; i++)
        MUST(strlen(config->users[i].hash) >= 59 && config->users[i].name);
    for (size_t i = 0; i < config->client_allowed_san_count; i++)
        MUST(config->client_allowed_sans[i]);
    MUST(config->rate_interval_ns >= 0 && config->rate_burst >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_config *config = NULL;
    struct kvtel_error error = { 0 };
    enum kvtel_status status = web_config_parse((const char *)data, size, &config, &error);
    if (status == KVTEL_OK) {
        must_be_whole(config);
    } else {
        MUST(!config && status < 0 && error.status == status && error.message[0]);
        MUST(status != KVTEL_E_SYNTAX || (error.line > 0 && error.column > 0));
        MUST(error.line <= size + 1 && error.column <= size + 1);
    }
    web_config_destroy(config);
    return 0;
}
