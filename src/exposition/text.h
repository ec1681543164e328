/* SPDX-License-Identifier: Apache-2.0 */
/* One family in the two text formats. */
#ifndef KVTEL_EXPOSITION_TEXT_H
#define KVTEL_EXPOSITION_TEXT_H

#include "base/number.h"

#include <kvtel/buffer.h>
#include <kvtel/snapshot.h>

/* A number that was already rendered. */
struct kvtel_text_number {
    char text[KVTEL_NUMBER_SIZE];
    size_t size;
};

/* The parts of the text that all series of a family share. */
struct kvtel_family_text {
    const struct kvtel_snapshot_family *family;
    size_t name_size;
    size_t line_size;              /* the largest size of a line, without its label values */
    size_t le_place;               /* number of labels that sort before le */
    size_t *order;                 /* labels by name; label_count of them */
    struct kvtel_text_number *les; /* histogram: explicit_count + 1 upper bounds */
};
/* Sorts the labels, renders the bounds, and computes the sizes. The family is borrowed. KVTEL_OK, KVTEL_E_NOMEM; call
 * kvtel_family_text_free() in any case. */
enum kvtel_status kvtel_family_text_init(struct kvtel_family_text *text, const struct kvtel_snapshot_family *family);
void kvtel_family_text_free(struct kvtel_family_text *text);

/* Appends HELP, TYPE and UNIT. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_text_head(const struct kvtel_snapshot_family *family, bool openmetrics,
                                  struct kvtel_buffer *buffer);
/* Writes a help text or a label value. Characters that must be escaped are, and quotes if `quoted`. Bytes that are not
 * UTF-8 become U+FFFD. Writes at most 3 bytes for each byte, and returns the end. */
char *kvtel_text_escape(char *at, const char *text, bool quoted);
/* Appends the lines of a series, which are the same in both formats but for what kvtel_openmetrics_series() adds.
 * Status as above. */
enum kvtel_status kvtel_text_series(const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                                    struct kvtel_buffer *buffer);

/* Whether the series has lines in OpenMetrics that text 0.0.4 does not have: exemplars, or its start if `created`. */
bool kvtel_openmetrics_differs(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                               bool created);
/* Appends the lines of a series in OpenMetrics: those of kvtel_text_series(), with exemplars at the buckets, and if
 * `created` a line _created with the series' start, where it is known. Status as above. */
enum kvtel_status kvtel_openmetrics_series(const struct kvtel_family_text *text,
                                           const struct kvtel_snapshot_series *series, bool created,
                                           struct kvtel_buffer *buffer);

/* Appends HELP, TYPE and all series of the family. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_text_family(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer);

/* The same in OpenMetrics: a counter's HELP and TYPE are without _total, quotes in HELP are escaped, and UNIT is there
 * if the family's name ends in its unit. */
enum kvtel_status kvtel_openmetrics_family(const struct kvtel_snapshot_family *family, bool created,
                                           struct kvtel_buffer *buffer);

#endif
