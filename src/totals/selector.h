/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors of label sets: NAME, {LABEL="VALUE",...} or both, with the operators = != =~ !~, as in PromQL. */
#ifndef KVTEL_TOTALS_SELECTOR_H
#define KVTEL_TOTALS_SELECTOR_H

#include <kvtel/snapshot.h>

struct selector;

/* Parses a selector.
 * @param selector out, owned; free it with selector_free()
 * @param error    its column is a position in `text`
 * @return         KVTEL_OK; KVTEL_E_SYNTAX, KVTEL_E_NOMEM */
enum kvtel_status selector_parse(const char *text, struct selector **selector, struct kvtel_error *error);
void selector_free(struct selector *selector);
/* Whether a label set is selected. A label that the family does not have counts as empty. The selector's name may be
 * a sample's name, with _total, _count, _sum or _bucket. */
bool selector_matches(const struct selector *selector, const struct kvtel_snapshot_family *family,
                      const struct kvtel_snapshot_series *series);

#endif
