/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel nixl: puts the plug-in where NIXL finds it, takes it away, and tells what is there. */
#include "machine/nixl_places.h"
#include "cli/nixl_processes.h"
#include "command/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char command_nixl_help[] =
    "usage: kvtel nixl install [OPTION...]\n"
    "       kvtel nixl status [OPTION...]\n"
    "       kvtel nixl uninstall [OPTION...]\n"
    "\n"
    "install makes links to libkvtel_nixl.so in NIXL's directory of plug-ins and prints the variables to start an "
    "engine\n"
    "with. status tells which NIXL is there, which plug-ins it would find, and what running processes have loaded.\n"
    "uninstall removes the links.\n"
    "\n"
    "Without an option each NIXL of the Python environments of this user is meant.\n"
    "\n"
    "  --site-packages=DIR  a directory of Python packages with a NIXL, repeatable\n"
    "  --plugins=DIR        NIXL's directory of plug-ins itself, where NIXL is no Python package, repeatable\n"
    "  --shadow=DIR         install: leave NIXL's directory as it is, and make one in DIR that has its plug-ins and\n"
    "                       kvtel's; NIXL_PLUGIN_DIR leads there. uninstall: remove it\n"
    "  --plugin=FILE        libkvtel_nixl.so; without it the one beside this program, in its lib/kvtel or in the\n"
    "                       Python package kvtel\n"
    "  --help               this text\n"
    "\n"
    "examples:\n"
    "  kvtel nixl install\n"
    "  kvtel nixl install --site-packages=/opt/venv/lib/python3.12/site-packages --shadow=/run/kvtel/nixl\n"
    "  kvtel nixl status\n"
    "\n"
    "exit codes: 0 good, 1 failed, 2 wrong usage\n";

struct nixl_options {
    struct nixl_places places;
    bool named; /* places were named */
    const char *shadow, *plugin;
};

/* -- The plug-in's file -- */

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The absolute path of the file that links lead to. */
static bool find_plugin(const struct nixl_options *options, char *found)
{
    static const char *const beside[] = { "libkvtel_nixl.so", "../" KVTEL_LIBDIR "/kvtel/libkvtel_nixl.so" };
    char program[PATH_MAX], path[PATH_MAX];
    if (options->plugin)
        return is_file(options->plugin) && realpath(options->plugin, found);
    const ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = size > 0 ? (program[size] = 0, strrchr(program, '/')) : NULL;
    if (slash)
        *slash = 0;
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++)
        if (nixl_path(path, program, beside[i]) && is_file(path) && realpath(path, found))
            return true;
    for (size_t i = 0; i < options->places.count; i++)
        if (*options->places.all[i].site && nixl_path(path, options->places.all[i].site, "kvtel/libkvtel_nixl.so") &&
            is_file(path) && realpath(path, found))
            return true;
    return false;
}

/* -- Links -- */

/* Makes the link, in place of one that is there. Something else of that name stays, and is an error. */
static bool make_link(const char *target, const char *dir, const char *name)
{
    char path[PATH_MAX], temporary[PATH_MAX], made[64];
    struct stat status;
    (void)snprintf(made, sizeof made, ".%.32s.%ld", name, (long)getpid());
    if (!nixl_path(path, dir, name) || !nixl_path(temporary, dir, made)) {
        command_fail("%s: the path is too long", dir);
        return false;
    }
    if (lstat(path, &status) == 0 && !S_ISLNK(status.st_mode)) {
        command_fail("%s is there and is no link: remove it", path);
        return false;
    }
    if (symlink(target, temporary) == 0 && rename(temporary, path) == 0)
        return true;
    const int error = errno;
    (void)unlink(temporary);
    command_fail("%s: %s%s", path, strerror(error),
                 error == EACCES || error == EROFS || error == EPERM ? "; --shadow=DIR makes a directory elsewhere"
                                                                     : "");
    return false;
}

/* Links to the plug-in by the names that this NIXL loads. */
static bool make_links(const struct nixl_place *place, const char *plugin, const char *dir)
{
    bool any = false;
    for (int half = 0; half < NIXL_HALVES; half++) {
        if (!nixl_place_loads(place, half))
            continue;
        if (!make_link(plugin, dir, nixl_link_names[half]))
            return false;
        any = true;
    }
    if (!any)
        command_fail("NIXL %s in %s loads no plug-ins of others: 1.3 and later do; kvtel reads its rings",
                     place->version, place->plugins);
    return any;
}

/* Removes a link of kvtel's. True: it is gone, or was not there. */
static bool remove_link(const char *dir, const char *name, bool *removed)
{
    char path[PATH_MAX];
    struct stat status;
    if (!nixl_path(path, dir, name) || lstat(path, &status) != 0)
        return true;
    if (!S_ISLNK(status.st_mode)) {
        command_fail("%s is no link: it stays", path);
        return false;
    }
    if (unlink(path) != 0) {
        command_fail("%s: %s", path, strerror(errno));
        return false;
    }
    *removed = true;
    return true;
}

