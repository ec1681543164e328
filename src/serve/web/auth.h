/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication against bcrypt hashes. A result is remembered, so that a scraper pays for bcrypt once. */
#ifndef KVTEL_SERVE_WEB_AUTH_H
#define KVTEL_SERVE_WEB_AUTH_H

#include "serve/web/config.h"

/* Any thread. */
struct auth;

enum auth_result {
    AUTH_GOOD,
    AUTH_BAD,  /* no, malformed or wrong credentials */
    AUTH_BUSY, /* too many unknown passwords wait to be checked */
};

/* NULL: no memory, or no random numbers. */
struct auth *auth_create(void);
/* NULL is fine. */
void auth_destroy(struct auth *auth);
/* Whoever waits, or will, gets AUTH_BUSY soon. */
void auth_stop(struct auth *auth);

/* Bytes that tell one client's address from another's. */
enum { AUTH_ADDRESS = 8 };

/* Checks an Authorization header (may be NULL) from a client at `address` (AUTH_ADDRESS bytes). No users: AUTH_GOOD.
 * bcrypt runs for one caller at a time, others wait for it up to five seconds: names of users before other names, then
 * the address with the fewest callers in line, then the newest caller. A result that is remembered never waits. How
 * long a refusal takes does not tell whether the name is a user's: each takes what the dearest user's takes, and waits
 * as an unknown name would. */
enum auth_result auth_check(struct auth *auth, const struct web_config *config, const unsigned char *address,
                            const char *authorization);

#endif
