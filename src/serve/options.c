/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel serve. */
#include "serve/options.h"

#include "command/command.h"
#include "serve/web/cross_site.h"
#include "serve/page.h"
#include "serve/web/target.h"
#include "record/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char command_serve_help[] =
    "usage: kvtel serve [OPTION...]\n"
    "\n"
    "Exports what connectors on this machine record, for Prometheus to scrape. A live page is at /.\n"
    "\n"
    "sources\n"
    "  --store.dir=DIR              directory of stores, which connectors and the vLLM plugin write; default:\n"
    "                               $KVTEL_STORE_DIR, else a directory of this user in shared memory\n"
    "  --store.rank-label           keep ranks of one engine apart, by a label rank, instead of summing them\n"
    "  --store.totals-limit=N       label sets of a metric kept of ended stores; default 10000. The numbers of "
    "further\n"
    "                               label sets are summed as \"other\"\n"
    "  --stalled.after=TIME         count and log transfers that are open for so long, of writers that show their "
    "open\n"
    "                               ones: 10, 500ms, 1m; default 30s, 0: none\n"
    "  --history.duration=TIME      how much of the past the exporter keeps for the page: 10m, 1h; from 1m to 24h;\n"
    "                               default 1h, 0: none\n"
    "  --nixl.telemetry-dir=DIR     telemetry rings of NIXL's agents (their NIXL_TELEMETRY_DIR); made if missing\n"
    "  --nixl.agent-label           add a label with the agent's name; vLLM's agents get a new name at each start\n"
    "  --nixl.peer-label            show the metrics of NIXL's plug-in that have a label with the peer's name\n"
    "  --web.enable-stats-receiver  take recordings by POST /api/v1/stats\n"
    "  --connector.file=FILE        a connector's table as JSON, repeatable; also from $KVTEL_CONNECTOR_PATH\n"
    "\n"
    "web\n"
    "  --web.listen-address=ADDR    HOST:PORT or :PORT, repeatable; default 127.0.0.1:9466\n"
    "  --web.systemd-socket         take sockets from systemd; excludes --web.listen-address\n"
    "  --web.config.file=FILE       TLS, client certificates, users, rate limit: the exporter toolkit's YAML\n"
    "  --web.open-probes            /-/healthy and /-/ready need no password and are not rate-limited\n"
    "  --web.allowed-host=NAME      accept posts addressed to NAME as well as to this machine's own names, repeatable\n"
    "  --web.telemetry-path=PATH    path of the metrics; default /metrics\n"
    "  --web.max-requests=N         scrapes answered at one time; default 40, 0: no limit\n"
    "  --web.disable-exporter-metrics\n"
    "                               leave out the exporter's own metrics (kvtel_*, process_*)\n"
    "  --metrics.histograms=KIND    in protobuf: both (default), classic (with le), or native\n"
    "  --metrics.native-histogram-schema=N\n"
    "                               resolution of native histograms, from -4 to 3; default 3, where bounds\n"
    "                               are 9 % apart\n"
    "  --metrics.native-histogram-max-buckets=N\n"
    "                               of a series; default 160. With more the resolution is halved\n"
    "  --metrics.created            in OpenMetrics: a line _created for each counter and histogram, the time from "
    "which\n"
    "                               its counts are complete. Protobuf always has it\n"
    "  --metrics.prefix=PREFIX      replace \"vllm:\" in names, where Prometheus scrapes vLLM's own page too\n"
    "\n"
    "push\n"
    "  --otlp.endpoint=URL          push metrics to this OTLP receiver by HTTP, as well as serving them; default:\n"
    "                               $OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, $OTEL_EXPORTER_OTLP_ENDPOINT, else no push.\n"
    "                               Headers, TLS, interval and attributes: OTEL_* variables, see docs/otlp.md\n"
    "\n"
    "log\n"
    "  --log.interval=TIME          time between lines of numbers, for each connector and engine: 10, 500ms, 1m;\n"
    "                               default 10s, 0: none\n"
    "  --log.style=STYLE            default, or vllm: the line that vLLM logs\n"
    "  --log.level=LEVEL            debug, info (default), warn, error\n"
    "  --log.format=FORMAT          logfmt (default) or json\n"
    "  --help, --version\n"
    "\n"
    "examples:\n"
    "  kvtel serve\n"
    "  kvtel serve --web.listen-address=:9466 --web.config.file=web.yml\n"
    "  kvtel serve --nixl.telemetry-dir=/dev/shm/nixl &\n"
    "  NIXL_TELEMETRY_ENABLE=y NIXL_TELEMETRY_DIR=/dev/shm/nixl vllm serve ...\n"
    "\n"
    "exit codes: 0 ended by a signal, 1 failed, 2 wrong usage\n";

