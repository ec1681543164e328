/* SPDX-License-Identifier: Apache-2.0 */
/* Loading connectors' tables for a command. */
#include "command/command.h"

#include <kvtel/connector_file.h>

static void tell(void *context, const char *file, const struct kvtel_error *error)
{
    (void)context;
    if (error->line > 0)
        command_fail("%s:%u:%u: %s", file, error->line, error->column, error->message);
    else
        command_fail("%s: %s", file, error->message);
}

bool command_load_connector(const char *file)
{
    struct kvtel_error error = { 0 };
    if (kvtel_connector_load(file, true, &error) == KVTEL_OK)
        return true;
    tell(NULL, file, &error);
    return false;
}

void command_load_connector_path(void)
{
    (void)kvtel_connector_load_path(NULL, tell, NULL);
}
