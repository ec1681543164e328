/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel connectors: lists the connectors that are known, and prints their tables as JSON. */
#include "command/command.h"

#include "base/buffer.h"

#include <kvtel/connector_file.h>
#include <string.h>

const char command_connectors_help[] =
    "usage: kvtel connectors [OPTION...] [NAME...]\n"
    "\n"
    "Lists the connectors that have a table. With names, prints their tables as JSON: the form of a connector file, "
    "from\n"
    "which a table of your own can begin.\n"
    "\n"
    "  --connector.file=FILE     a table of your own, as JSON, repeatable; also from $KVTEL_CONNECTOR_PATH\n"
    "  --help                    this text\n"
    "\n"
    "examples:\n"
    "  kvtel connectors\n"
    "  kvtel connectors NixlConnector > my.json\n"
    "\n"
    "exit codes: 0 good, 1 failed, 2 wrong usage\n";

/* Prints JSON with a line for each member of the table and each entry of its lists. */
static void print_json(const char *json, size_t size)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = json[i];
        if (quoted && c == '\\' && i + 1 < size) {
            putchar(c);
            c = json[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == ']' || c == '}')) {
            depth--;
        }
        putchar(c);
        if (quoted)
            continue;
        depth += c == '[' || c == '{';
        bool breaks = (c == '{' && depth == 1) || (c == '[' && depth == 2) || (c == ',' && depth <= 2);
        if (breaks) {
            printf("\n%*s", (int)(2 * depth), "");
            i += c == ',' && i + 1 < size && json[i + 1] == ' ';
        }
    }
    putchar('\n');
}

static bool print_table(const char *name)
{
    const struct kvtel_connector *table = kvtel_connector_find(name);
    struct kvtel_buffer json = { 0 };
    enum kvtel_status status = table ? kvtel_connector_encode(table, &json) : KVTEL_E_UNKNOWN;
    if (status == KVTEL_OK)
        print_json(json.bytes, json.size);
    else
        command_fail("%s: %s", name, table ? kvtel_status_text(status) : "no table has this name");
    kvtel_buffer_free(&json);
    return status == KVTEL_OK;
}

static void list_names(void)
{
    static const char *const payloads[] = { "no stats", "columns", "rows", "counts", "typed", "children" };
    const struct kvtel_connector *table;
    for (size_t i = 0; (table = kvtel_connector_at(i)); i++)
        for (const struct kvtel_connector_name *name = table->names; name->name; name++) {
            command_print_name(name->name);
            printf(" (%s)\n", payloads[table->payload_kind]);
        }
}

int command_connectors(int argc, char **argv)
{
    int ended = command_connector_options(argc, argv, command_connectors_help);
    if (ended >= 0)
        return ended;
    command_load_connector_path();
    bool good = true;
    if (optind == argc)
        list_names();
    for (int i = optind; i < argc; i++)
        good &= print_table(argv[i]);
    return command_close(stdout, "standard output") && good ? EXIT_GOOD : EXIT_FAILED;
}