enum option_id {
    STORE_DIR = 256,
    RANK_LABEL,
    TOTALS_LIMIT,
    STALLED_AFTER,
    HISTORY,
    NIXL_DIR,
    NIXL_AGENT,
    NIXL_PEER,
    RECEIVER,
    LISTEN,
    SYSTEMD,
    WEB_CONFIG,
    OPEN_PROBES,
    ALLOWED_HOST,
    TELEMETRY_PATH,
    MAX_REQUESTS,
    NO_OWN_METRICS,
    PREFIX,
    HISTOGRAMS,
    NATIVE_SCHEMA,
    NATIVE_BUCKETS,
    OTLP_ENDPOINT,
    CREATED,
    LOG_INTERVAL,
    LOG_STYLE,
    LOG_LEVEL,
    LOG_FORMAT,
    CONNECTOR_FILE,
    VERSION,
    HELP
};

static const struct option table[] = {
    { "store.dir", required_argument, NULL, STORE_DIR },
    { "store.rank-label", no_argument, NULL, RANK_LABEL },
    { "store.totals-limit", required_argument, NULL, TOTALS_LIMIT },
    { "stalled.after", required_argument, NULL, STALLED_AFTER },
    { "history.duration", required_argument, NULL, HISTORY },
    { "nixl.telemetry-dir", required_argument, NULL, NIXL_DIR },
    { "nixl.agent-label", no_argument, NULL, NIXL_AGENT },
    { "nixl.peer-label", no_argument, NULL, NIXL_PEER },
    { "web.enable-stats-receiver", no_argument, NULL, RECEIVER },
    { "web.listen-address", required_argument, NULL, LISTEN },
    { "web.systemd-socket", no_argument, NULL, SYSTEMD },
    { "web.config.file", required_argument, NULL, WEB_CONFIG },
    { "web.open-probes", no_argument, NULL, OPEN_PROBES },
    { "web.allowed-host", required_argument, NULL, ALLOWED_HOST },
    { "web.telemetry-path", required_argument, NULL, TELEMETRY_PATH },
    { "web.max-requests", required_argument, NULL, MAX_REQUESTS },
    { "web.disable-exporter-metrics", no_argument, NULL, NO_OWN_METRICS },
    { "metrics.prefix", required_argument, NULL, PREFIX },
    { "metrics.histograms", required_argument, NULL, HISTOGRAMS },
    { "metrics.native-histogram-schema", required_argument, NULL, NATIVE_SCHEMA },
    { "metrics.native-histogram-max-buckets", required_argument, NULL, NATIVE_BUCKETS },
    { "otlp.endpoint", required_argument, NULL, OTLP_ENDPOINT },
    { "metrics.created", no_argument, NULL, CREATED },
    { "log.interval", required_argument, NULL, LOG_INTERVAL },
    { "log.style", required_argument, NULL, LOG_STYLE },
    { "log.level", required_argument, NULL, LOG_LEVEL },
    { "log.format", required_argument, NULL, LOG_FORMAT },
    { "connector.file", required_argument, NULL, CONNECTOR_FILE },
    { "version", no_argument, NULL, VERSION },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

enum { MOST_PATH_BYTES = 1024, MOST_PREFIX_BYTES = 63, MOST_BUCKETS = 10000 };
static const double LEAST_LOG_INTERVAL = 0.1; /* seconds */

/* Whether this can be a prefix of metric names. A letter follows the prefix, so it may end in any character that
 * Prometheus accepts in a name. It may not be empty: metrics of vLLM would then have the names of NIXL's rings. */
static bool is_prefix(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || *c == ':' ||
              (c > text && *c >= '0' && *c <= '9')))
            return false;
    return *text && strlen(text) <= MOST_PREFIX_BYTES;
}

