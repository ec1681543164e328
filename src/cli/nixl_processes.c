/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that have loaded NIXL, and whether kvtel's plug-in is in them. */
#include "cli/nixl_processes.h"

#include "cli/nixl_places.h"
#include "command/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a process has mapped. */
struct maps {
    bool nixl, halves[NIXL_HALVES];
    char plugin[PATH_MAX];
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void look_at(struct maps *maps, char *line)
{
    char *path = strchr(line, '/');
    if (!path)
        return;
    path[strcspn(path, "\n")] = 0;
    const char *name = base_name(path);
    bool is_plugin = strncmp(name, "libkvtel_nixl.so", strlen("libkvtel_nixl.so")) == 0;
    for (int i = 0; i < NIXL_HALVES; i++)
        is_plugin = is_plugin || strcmp(name, nixl_link_names[i]) == 0;
    maps->nixl = maps->nixl || strncmp(name, "libnixl.so", strlen("libnixl.so")) == 0;
    if (is_plugin)
        (void)snprintf(maps->plugin, sizeof maps->plugin, "%s", path);
}

/* errno, or 0. A process that has ended meanwhile has no maps, which is ESRCH or ENOENT. */
static int read_maps(struct maps *maps, const char *process)
{
    char path[64], *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "/proc/%s/maps", process);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno;
    errno = 0;
    while (getline(&line, &room, file) >= 0)
        look_at(maps, line);
    const int error = ferror(file) ? errno : 0;
    free(line);
    (void)fclose(file);
    return error;
}

/* A process's variable of its start; "" where it has none or may not be looked at. */
static void read_variable(const char *process, const char *name, char *value, size_t size)
{
    char path[64], *text = NULL;
    size_t room = 0;
    *value = 0;
    (void)snprintf(path, sizeof path, "/proc/%s/environ", process);
    FILE *file = fopen(path, "re");
    while (file && getdelim(&text, &room, 0, file) >= 0)
        if (strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '=')
            (void)snprintf(value, size, "%s", text + strlen(name) + 1);
    free(text);
    if (file)
        (void)fclose(file);
}

static void print_process(const char *process, const struct maps *maps)
{
    static const char *const variables[] = { "NIXL_TRACE_BACKENDS", "NIXL_TELEMETRY_EXPORTER", "NIXL_PLUGIN_DIR",
                                             "KVTEL_STORE_DIR" };
    char path[64], name[64] = "?", value[PATH_MAX];
    (void)snprintf(path, sizeof path, "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file && fgets(name, sizeof name, file))
        name[strcspn(name, "\n")] = 0;
    if (file)
        (void)fclose(file);
    printf("  %s ", process);
    command_print_name(name);
    fputs(*maps->plugin ? ": has loaded " : ": has loaded NIXL without kvtel", stdout);
    command_print_name(maps->plugin);
    putchar('\n');
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        read_variable(process, variables[i], value, sizeof value);
        if (!*value)
            continue;
        printf("    %s=", variables[i]);
        command_print_name(value);
        putchar('\n');
    }
}

struct count {
    size_t shown, hidden;
};

static bool look_at_process(void *context, const char *process)
{
    struct count *count = context;
    struct maps maps = { 0 };
    if (strspn(process, "0123456789") != strlen(process))
        return true;
    const int error = read_maps(&maps, process);
    count->hidden += error == EACCES || error == EPERM;
    if (!maps.nixl && !*maps.plugin)
        return true;
    count->shown++;
    print_process(process, &maps);
    return true;
}

void nixl_processes_print(void)
{
    struct count count = { 0 };
    puts("processes:");
    (void)nixl_each_name("/proc", "", "", look_at_process, &count);
    if (count.shown == 0)
        puts("  none has loaded NIXL");
    if (count.hidden > 0)
        printf("  %zu cannot be looked at by this user\n", count.hidden);
}
