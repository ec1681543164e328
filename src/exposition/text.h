/* SPDX-License-Identifier: Apache-2.0 */
/* One family in the text format. */
#ifndef KVTEL_EXPOSITION_TEXT_H
#define KVTEL_EXPOSITION_TEXT_H

#include <kvtel/exposition.h>

/* Appends HELP, TYPE and all series of the family. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_exposition_text_family(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer);

#endif