/* Whether a client can request this path: characters of a URL, without the segments "." and "..", which clients
 * resolve themselves. Normalises the path. */
static bool is_path(char *path)
{
    static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/";
    size_t length = strlen(path);
    if (path[0] != '/' || length > MOST_PATH_BYTES || strspn(path, may) != length || !target_normalise(path))
        return false;
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        size_t segment = strcspn(slash + 1, "/");
        if ((segment == 1 && slash[1] == '.') || (segment == 2 && slash[1] == '.' && slash[2] == '.'))
            return false;
    }
    return true;
}

static bool is_taken(const char *path)
{
    static const char *const paths[] = { "/", PATH_HEALTHY, PATH_READY, PATH_SUMMARY, PATH_HISTORY, PATH_STATS };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    for (size_t i = 0; i < page_file_count; i++)
        if (strcmp(page_files[i].path, path) == 0)
            return true;
    return false;
}

static int parse_telemetry_path(struct serve_options *options, char *path)
{
    if (!is_path(path))
        return command_usage(
            "serve",
            "--web.telemetry-path must be the path of a URL, which begins with / and does not contain a query; "
            "letters beyond ASCII must be %%-encoded; not \"%s\"",
            path);
    if (is_taken(path))
        return command_usage("serve", "--web.telemetry-path: \"%s\" is already in use for another page", path);
    options->telemetry_path = path;
    return -1;
}

static int parse_listen_address(struct serve_options *options, const char *address)
{
    if (options->address_count == LISTEN_ADDRESSES)
        return command_usage("serve", "at most %d addresses", LISTEN_ADDRESSES);
    for (size_t i = 0; i < options->address_count; i++)
        if (strcmp(options->addresses[i], address) == 0)
            return command_usage("serve", "--web.listen-address=%s is there twice", address);
    options->addresses[options->address_count++] = address;
    return -1;
}

static int parse_allowed_host(struct serve_options *options, const char *name)
{
    if (options->allowed_host_count == ALLOWED_HOSTS)
        return command_usage("serve", "at most %d allowed hosts", ALLOWED_HOSTS);
    if (!cross_site_is_name(name))
        return command_usage("serve", "--web.allowed-host is a name or an address without a port, not \"%s\"", name);
    options->allowed_hosts[options->allowed_host_count++] = name;
    return -1;
}

/* Parses the option's number. False: it is malformed or out of range. */
static bool parse_number(long lowest, long highest, long *value)
{
    char *end;
    *value = strtol(optarg, &end, 10);
    return end != optarg && !*end && *value >= lowest && *value <= highest;
}

static int parse_max_requests(struct serve_options *options)
{
    long value;
    if (!parse_number(0, 1000000, &value))
        return command_usage("serve", "--web.max-requests is a number from 0, not \"%s\"", optarg);
    options->max_requests = (unsigned)value;
    return -1;
}

static int parse_totals_limit(struct serve_options *options)
{
    long value;
    if (!parse_number(1, TOTALS_SERIES, &value))
        return command_usage("serve", "--store.totals-limit is a number from 1 to 262144, not \"%s\"", optarg);
    options->exporter.totals_limit = (size_t)value;
    return -1;
}

static int parse_stalled_after(struct serve_options *options)
{
    double seconds;
    if (!command_seconds(optarg, &seconds))
        return command_usage("serve", "--stalled.after is a time like 30s, or 0 for none, not \"%s\"", optarg);
    options->exporter.stalled_ns = (uint64_t)(seconds * 1e9);
    return -1;
}