/* -- A shadow of NIXL's directory -- */

/* DIR/m/plugins, and beside m the package's own libraries: its plug-ins look for them in ../../PACKAGE.libs. */
static bool shadow_path(const char *shadow, char *middle, char *plugins)
{
    return nixl_path(middle, shadow, "m") && nixl_path(plugins, middle, "plugins");
}

struct linking {
    const char *from, *to;
    bool good;
};

static bool link_one(void *context, const char *name)
{
    struct linking *linking = context;
    char target[PATH_MAX];
    linking->good = nixl_path(target, linking->from, name) && make_link(target, linking->to, name);
    return linking->good;
}

static bool make_directory(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return true;
    command_fail("%s: %s", path, strerror(errno));
    return false;
}

static bool make_shadow(const struct nixl_place *place, const char *plugin, const char *shadow, char *dir)
{
    char middle[PATH_MAX], libraries[PATH_MAX], name[80], whole[PATH_MAX], from[PATH_MAX], site[PATH_MAX];
    if (!make_directory(shadow) || !realpath(shadow, whole) || !shadow_path(whole, middle, dir) ||
        !make_directory(middle) || !make_directory(dir))
        return false;
    if (!realpath(place->plugins, from) || (*place->site && !realpath(place->site, site))) {
        command_fail("%s: %s", place->plugins, strerror(errno));
        return false;
    }
    struct linking linking = { from, dir, true };
    (void)nixl_each_name(from, "lib", ".so", link_one, &linking);
    if (!linking.good)
        return false;
    (void)snprintf(name, sizeof name, "%s.libs", place->package);
    if (*place->site && nixl_path(libraries, site, name) && !make_link(libraries, whole, name))
        return false;
    return make_links(place, plugin, dir);
}

static bool unlink_one(void *context, const char *name)
{
    struct linking *linking = context;
    bool removed = false;
    linking->good = remove_link(linking->to, name, &removed) && linking->good;
    return true;
}

static int remove_shadow(const char *shadow)
{
    char middle[PATH_MAX], dir[PATH_MAX];
    struct linking plugins = { NULL, dir, true }, libraries = { NULL, shadow, true };
    if (!shadow_path(shadow, middle, dir))
        return command_fail("%s: the path is too long", shadow);
    (void)nixl_each_name(dir, "lib", ".so", unlink_one, &plugins);
    (void)nixl_each_name(shadow, "nixl", ".libs", unlink_one, &libraries);
    if (!plugins.good || !libraries.good)
        return EXIT_FAILED;
    if (rmdir(dir) != 0 || rmdir(middle) != 0 || rmdir(shadow) != 0)
        return command_fail("%s: %s", shadow, strerror(errno));
    printf("removed ");
    command_print_name(shadow);
    putchar('\n');
    return EXIT_GOOD;
}

/* -- The three tasks -- */

static void print_place(const char *before, const struct nixl_place *place)
{
    printf("%sNIXL %s in ", before, *place->version ? place->version : "(version not known)");
    command_print_name(*place->site ? place->site : place->plugins);
    putchar('\n');
}

/* The variables to start an engine with. `shadow`: the directory for NIXL_PLUGIN_DIR, or NULL. */
static void print_variables(const struct nixl_place *place, const char *shadow)
{
    const bool traces = nixl_place_loads(place, 0);
    const char *const trace = traces ? "NIXL_TRACE_BACKENDS=kvtel" : "";
    const char *const both =
        traces ? "NIXL_TRACE_BACKENDS=kvtel NIXL_TELEMETRY_EXPORTER=kvtel" : "NIXL_TELEMETRY_EXPORTER=kvtel";
    puts("start the engine with");
    if (shadow) {
        printf("  NIXL_PLUGIN_DIR=");
        command_print_name(shadow);
        puts("  and");
    }
    printf("  vLLM          %s KVTEL_NIXL=1\n", both);
    printf("  Dynamo        %s\n", traces ? trace : "(its operator sets NIXL's own exporter: nothing for this NIXL)");
    printf("  SGLang        NIXL_TELEMETRY_ENABLE=y %s\n", both);
    printf("  TensorRT-LLM  NIXL_TELEMETRY_ENABLE=y %s\n", both);
    puts("  a container   the same by -e, and -e KVTEL_STORE_DIR=/run/kvtel -v /run/kvtel:/run/kvtel\n"
         "and read it with\n"
         "  kvtel serve");
}

