/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a scrape. */
#ifndef KVTEL_SERVE_EXPORTER_PAGE_H
#define KVTEL_SERVE_EXPORTER_PAGE_H

#include "serve/exporter.h"

#include <kvtel/exposition.h>

/* Writes what exporter->snapshot has. Only what changed since the last page is written anew. *gzip: whether the client
 * accepts gzip; out: whether the body is packed. The lock is held. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status exporter_page_write(struct exporter *exporter, enum kvtel_exposition_format format, bool *gzip,
                                      struct kvtel_buffer *body);

/* Whether a family is shown, and under which name. A kvtel_page_choose_fn; `context` is the exporter. */
void exporter_page_choose(void *context, const struct kvtel_snapshot_family *family, struct kvtel_page_choice *choice);

#endif
