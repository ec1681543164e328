/* SPDX-License-Identifier: Apache-2.0 */
/* Where NIXL looks for plug-ins: the directories of Python packages with a NIXL, and the links in them. */
#ifndef KVTEL_MACHINE_NIXL_PLACES_H
#define KVTEL_MACHINE_NIXL_PLACES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { NIXL_PLACES = 32, NIXL_HALVES = 2 };

/* A NIXL and its directory of plug-ins. */
struct nixl_place {
    char site[PATH_MAX];    /* the directory of Python packages; "": the directory of plug-ins was named itself */
    char package[64];       /* such as nixl_cu13 */
    char version[32];       /* "": not known */
    char plugins[PATH_MAX]; /* the directory in which NIXL looks */
};

struct nixl_places {
    size_t count;
    struct nixl_place all[NIXL_PLACES];
};

/* The names by which NIXL opens the plug-in, trace backend first. */
extern const char *const nixl_link_names[NIXL_HALVES];

/* Adds each NIXL of a directory of Python packages. False: there is none. */
bool nixl_places_in(struct nixl_places *places, const char *site);
/* Adds a directory of plug-ins. */
void nixl_places_add_plugins(struct nixl_places *places, const char *plugins);
/* Adds each NIXL of the Python environments of this user: that of $VIRTUAL_ENV and $CONDA_PREFIX, those of the
 * directories of $PATH, and the machine's. */
void nixl_places_find(struct nixl_places *places);

/* Which halves this NIXL loads: the exporter from 1.3 on, the trace from 1.4 on; both where the version is not known.
 */
bool nixl_place_loads(const struct nixl_place *place, int half);

/* DIR/NAME into PATH_MAX bytes. False: it is too long. */
bool nixl_path(char *path, const char *dir, const char *name);
/* Calls `each` for the names in a directory that begin and end so, in their order, until it returns false.
 * @return how many there were */
size_t nixl_each_name(const char *dir, const char *begin, const char *end,
                      bool (*each)(void *context, const char *name), void *context);

#endif