static int install(struct nixl_options *options)
{
    char plugin[PATH_MAX], dir[PATH_MAX];
    int code = EXIT_GOOD;
    if (options->places.count == 0)
        return command_fail("no NIXL was found: --site-packages=DIR or --plugins=DIR says where it is");
    if (options->shadow && options->places.count > 1)
        return command_fail("a shadow is of one NIXL, and %zu were found: --site-packages=DIR says which",
                            options->places.count);
    if (!find_plugin(options, plugin))
        return command_fail(options->plugin ? "%s is no file"
                                            : "%s is not beside this program: --plugin=FILE says where it is",
                            options->plugin ? options->plugin : "libkvtel_nixl.so");
    for (size_t i = 0; i < options->places.count; i++) {
        const struct nixl_place *place = &options->places.all[i];
        const bool made = options->shadow ? make_shadow(place, plugin, options->shadow, dir)
                                          : make_links(place, plugin, place->plugins);
        if (!made) {
            code = EXIT_FAILED;
            continue;
        }
        print_place("", place);
        printf("  ");
        command_print_name(options->shadow ? dir : place->plugins);
        printf(" has links to ");
        command_print_name(plugin);
        putchar('\n');
        print_variables(place, options->shadow ? dir : NULL);
    }
    return code;
}

static void print_half(const struct nixl_place *place, int half)
{
    char path[PATH_MAX], target[PATH_MAX];
    struct stat status;
    if (!nixl_path(path, place->plugins, nixl_link_names[half]))
        return;
    printf("  %s: ", nixl_link_names[half]);
    const ssize_t size = readlink(path, target, sizeof target - 1);
    target[size > 0 ? size : 0] = 0;
    if (!nixl_place_loads(place, half))
        fputs("this NIXL does not load it", stdout);
    else if (stat(path, &status) == 0)
        fputs(size > 0 ? "a link to " : "a file", stdout);
    else
        fputs(size > 0 ? "a link to a file that is gone: " : "not there", stdout);
    command_print_name(nixl_place_loads(place, half) ? target : "");
    putchar('\n');
}

static int print_status(struct nixl_options *options)
{
    const char *dir = getenv("NIXL_PLUGIN_DIR");
    for (size_t i = 0; i < options->places.count; i++) {
        print_place("", &options->places.all[i]);
        for (int half = 0; half < NIXL_HALVES; half++)
            print_half(&options->places.all[i], half);
    }
    if (options->places.count == 0)
        puts("no NIXL was found: --site-packages=DIR or --plugins=DIR says where it is");
    if (dir) {
        printf("NIXL_PLUGIN_DIR is set: NIXL looks in ");
        command_print_name(dir);
        puts(" alone");
    }
    nixl_processes_print();
    return EXIT_GOOD;
}

static int uninstall(struct nixl_options *options)
{
    int code = EXIT_GOOD;
    if (options->shadow)
        return remove_shadow(options->shadow);
    for (size_t i = 0; i < options->places.count; i++) {
        bool removed = false;
        for (int half = 0; half < NIXL_HALVES; half++)
            if (!remove_link(options->places.all[i].plugins, nixl_link_names[half], &removed))
                code = EXIT_FAILED;
        if (removed)
            print_place("removed from ", &options->places.all[i]);
    }
    return code;
}

/* -- The command -- */

static const struct task {
    const char *name;
    int (*run)(struct nixl_options *options);
} tasks[] = { { "install", install }, { "status", print_status }, { "uninstall", uninstall } };

/* -1: go on; else the status to exit with. */
static int take_place(struct nixl_options *options, bool is_site, const char *dir)
{
    struct stat status;
    options->named = true;
    if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode))
        return command_fail("%s is no directory", dir);
    if (!is_site)
        nixl_places_add_plugins(&options->places, dir);
    else if (!nixl_places_in(&options->places, dir))
        return command_fail("%s has no NIXL with a directory of plug-ins (.nixl*.mesonpy.libs/plugins)", dir);
    return -1;
}

static int read_options(int argc, char **argv, struct nixl_options *options)
{
    static const struct option names[] = {
        { "site-packages", required_argument, NULL, 's' },
        { "plugins", required_argument, NULL, 'd' },
        { "shadow", required_argument, NULL, 'w' },
        { "plugin", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    for (int option, code = -1; (option = command_option(argc, argv, names)) != -1;) {
        switch (option) {
        case 's':
        case 'd':
            code = take_place(options, option == 's', optarg);
            break;
        case 'w':
            options->shadow = optarg;
            break;
        case 'p':
            options->plugin = optarg;
            break;
        case 'h':
            fputs(command_nixl_help, stdout);
            code = EXIT_GOOD;
            break;
        default:
            code = EXIT_USAGE;
        }
        if (code >= 0)
            return code;
    }
    return -1;
}

int command_nixl(int argc, char **argv)
{
    struct nixl_options *options = calloc(1, sizeof *options);
    const struct task *task = NULL;
    if (!options)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    int code = read_options(argc, argv, options);
    for (size_t i = 0; code < 0 && optind < argc && i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(argv[optind], tasks[i].name) == 0)
            task = &tasks[i];
    if (code < 0 && (!task || optind + 1 != argc))
        code = command_usage("nixl", optind >= argc ? "install, status or uninstall?" : "%s: no such argument",
                             optind >= argc ? "" : argv[task ? optind + 1 : optind]);
    if (code < 0 && task) {
        if (!options->named && !(options->shadow && task->run == uninstall))
            nixl_places_find(&options->places);
        code = task->run(options);
    }
    free(options);
    return command_close(stdout, "standard output") ? code : EXIT_FAILED;
}
