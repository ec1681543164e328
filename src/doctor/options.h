/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel doctor. */
#ifndef KVTEL_DOCTOR_OPTIONS_H
#define KVTEL_DOCTOR_OPTIONS_H

#include "top/source.h"

#include <stdbool.h>

enum { DOCTOR_PATH = 4096, DOCTOR_URL = 2048, DOCTOR_PASSWORD = 1024 };

struct doctor_options {
    char store_dir[DOCTOR_PATH];
    bool default_dir;     /* neither a flag nor a variable names the directory */
    const char *nixl_dir; /* of NIXL's rings; NULL: none was named */
    const char *root;     /* in which /proc, /etc, /run, /usr and /var are; "": the machine's */
    bool has_url;
    char url[DOCTOR_URL]; /* of the exporter, without a path */
    char password[DOCTOR_PASSWORD];
    struct top_remote_options remote; /* but for its url */
    bool json, list;
};

/* Reads the flags. -1: go on; else the status to exit with. Texts point into `options` and `argv`. */
int doctor_options_parse(int argc, char **argv, struct doctor_options *options);

#endif
