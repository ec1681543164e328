/* SPDX-License-Identifier: Apache-2.0 */
/* TLS as a web configuration asks for it, on GnuTLS. */
#ifndef KVTEL_SERVE_WEB_TLS_H
#define KVTEL_SERVE_WEB_TLS_H

#include "serve/web/config.h"

#include <gnutls/gnutls.h>

/* Immutable; many sessions at once. */
struct web_tls;

/* Certificate and key, and what a client must show. `config` is borrowed until web_tls_destroy; `ca` may be empty.
 * @return owned; NULL: `error` says why */
struct web_tls *web_tls_create(const struct web_config *config, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                               const gnutls_datum_t *ca, struct kvtel_error *error);
/* NULL is fine. */
void web_tls_destroy(struct web_tls *tls);

/* Sets a server's session up before its handshake. `tls` must outlive the session. Takes the session's user pointer.
 * @return 0 or a GnuTLS error */
int web_tls_apply(const struct web_tls *tls, gnutls_session_t session);

#endif
