/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's exemplars: trace and span in fields of their own, other labels as attributes. */
#ifndef KVTEL_EXPOSITION_OTLP_EXEMPLARS_H
#define KVTEL_EXPOSITION_OTLP_EXEMPLARS_H

#include "collect/series.h"

/* The most bytes that kvtel_otlp_put_exemplars() writes for a series of the family. */
size_t kvtel_otlp_exemplars_size(const struct kvtel_snapshot_family *family);
/* Writes the exemplars of a series as the field of a point, in ascending order of their buckets. Returns the end. */
char *kvtel_otlp_put_exemplars(char *at, unsigned field, const struct kvtel_snapshot_family *family,
                               const struct kvtel_snapshot_series *series);

#endif
