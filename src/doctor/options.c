/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of kvtel doctor. */
#include "doctor/options.h"

#include "command/command.h"
#include "top/url.h"

#include <kvtel/store.h>
#include <stdlib.h>

const char command_doctor_help[] =
    "usage: kvtel doctor [OPTION...]\n"
    "\n"
    "Says what kvtel sees on this machine, what it means, and what to do next: the directory of stores, stores, "
    "NIXL's\n"
    "rings and plug-in, processes, limits, and the exporter and who scrapes it. Changes nothing. What it may not read\n"
    "it says.\n"
    "\n"
    "  --store.dir=DIR            directory of stores; default: $KVTEL_STORE_DIR, else a directory of this user in\n"
    "                             shared memory\n"
    "  --nixl.telemetry-dir=DIR   look at NIXL's telemetry rings too; default: $NIXL_TELEMETRY_DIR; nothing is taken "
    "out\n"
    "  --url=URL                  the exporter: http://HOST:PORT or https://HOST:PORT; default: "
    "http://127.0.0.1:9466\n"
    "  --url.user=NAME            user of the exporter\n"
    "  --url.password-file=FILE   file whose first line is the user's password\n"
    "  --url.ca-file=FILE         certificates (PEM) that may sign the exporter's; default: those of the system\n"
    "  --url.cert-file=FILE       certificate (PEM) to show to the exporter\n"
    "  --url.key-file=FILE        its key (PEM)\n"
    "  --root=DIR                 a directory that has the machine's /proc, /etc, /run, /usr and /var, such as the "
    "host's "
    "in a\n"
    "                             container\n"
    "  --json                     print the findings as JSON\n"
    "  --list                     print all findings that there are, with what they mean\n"
    "  --help                     this text\n"
    "\n"
    "examples:\n"
    "  kvtel doctor\n"
    "  kvtel doctor --url=https://10.0.0.7:9466 --url.user=ops --url.password-file=/etc/kvtel/password\n"
    "  kvtel doctor --json | jq '.findings[] | select(.state == \"problem\")'\n"
    "\n"
    "exit codes: 0 no problem was found, 1 a problem was found, 2 wrong usage\n";

enum option_id { STORE_DIR = 256, NIXL_DIR, ROOT, JSON, LIST, HELP };

static const struct option table[] = {
    { "store.dir", required_argument, NULL, STORE_DIR },
    { "nixl.telemetry-dir", required_argument, NULL, NIXL_DIR },
    TOP_URL_FLAGS,
    { "root", required_argument, NULL, ROOT },
    { "json", no_argument, NULL, JSON },
    { "list", no_argument, NULL, LIST },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

/* An option that has a text alone. False: another one. */
static bool take_text(struct doctor_options *options, int option, const char **dir)
{
    const struct {
        int option;
        const char **text;
    } texts[] = {
        { STORE_DIR, dir },
        { NIXL_DIR, &options->nixl_dir },
        { ROOT, &options->root },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].option == option) {
            *texts[i].text = optarg;
            return true;
        }
    return top_url_take(option, optarg, &options->remote);
}

static int take(struct doctor_options *options, int option, const char **dir)
{
    if (take_text(options, option, dir))
        return -1;
    options->json = options->json || option == JSON;
    options->list = options->list || option == LIST;
    switch (option) {
    case TOP_FLAG_URL:
        options->has_url = true;
        return top_url_parse("doctor", optarg, options->url, sizeof options->url);
    case TOP_FLAG_PASSWORD:
        options->remote.password = options->password;
        return top_url_password(optarg, options->password, sizeof options->password);
    case HELP:
        fputs(command_doctor_help, stdout);
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    case JSON:
    case LIST:
        return -1;
    default:
        return EXIT_USAGE; /* said already */
    }
}

static int check(struct doctor_options *options, const char *dir)
{
    const char *variable = getenv("KVTEL_STORE_DIR"), *rings = getenv("NIXL_TELEMETRY_DIR");
    if (dir && !*dir)
        return command_usage("doctor", "--store.dir is empty");
    if (options->nixl_dir && !*options->nixl_dir)
        return command_usage("doctor", "--nixl.telemetry-dir is empty");
    const int code = top_url_check("doctor", options->has_url, &options->remote);
    if (code >= 0)
        return code;
    if (kvtel_store_default_dir(dir, options->store_dir, sizeof options->store_dir) == 0)
        return command_usage("doctor", "the name of the store directory is too long");
    options->default_dir = !dir && !(variable && *variable);
    if (!options->nixl_dir && rings && *rings)
        options->nixl_dir = rings;
    return -1;
}

int doctor_options_parse(int argc, char **argv, struct doctor_options *options)
{
    const char *dir = NULL;
    int ended = -1;
    *options = (struct doctor_options){ .url = "http://127.0.0.1:9466", .root = "" };
    for (int option; ended < 0 && (option = command_option(argc, argv, table)) != -1;)
        ended = take(options, option, &dir);
    if (ended >= 0)
        return ended;
    if (optind < argc)
        return command_usage("doctor", "it takes no argument \"%s\"", argv[optind]);
    return check(options, dir);
}
