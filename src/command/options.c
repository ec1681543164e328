/* SPDX-License-Identifier: Apache-2.0 */
/* Reading flags, and what to say of one that is not there. */
#include "command/command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64, MOST_EDITS = 3 };

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* How many characters must be put in, taken out, replaced or exchanged with their neighbour to make one text of the
 * other. */
static size_t edits(const char *one, const char *other)
{
    const size_t rows = strlen(one), columns = strlen(other);
    size_t cost[LONGEST + 1][LONGEST + 1];
    if (rows > LONGEST || columns > LONGEST)
        return SIZE_MAX;
    for (size_t i = 0; i <= rows; i++)
        cost[i][0] = i;
    for (size_t k = 0; k <= columns; k++)
        cost[0][k] = k;
    for (size_t i = 1; i <= rows; i++) {
        for (size_t k = 1; k <= columns; k++) {
            cost[i][k] =
                least(least(cost[i - 1][k], cost[i][k - 1]) + 1, cost[i - 1][k - 1] + (one[i - 1] != other[k - 1]));
            if (i > 1 && k > 1 && one[i - 1] == other[k - 2] && one[i - 2] == other[k - 1])
                cost[i][k] = least(cost[i][k], cost[i - 2][k - 2] + 1);
        }
    }
    return cost[rows][columns];
}

const char *command_nearest(const char *given, command_name_fn name_at, const void *context)
{
    const char *nearest = NULL, *name;
    size_t best = least(MOST_EDITS, 1 + strlen(given) / 4) + 1;
    for (size_t i = 0; (name = name_at(context, i)); i++) {
        const char *dot = strchr(name, '.');
        /* a flag is also known by what follows its group */
        size_t distance = least(edits(given, name), dot ? edits(given, dot + 1) : SIZE_MAX);
        if (distance < best && distance < strlen(given)) {
            best = distance;
            nearest = name;
        }
    }
    return nearest;
}

static const char *option_at(const void *context, size_t i)
{
    return ((const struct option *)context)[i].name;
}

/* How many flags begin with the name, which is `size` long. */
static size_t count_beginning(const struct option *table, const char *name, size_t size)
{
    size_t count = 0;
    for (; table->name; table++)
        count += strncmp(table->name, name, size) == 0;
    return count;
}

static const struct option *find_value(const struct option *table, int value)
{
    for (; table->name; table++)
        if (table->val == value)
            return table;
    return NULL;
}

/* Says what is wrong with the flag that getopt_long() refused. `argv[0]` is "kvtel COMMAND". */
static void explain(char **argv, const struct option *table, int refused)
{
    const char *space = strrchr(argv[0], ' '), *command = space ? space + 1 : argv[0];
    const char *given = argv[optind - 1];
    const struct option *known = optopt ? find_value(table, optopt) : NULL;
    char name[LONGEST + 1];
    if (refused == ':' && known) {
        (void)command_usage(command, "option '--%s' requires an argument", known->name);
    } else if (known) {
        (void)command_usage(command, "option '--%s' doesn't allow an argument", known->name);
    } else if (optopt || strncmp(given, "--", 2) != 0) {
        (void)command_usage(command, "invalid option -- '%c'", optopt ? optopt : '?');
    } else {
        size_t size = strcspn(given + 2, "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)least(size, LONGEST), given + 2);
        const char *nearest = size <= LONGEST ? command_nearest(name, option_at, table) : NULL;
        if (count_beginning(table, given + 2, size) > 1)
            (void)command_usage(command, "option '--%s' is ambiguous: more than one begins like this", name);
        else if (nearest)
            (void)command_usage(command, "unrecognized option '--%s'; did you mean --%s?", name, nearest);
        else
            (void)command_usage(command, "unrecognized option '--%s'", name);
    }
}

int command_option(int argc, char **argv, const struct option *table)
{
    opterr = 0;
    int option = getopt_long(argc, argv, ":h", table, NULL);
    if (option == '?' || option == ':') {
        explain(argv, table, option);
        return '?';
    }
    for (const struct option *help = table; option == 'h' && help->name; help++)
        if (strcmp(help->name, "help") == 0)
            return help->val;
    return option;
}

bool command_seconds(const char *text, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "m", 60 }, { "h", 3600 } };
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0 && value >= 0 && isfinite(value) && value * units[i].seconds < 1e6) {
            *seconds = value * units[i].seconds;
            return true;
        }
    return false;
}
