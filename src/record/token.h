/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: the words that tell a process that opened a store from a child of a fork. */
#ifndef KVTEL_RECORD_TOKEN_H
#define KVTEL_RECORD_TOKEN_H

#include <stdint.h>

/* Makes a random odd number on a page of its own. In a child of a fork the number is 0: the kernel wipes the page, and
 * where the kernel cannot (before Linux 4.14), a handler of pthread_atfork() does. That handler does not run in a child
 * of a bare clone(). Any thread; a fork at any moment leaves no lock behind. NULL with errno: no memory. */
uint64_t *kvtel_token_make(void);
/* Gives the page back, also in a child of a fork. NULL is allowed. */
void kvtel_token_free(uint64_t *token);

#endif
