/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel top. */
#include "top/options.h"

#include "command/command.h"
#include "top/url.h"
#include "top/view.h"

#include <kvtel/store.h>
#include <string.h>

const char command_top_help[] =
    "usage: kvtel top [OPTION...]\n"
    "\n"
    "Shows what connectors record, in a terminal: transfers and bytes per second, times, transfers in flight and\n"
    "failures of each connector, engine and flow. Reads this machine's stores without an exporter, or an exporter.\n"
    "'?' lists the keys, 'p' shows the peers of transfers.\n"
    "\n"
    "sources\n"
    "  --store.dir=DIR            directory of stores; default: $KVTEL_STORE_DIR, else a directory of this user in\n"
    "                             shared memory\n"
    "  --nixl.telemetry-dir=DIR   read NIXL's telemetry rings too; events that nothing else reads are taken out of\n"
    "                             the rings, and an exporter that starts later does not count them\n"
    "  --connector.file=FILE      a connector's table as JSON, repeatable; also from $KVTEL_CONNECTOR_PATH\n"
    "  --url=URL                  read an exporter instead: http://HOST:PORT or https://HOST:PORT\n"
    "  --url.user=NAME            user of the exporter\n"
    "  --url.password-file=FILE   file whose first line is the user's password\n"
    "  --url.ca-file=FILE         certificates (PEM) that may sign the exporter's; default: those of the system\n"
    "  --url.cert-file=FILE       certificate (PEM) to show to the exporter\n"
    "  --url.key-file=FILE        its key (PEM)\n"
    "\n"
    "view\n"
    "  --interval=TIME            time between two readings: 1s (default), 500ms, 1m; at least 100ms\n"
    "  --sort=KEY                 connector (default), transfers, bytes, p50, p90, p99, open, failed\n"
    "  --filter=TEXT              only rows whose connector, model, engine or flow contains the text\n"
    "  --ascii                    no characters beyond ASCII; default where the locale is not UTF-8\n"
    "  --once                     print the table once, with the counts since they began, and end\n"
    "  --json                     with --once: print the summary that /api/v1/summary answers\n"
    "  --help                     this text\n"
    "\n"
    "$NO_COLOR, if set and not empty, turns colors off.\n"
    "\n"
    "examples:\n"
    "  kvtel top\n"
    "  kvtel top --url=http://10.0.0.7:9466 --sort=p99\n"
    "  kvtel top --once --json | jq '.connectors[].failures'\n"
    "\n"
    "exit codes: 0 ended by a key or a signal, 1 failed, 2 wrong usage\n";

enum option_id { STORE_DIR = 256, NIXL_DIR, CONNECTOR_FILE, INTERVAL, SORT, FILTER, ASCII, ONCE, JSON, HELP };

static const struct option table[] = {
    { "store.dir", required_argument, NULL, STORE_DIR },
    { "nixl.telemetry-dir", required_argument, NULL, NIXL_DIR },
    { "connector.file", required_argument, NULL, CONNECTOR_FILE },
    TOP_URL_FLAGS,
    { "interval", required_argument, NULL, INTERVAL },
    { "sort", required_argument, NULL, SORT },
    { "filter", required_argument, NULL, FILTER },
    { "ascii", no_argument, NULL, ASCII },
    { "once", no_argument, NULL, ONCE },
    { "json", no_argument, NULL, JSON },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

/* Makes the URL of the summary, and one to show. */
static int parse_url(struct top_options *options, const char *text)
{
    const int code = top_url_parse("top", text, options->shown_url, sizeof options->shown_url);
    if (code >= 0)
        return code;
    (void)snprintf(options->url, sizeof options->url, "%s/api/v1/summary", options->shown_url);
    (void)snprintf(options->past_url, sizeof options->past_url, "%s/api/v1/history", options->shown_url);
    options->is_remote = true;
    return -1;
}

static int parse_interval(struct top_options *options)
{
    if (command_seconds(optarg, &options->interval) && options->interval >= 0.1 && options->interval <= 86400)
        return -1;
    return command_usage("top", "--interval is a time like 1s, from 100ms to 24h, not \"%s\"", optarg);
}

static int parse_sort(struct top_options *options)
{
    options->sort = top_sort_find(optarg);
    if (options->sort >= 0)
        return -1;
    return command_usage("top", "--sort is connector, transfers, bytes, p50, p90, p99, open or failed, not \"%s\"",
                         optarg);
}

/* An option that has a text alone. False: another one. */
static bool take_text(struct top_options *options, int option)
{
    const struct {
        int option;
        const char **text;
    } texts[] = {
        { STORE_DIR, &options->local.dir },
        { NIXL_DIR, &options->local.nixl_dir },
        { FILTER, &options->filter },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].option == option) {
            *texts[i].text = optarg;
            return true;
        }
    return top_url_take(option, optarg, &options->remote);
}

static int take(struct top_options *options, int option)
{
    if (take_text(options, option))
        return -1;
    options->ascii = options->ascii || option == ASCII;
    options->once = options->once || option == ONCE;
    options->json = options->json || option == JSON;
    switch (option) {
    case TOP_FLAG_URL:
        return parse_url(options, optarg);
    case TOP_FLAG_PASSWORD:
        options->remote.password = options->password;
        return top_url_password(optarg, options->password, sizeof options->password);
    case INTERVAL:
        return parse_interval(options);
    case SORT:
        return parse_sort(options);
    case CONNECTOR_FILE:
        return command_load_connector(optarg) ? -1 : EXIT_FAILED;
    case HELP:
        fputs(command_top_help, stdout);
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    case ASCII:
    case ONCE:
    case JSON:
        return -1;
    default:
        return EXIT_USAGE; /* said already */
    }
}

/* Whether the flags go together. */
static int check(struct top_options *options)
{
    if (options->json && !options->once)
        return command_usage("top", "--json goes with --once");
    if (options->is_remote && (options->local.dir || options->local.nixl_dir))
        return command_usage("top", "--url excludes --store.dir and --nixl.telemetry-dir: it reads an exporter");
    const int code = top_url_check("top", options->is_remote, &options->remote);
    if (code >= 0)
        return code;
    if (options->local.dir && !*options->local.dir)
        return command_usage("top", "--store.dir is empty");
    if (kvtel_store_default_dir(options->local.dir, options->store_dir, sizeof options->store_dir) == 0)
        return command_usage("top", "the name of the store directory is too long");
    options->local.dir = options->store_dir;
    options->remote.url = options->url;
    options->remote.past_url = options->past_url;
    return -1;
}

int top_options_parse(int argc, char **argv, struct top_options *options)
{
    int ended = -1;
    *options = (struct top_options){ .interval = 1 };
    for (int option; ended < 0 && (option = command_option(argc, argv, table)) != -1;)
        ended = take(options, option);
    if (ended >= 0)
        return ended;
    if (optind < argc)
        return command_usage("top", "it takes no argument \"%s\"", argv[optind]);
    return check(options);
}
