/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel serve. */
#ifndef KVTEL_SERVE_OPTIONS_H
#define KVTEL_SERVE_OPTIONS_H

#include "otlp/settings.h"
#include "serve/exporter.h"

#include <kvtel/log_line.h>

enum { LISTEN_ADDRESSES = 16, ALLOWED_HOSTS = 16, STORE_DIR_SIZE = 4096 };

/* Paths of everything but the metrics (--web.telemetry-path) and the page. */
#define PATH_HEALTHY "/-/healthy"
#define PATH_READY "/-/ready"
#define PATH_SUMMARY "/api/v1/summary"
#define PATH_HISTORY "/api/v1/history"
#define PATH_STATS "/api/v1/stats"

struct serve_options {
    struct exporter_options exporter;
    char store_dir[STORE_DIR_SIZE];
    const char *addresses[LISTEN_ADDRESSES];
    size_t address_count;
    bool systemd_socket;
    const char *web_config;
    const char *allowed_hosts[ALLOWED_HOSTS];
    size_t allowed_host_count;
    bool open_probes;
    const char *telemetry_path; /* normalised by target_normalise() */
    unsigned max_requests;
    enum kvtel_log_style log_style;
    double log_interval; /* seconds; 0: no log lines */
    enum web_log_level log_level;
    bool log_json;
    const char *otlp_endpoint; /* NULL: as the environment says */
    struct otlp_settings otlp;
};

/* Parses the flags and OpenTelemetry's variables. Call otlp_settings_free(&options->otlp) at the end. @return -1: start
 * the exporter; else the exit code of the program */
int serve_options_parse(struct serve_options *options, int argc, char **argv);

#endif
