/* SPDX-License-Identifier: Apache-2.0 */
/* The flags that name an exporter, for each command that asks one. */
#ifndef KVTEL_TOP_URL_H
#define KVTEL_TOP_URL_H

#include "top/source.h"

#include <getopt.h>

/* The numbers of the flags, past those of a command's own, and their rows in its table. */
enum top_url_flag { TOP_FLAG_URL = 512, TOP_FLAG_USER, TOP_FLAG_PASSWORD, TOP_FLAG_CA, TOP_FLAG_CERT, TOP_FLAG_KEY };
/* clang-format off */
#define TOP_URL_FLAGS                                                    \
    { "url", required_argument, NULL, TOP_FLAG_URL },                    \
    { "url.user", required_argument, NULL, TOP_FLAG_USER },              \
    { "url.password-file", required_argument, NULL, TOP_FLAG_PASSWORD }, \
    { "url.ca-file", required_argument, NULL, TOP_FLAG_CA },             \
    { "url.cert-file", required_argument, NULL, TOP_FLAG_CERT },         \
    { "url.key-file", required_argument, NULL, TOP_FLAG_KEY }
/* clang-format on */

/* Takes the argument of a flag that is a text alone: the user, or a file of TLS. False: another flag. */
bool top_url_take(int option, const char *text, struct top_remote_options *remote);
/* Reads --url into "http://HOST:PORT", without a path of the exporter's. -1: go on; else the status to exit with, after
 * a message. */
int top_url_parse(const char *command, const char *text, char *url, size_t size);
/* Reads the first line of --url.password-file. -1, or the status to exit with. */
int top_url_password(const char *path, char *password, size_t size);
/* Whether the flags go together. -1, or the status to exit with. */
int top_url_check(const char *command, bool has_url, const struct top_remote_options *remote);

#endif
