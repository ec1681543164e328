/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel top. */
#ifndef KVTEL_TOP_OPTIONS_H
#define KVTEL_TOP_OPTIONS_H

#include "top/source.h"

enum { TOP_PATH = 4096, TOP_URL = 2048, TOP_PASSWORD = 1024 };

struct top_options {
    char store_dir[TOP_PATH];
    struct top_local_options local;
    bool is_remote;
    char url[TOP_URL + 32], past_url[TOP_URL + 32]; /* of the summary, and of the history */
    char shown_url[TOP_URL];                        /* without user and password */
    char password[TOP_PASSWORD];
    struct top_remote_options remote;
    double interval; /* seconds between two summaries */
    bool once, json, ascii;
    int sort;
    const char *filter; /* NULL: all rows */
};

/* Reads the flags. -1: go on; else the status to exit with. Texts point into `options` and `argv`. */
int top_options_parse(int argc, char **argv, struct top_options *options);

#endif
