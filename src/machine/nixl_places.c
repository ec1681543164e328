/* SPDX-License-Identifier: Apache-2.0 */
/* Where NIXL looks for plug-ins. */
#include "machine/nixl_places.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const nixl_link_names[NIXL_HALVES] = { "libtrace_backend_kvtel.so", "libtelemetry_exporter_kvtel.so" };

bool nixl_path(char *path, const char *dir, const char *name)
{
    const int size = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return size >= 0 && size < PATH_MAX;
}

static bool has_ends(const char *name, const char *begin, const char *end)
{
    const size_t size = strlen(name), first = strlen(begin), last = strlen(end);
    return size >= first + last && strncmp(name, begin, first) == 0 && strcmp(name + size - last, end) == 0;
}

size_t nixl_each_name(const char *dir, const char *begin, const char *end,
                      bool (*each)(void *context, const char *name), void *context)
{
    struct dirent **names;
    const int count = scandir(dir, &names, NULL, alphasort);
    size_t found = 0;
    bool goes_on = true;
    for (int i = 0; i < count; i++) {
        if (goes_on && has_ends(names[i]->d_name, begin, end)) {
            found++;
            goes_on = each(context, names[i]->d_name);
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return found;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool has_place(const struct nixl_places *places, const char *plugins)
{
    for (size_t i = 0; i < places->count; i++) {
        struct stat one, other;
        if (stat(places->all[i].plugins, &one) == 0 && stat(plugins, &other) == 0 && one.st_ino == other.st_ino &&
            one.st_dev == other.st_dev)
            return true;
    }
    return false;
}

/* "nixl_cu13-1.5.1.dist-info": the version of a package. */
static bool take_version(void *context, const char *name)
{
    struct nixl_place *place = context;
    const char *version = name + strlen(place->package) + 1;
    const size_t size = strlen(version) - strlen(".dist-info");
    (void)snprintf(place->version, sizeof place->version, "%.*s", (int)(size < 31 ? size : 31), version);
    return true;
}

struct search {
    struct nixl_places *places;
    const char *site;
};

/* ".nixl_cu13.mesonpy.libs" has the package's libraries, and its plug-ins in a directory below. */
static bool take_package(void *context, const char *name)
{
    const struct search *search = context;
    struct nixl_places *places = search->places;
    struct nixl_place *place = &places->all[places->count];
    char libraries[PATH_MAX], begin[sizeof place->package + 2];
    if (places->count == NIXL_PLACES)
        return false;
    const size_t size = strlen(name) - strlen(".mesonpy.libs") - 1;
    *place = (struct nixl_place){ 0 };
    if (size >= sizeof place->package || !nixl_path(libraries, search->site, name) ||
        !nixl_path(place->plugins, libraries, "plugins") || !is_directory(place->plugins) ||
        has_place(places, place->plugins))
        return true;
    memcpy(place->package, name + 1, size);
    (void)snprintf(place->site, sizeof place->site, "%s", search->site);
    (void)snprintf(begin, sizeof begin, "%s-", place->package);
    (void)nixl_each_name(search->site, begin, ".dist-info", take_version, place);
    places->count++;
    return true;
}

bool nixl_places_in(struct nixl_places *places, const char *site)
{
    struct search search = { places, site };
    const size_t before = places->count;
    (void)nixl_each_name(site, ".nixl", ".mesonpy.libs", take_package, &search);
    return places->count > before;
}

void nixl_places_add_plugins(struct nixl_places *places, const char *plugins)
{
    if (places->count == NIXL_PLACES)
        return;
    struct nixl_place *place = &places->all[places->count];
    *place = (struct nixl_place){ 0 };
    (void)snprintf(place->plugins, sizeof place->plugins, "%s", plugins);
    places->count++;
}

/* LIBRARY/python3.11/site-packages and dist-packages. */
static bool take_python(void *context, const char *name)
{
    static const char *const packages[] = { "site-packages", "dist-packages" };
    const struct search *search = context;
    char python[PATH_MAX], site[PATH_MAX];
    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
        if (nixl_path(python, search->site, name) && nixl_path(site, python, packages[i]))
            (void)nixl_places_in(search->places, site);
    return true;
}

/* The environment of which `prefix` is the top directory. */
static void take_prefix(struct nixl_places *places, const char *prefix)
{
    static const char *const libraries[] = { "lib", "lib64" };
    char library[PATH_MAX];
    struct search search = { places, library };
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (nixl_path(library, prefix, libraries[i]))
            (void)nixl_each_name(library, "python3", "", take_python, &search);
}

void nixl_places_find(struct nixl_places *places)
{
    static const char *const variables[] = { "VIRTUAL_ENV", "CONDA_PREFIX" };
    static const char *const prefixes[] = { "/opt/venv", "/usr/local", "/usr" };
    char prefix[PATH_MAX];
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i]))
            take_prefix(places, getenv(variables[i]));
    for (const char *path = getenv("PATH"); path && *path;) {
        const size_t size = strcspn(path, ":");
        if (size > 0 && size < sizeof prefix - 4) {
            (void)snprintf(prefix, sizeof prefix, "%.*s/..", (int)size, path);
            take_prefix(places, prefix);
        }
        path += size + (path[size] == ':');
    }
    if (getenv("HOME") && nixl_path(prefix, getenv("HOME"), ".local"))
        take_prefix(places, prefix);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        take_prefix(places, prefixes[i]);
}

bool nixl_place_loads(const struct nixl_place *place, int half)
{
    static const unsigned since[NIXL_HALVES] = { 4, 3 }; /* 1.4 and 1.3 */
    unsigned major, minor;
    if (sscanf(place->version, "%u.%u", &major, &minor) != 2)
        return true;
    return major > 1 || (major == 1 && minor >= since[half]);
}
