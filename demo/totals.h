/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the engine's books with what kvtel shows. */
#ifndef KVTEL_DEMO_TOTALS_H
#define KVTEL_DEMO_TOTALS_H

#include "demo/engine.h"

#include <kvtel/exposition.h>

/* Compares the books of workers, all of which have ended, with `metrics`, the text of an exposition.
 * @param source where the text is from, for the heading
 * @param print  prints the table of both to standard output, and differences to standard error
 * @return       number of totals that differ */
unsigned demo_totals_compare(const struct demo_engine *engine, const struct kvtel_buffer *metrics, const char *source,
                             bool print);

#endif
