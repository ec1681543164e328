/* SPDX-License-Identifier: Apache-2.0 */
/* Where metrics are pushed to, and how: a flag, and OpenTelemetry's environment variables. */
#ifndef KVTEL_OTLP_SETTINGS_H
#define KVTEL_OTLP_SETTINGS_H

#include "otlp/pairs.h"

/* Single owner: otlp_settings_free(). */
struct otlp_settings {
    char *url;                 /* NULL: nothing is pushed */
    char *place;               /* the URL without user and query, for messages */
    struct otlp_pairs headers; /* secrets among them */
    struct otlp_pairs resource;
    long timeout_ms, interval_ms;
    bool gzip;
    /* files of PEM; NULL: the system's authorities, and no certificate of our own. Borrowed from the environment. */
    const char *authorities, *certificate, *key;
};

/* Reads the variables. `endpoint` is the flag's value, which goes before those of the variables; NULL: no flag.
 * KVTEL_OK; KVTEL_E_NOMEM; KVTEL_E_ARGUMENT: `error` says which setting is wrong and what would be right. */
enum kvtel_status otlp_settings_read(struct otlp_settings *settings, const char *endpoint, struct kvtel_error *error);
/* Fills in the resource's attributes that nobody named. `instance`: a name of this exporter that stays the same from
 * one start to the next. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status otlp_settings_complete(struct otlp_settings *settings, const char *host, const char *instance);
void otlp_settings_free(struct otlp_settings *settings);

#endif