static int parse_history(struct serve_options *options)
{
    double seconds;
    if (!command_seconds(optarg, &seconds) || (seconds > 0 && (seconds < HISTORY_LEAST || seconds > HISTORY_MOST)))
        return command_usage("serve", "--history.duration is a time from 1m to 24h, or 0 for none, not \"%s\"", optarg);
    options->exporter.history_seconds = seconds;
    return -1;
}

static int parse_histograms(struct kvtel_exposition_options *options)
{
    static const char *const kinds[] = {
        [KVTEL_HISTOGRAMS_BOTH] = "both", [KVTEL_HISTOGRAMS_CLASSIC] = "classic", [KVTEL_HISTOGRAMS_NATIVE] = "native"
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i], optarg) == 0) {
            options->histograms = (enum kvtel_histograms)i;
            return -1;
        }
    }
    return command_usage("serve", "--metrics.histograms is both, classic or native, not \"%s\"", optarg);
}

static int parse_exposition_option(struct kvtel_exposition_options *options, int option)
{
    long value;
    if (option == HISTOGRAMS)
        return parse_histograms(options);
    if (option == CREATED) {
        options->created = true;
        return -1;
    }
    if (option == NATIVE_SCHEMA) {
        if (!parse_number(KVTEL_NATIVE_SCHEMA_LEAST, KVTEL_NATIVE_SCHEMA_MOST, &value))
            return command_usage("serve", "--metrics.native-histogram-schema is a number from %d to %d, not \"%s\"",
                                 KVTEL_NATIVE_SCHEMA_LEAST, KVTEL_NATIVE_SCHEMA_MOST, optarg);
        options->native_schema = (int)value;
        return -1;
    }
    if (!parse_number(1, MOST_BUCKETS, &value))
        return command_usage("serve", "--metrics.native-histogram-max-buckets is a number from 1 to %d, not \"%s\"",
                             MOST_BUCKETS, optarg);
    options->most_buckets = (unsigned)value;
    return -1;
}

static int parse_log_option(struct serve_options *options, int option)
{
    if (option == LOG_INTERVAL)
        return command_seconds(optarg, &options->log_interval) &&
                       (options->log_interval == 0 || options->log_interval >= LEAST_LOG_INTERVAL)
                   ? -1
                   : command_usage("serve",
                                   "--log.interval is a time like 10s, at least 100ms, or 0 for no lines, not \"%s\"",
                                   optarg);
    if (option == LOG_LEVEL)
        return serve_log_level(optarg, &options->log_level)
                   ? -1
                   : command_usage("serve", "--log.level is debug, info, warn or error, not \"%s\"", optarg);
    if (option == LOG_STYLE) {
        if (strcmp(optarg, "default") != 0 && strcmp(optarg, "vllm") != 0)
            return command_usage("serve", "--log.style is default or vllm, not \"%s\"", optarg);
        options->log_style = strcmp(optarg, "vllm") == 0 ? KVTEL_LOG_VLLM : KVTEL_LOG_DEFAULT;
        return -1;
    }
    if (strcmp(optarg, "logfmt") != 0 && strcmp(optarg, "json") != 0)
        return command_usage("serve", "--log.format is logfmt or json, not \"%s\"", optarg);
    options->log_json = strcmp(optarg, "json") == 0;
    return -1;
}

static int parse_web_option(struct serve_options *options, int option)
{
    if (option == LISTEN)
        return parse_listen_address(options, optarg);
    if (option == ALLOWED_HOST)
        return parse_allowed_host(options, optarg);
    if (option == TELEMETRY_PATH)
        return parse_telemetry_path(options, optarg);
    if (option == PREFIX) {
        if (!is_prefix(optarg))
            return command_usage("serve",
                                 "--metrics.prefix has letters, digits, _ and :, at least one and at most %d, and does "
                                 "not begin with a digit, not \"%s\"",
                                 MOST_PREFIX_BYTES, optarg);
        options->exporter.prefix = optarg;
        return -1;
    }
    return parse_max_requests(options);
}

