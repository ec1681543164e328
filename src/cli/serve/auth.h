/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication against bcrypt hashes. A result is remembered, so that a scraper pays for bcrypt once. */
#ifndef KVTEL_SERVE_AUTH_H
#define KVTEL_SERVE_AUTH_H

#include "cli/serve/web_config.h"

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

/* Checks an Authorization header (may be NULL). No users: AUTH_GOOD. bcrypt runs for one caller at a time, others wait for it up to
 * five seconds; a result that is remembered never waits. How long it takes does not tell whether a user exists. */
enum auth_result auth_check(struct auth *auth, const struct web_config *config, const char *authorization);

#endif
