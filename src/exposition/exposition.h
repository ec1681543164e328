/* SPDX-License-Identifier: Apache-2.0 */
/* An exposition family by family, for those who choose the families. */
#ifndef KVTEL_EXPOSITION_EXPOSITION_H
#define KVTEL_EXPOSITION_EXPOSITION_H

#include <kvtel/exposition.h>

/* Appends one family. A family may not be there twice. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_exposition_family(const struct kvtel_snapshot_family *family,
                                          enum kvtel_exposition_format format, struct kvtel_buffer *buffer);

/* Appends what ends an exposition. Status as above. */
enum kvtel_status kvtel_exposition_end(enum kvtel_exposition_format format, struct kvtel_buffer *buffer);

#endif
