/* SPDX-License-Identifier: Apache-2.0 */
/* TLS as a web configuration requests it, by GnuTLS. */
#ifndef KVTEL_SERVE_WEB_TLS_H
#define KVTEL_SERVE_WEB_TLS_H

#include "serve/web/config.h"

#include <gnutls/gnutls.h>

/* Immutable; for any number of sessions at once, on any thread. */
struct web_tls;

/* Makes credentials from certificate and key, and the requirements on clients. `config` is borrowed until
 * web_tls_destroy(); `ca` may be empty.
 * @return owned; NULL: `error` says why */
struct web_tls *web_tls_create(const struct web_config *config, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                               const gnutls_datum_t *ca, struct kvtel_error *error);
/* NULL is allowed. */
void web_tls_destroy(struct web_tls *tls);

/* Prepares a server's session before its handshake. `tls` must outlive the session. The function uses the session's
 * user pointer.
 * @return 0 or a GnuTLS error */
int web_tls_apply(const struct web_tls *tls, gnutls_session_t session);

#endif
