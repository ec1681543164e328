/* SPDX-License-Identifier: Apache-2.0 */
/* What no line of the log may show, though an endpoint may repeat it: headers, and the URL's user and query. */
#ifndef KVTEL_OTLP_SECRETS_H
#define KVTEL_OTLP_SECRETS_H

#include "otlp/settings.h"

#include <kvtel/buffer.h>

/* The words of the secrets, in each form in which they may come back. Single owner. Start from {0}. */
struct otlp_secrets {
    struct kvtel_buffer words; /* each with a NUL behind it */
};

/* KVTEL_OK, KVTEL_E_NOMEM. In any case otlp_secrets_free() frees what there is. */
enum kvtel_status otlp_secrets_init(struct otlp_secrets *secrets, const struct otlp_settings *settings);
void otlp_secrets_free(struct otlp_secrets *secrets);

/* Copies the first line of a text, with three stars in place of each secret, as far as there is room; `copy` is
 * terminated. A secret of eight bytes or more is found wherever eight of its bytes or more stand in a row; a shorter
 * one where it is a word of its own. */
void otlp_secrets_hide(const struct otlp_secrets *secrets, const char *text, size_t size, char *copy, size_t room);

#endif
