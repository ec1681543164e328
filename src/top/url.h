/* SPDX-License-Identifier: Apache-2.0 */
/* The flags that name an exporter, for each command that asks one. */
#ifndef KVTEL_TOP_URL_H
#define KVTEL_TOP_URL_H

#include "top/source.h"

/* Reads --url into "http://HOST:PORT", without a path of the exporter's. -1: go on; else the status to exit with, after
 * a message. */
int top_url_parse(const char *command, const char *text, char *url, size_t size);
/* Reads the first line of --url.password-file. -1, or the status to exit with. */
int top_url_password(const char *path, char *password, size_t size);
/* Whether the flags go together. -1, or the status to exit with. */
int top_url_check(const char *command, bool has_url, const struct top_remote_options *remote);

#endif
