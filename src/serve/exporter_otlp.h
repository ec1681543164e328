/* SPDX-License-Identifier: Apache-2.0 */
/* What is pushed: the families of a scrape as OTLP. */
#ifndef KVTEL_SERVE_EXPORTER_OTLP_H
#define KVTEL_SERVE_EXPORTER_OTLP_H

#include "serve/exporter.h"

/* Begins the push of the exporter's metrics. `settings` are borrowed until exporter_otlp_stop(). KVTEL_OK; else `error`
 * says why not. */
enum kvtel_status exporter_otlp_start(struct exporter *exporter, const struct otlp_settings *settings,
                                      struct kvtel_error *error);
void exporter_otlp_stop(struct exporter *exporter);

#endif
