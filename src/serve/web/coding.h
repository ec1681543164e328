/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which an answer's body can be sent, and what a client's Accept-Encoding header means for them. Any
 * thread. */
#ifndef KVTEL_SERVE_WEB_CODING_H
#define KVTEL_SERVE_WEB_CODING_H

enum coding { CODING_PLAIN, CODING_GZIP, CODING_ZSTD };

/* The coding that the header (may be NULL) gives the highest q value; of equal ones zstd, then gzip. zstd must be
 * named:
 * "*" means gzip. */
enum coding coding_choose(const char *accept_encoding);
/* Its name for the Content-Encoding header; NULL: none. */
const char *coding_name(enum coding coding);

#endif
