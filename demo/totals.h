/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's books beside what kvtel shows. */
#ifndef KVTEL_DEMO_TOTALS_H
#define KVTEL_DEMO_TOTALS_H

#include "demo/engine.h"

#include <kvtel/exposition.h>

/* Compares the books of workers that have all ended with `metrics`, the text of an exposition.
 * @return how many totals differ. `print`: writes the table of both to standard output, and what differs to standard
 * error; `source` says where the text is from */
unsigned demo_totals_compare(const struct demo_engine *engine, const struct kvtel_buffer *metrics, const char *source,
                             bool print);

#endif
