/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions build jansson's archive for programs, where the address of libc's `stdin` is a constant of the link.
 * jansson compares with it when it reads from a FILE, which kvtel never does: in this module the name stands for a word
 * of its own. */
extern __attribute__((visibility("hidden"))) void *stdin;
void *stdin;