static int take_option(struct serve_options *options, int option)
{
    switch (option) {
    case STORE_DIR:
        options->exporter.store_dir = optarg;
        return *optarg ? -1 : command_usage("serve", "--store.dir is empty");
    case RANK_LABEL:
        options->exporter.rank_label = true;
        return -1;
    case TOTALS_LIMIT:
        return parse_totals_limit(options);
    case STALLED_AFTER:
        return parse_stalled_after(options);
    case HISTORY:
        return parse_history(options);
    case NIXL_DIR:
        options->exporter.nixl_dir = optarg;
        return *optarg ? -1 : command_usage("serve", "--nixl.telemetry-dir is empty");
    case NIXL_AGENT:
        options->exporter.nixl_agent_label = true;
        return -1;
    case NIXL_PEER:
        options->exporter.nixl_peer_label = true;
        return -1;
    case RECEIVER:
        options->exporter.stats_receiver = true;
        return -1;
    case SYSTEMD:
        options->systemd_socket = true;
        return -1;
    case WEB_CONFIG:
        options->web_config = optarg;
        return *optarg ? -1
                       : command_usage("serve",
                                       "--web.config.file is empty; without the flag there is neither TLS nor users");
    case OTLP_ENDPOINT:
        options->otlp_endpoint = optarg;
        return -1;
    case OPEN_PROBES:
        options->open_probes = true;
        return -1;
    case CONNECTOR_FILE:
        return command_load_connector(optarg) ? -1 : EXIT_FAILED;
    case NO_OWN_METRICS:
        options->exporter.own_metrics = false;
        return -1;
    case VERSION:
        printf("kvtel, version %s\n", kvtel_version());
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    case HELP:
    case 'h':
        fputs(command_serve_help, stdout);
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    case LISTEN:
    case ALLOWED_HOST:
    case TELEMETRY_PATH:
    case PREFIX:
    case MAX_REQUESTS:
        return parse_web_option(options, option);
    case HISTOGRAMS:
    case NATIVE_SCHEMA:
    case NATIVE_BUCKETS:
    case CREATED:
        return parse_exposition_option(&options->exporter.exposition, option);
    case LOG_INTERVAL:
    case LOG_LEVEL:
    case LOG_STYLE:
    case LOG_FORMAT:
        return parse_log_option(options, option);
    default:
        return EXIT_USAGE;
    }
}

int serve_options_parse(struct serve_options *options, int argc, char **argv)
{
    struct kvtel_error error = { 0 };
    *options = (struct serve_options){
        .exporter = { .prefix = "vllm:",
                      .own_metrics = true,
                      .totals_limit = TOTALS_DEFAULT_LIMIT,
                      .stalled_ns = UINT64_C(30000000000),
                      .history_seconds = 3600,
                      .exposition = kvtel_exposition_defaults(KVTEL_FORMAT_TEXT) },
        .telemetry_path = "/metrics",
        .max_requests = 40,
        .log_interval = 10,
        .log_level = WEB_LOG_INFO,
    };
    for (int option; (option = command_option(argc, argv, table)) != -1;) {
        int code = take_option(options, option);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return command_usage("serve", "it takes no argument, only options; what is \"%s\" for?", argv[optind]);
    if (options->systemd_socket && options->address_count > 0)
        return command_usage("serve", "--web.systemd-socket and --web.listen-address exclude each other");
    command_load_connector_path();
    if (options->address_count == 0)
        options->addresses[options->address_count++] = "127.0.0.1:9466";
    if (kvtel_store_default_dir(options->exporter.store_dir, options->store_dir, sizeof options->store_dir) == 0)
        return command_usage("serve", "the name of the store directory is too long");
    options->exporter.default_store_dir = kvtel_store_dir_is_default(options->exporter.store_dir);
    options->exporter.store_dir = options->store_dir;
    if (otlp_settings_read(&options->otlp, options->otlp_endpoint, &error) != KVTEL_OK)
        return command_usage("serve", "%s", error.message);
    return -1;
}
