/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions build jansson's archive for programs, in which the address of libc's `stdin` is a constant at link
 * time. jansson compares with it when it reads from a FILE, which kvtel never does. In this module the name refers
 * to a variable of the module's own. */
extern __attribute__((visibility("hidden"))) void *stdin;
void *stdin;
