/* SPDX-License-Identifier: Apache-2.0 */
/* Which label sets are meant: NAME, {LABEL="VALUE",...} or both, as in PromQL, with = != =~ !~. */
#ifndef KVTEL_TOTALS_SELECTOR_H
#define KVTEL_TOTALS_SELECTOR_H

#include <kvtel/snapshot.h>

struct selector;

/* @param error its column is a place in `text`
 * @return KVTEL_OK; KVTEL_E_SYNTAX, KVTEL_E_NOMEM */
enum kvtel_status selector_parse(const char *text, struct selector **selector, struct kvtel_error *error);
void selector_free(struct selector *selector);
/* A label that the family does not have is empty. The name may be that of a sample: with _total, _count, _sum or
 * _bucket. */
bool selector_matches(const struct selector *selector, const struct kvtel_snapshot_family *family,
                      const struct kvtel_snapshot_series *series);

#endif
