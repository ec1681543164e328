/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication against bcrypt hashes. Results are remembered, so that a scraper costs one bcrypt computation
 * and not one for each request. */
#ifndef KVTEL_SERVE_WEB_AUTH_H
#define KVTEL_SERVE_WEB_AUTH_H

#include "serve/web/config.h"

/* All functions but create and destroy may be called from any thread. */
struct auth;

enum auth_result {
    AUTH_GOOD,
    AUTH_BAD,  /* credentials are missing, malformed or wrong */
    AUTH_BUSY, /* too many passwords that are not remembered wait to be checked */
};

/* @return owned; NULL: no memory, or no random numbers */
struct auth *auth_create(void);
/* NULL is allowed. */
void auth_destroy(struct auth *auth);
/* Makes all checks that wait now or later return AUTH_BUSY soon. */
void auth_stop(struct auth *auth);

/* Number of bytes that identify a client's address. */
enum { AUTH_ADDRESS = 8 };

/* Checks an Authorization header (may be NULL) from a client at `address` (AUTH_ADDRESS bytes). If the configuration
 * has no users: AUTH_GOOD.
 *
 * bcrypt runs for one caller at a time; the others wait up to five seconds. A caller with a user's name goes first,
 * then the address with the fewest waiting callers, then the newest caller. A remembered result does not wait.
 *
 * The time to a refusal does not show whether the name is a user's: every refusal takes as long as for the user with
 * the dearest hash, and waits as for an unknown name. */
enum auth_result auth_check(struct auth *auth, const struct web_config *config, const unsigned char *address,
                            const char *authorization);

#endif
