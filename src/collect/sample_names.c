/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the exposition gives to samples. */
#include "collect/series.h"
#include "collect/sample_names.h"

#include <string.h>

/* A sample is named after its family with one of these suffixes, which depend on the type. */
enum { SUFFIXES = 4 };
static const char *const suffixes[][SUFFIXES] = {
    [KVTEL_COUNTER] = { "_total" },
    [KVTEL_GAUGE] = { "" },
    [KVTEL_HISTOGRAM] = { "", "_bucket", "_count", "_sum" },
};

/* Whether a family has samples of this name. `name` is cut during the search and then restored. */
static bool is_taken(const struct kvtel_snapshot *snapshot, kvtel_find_family_fn find, char *name)
{
    size_t size = strlen(name);
    for (size_t type = 0; type <= KVTEL_HISTOGRAM; type++) {
        for (size_t i = 0; i < SUFFIXES && suffixes[type][i]; i++) {
            size_t suffix = strlen(suffixes[type][i]);
            if (suffix >= size || strcmp(name + size - suffix, suffixes[type][i]) != 0)
                continue;
            char cut = name[size - suffix];
            name[size - suffix] = '\0';
            const struct kvtel_snapshot_family *family = find(snapshot, name);
            name[size - suffix] = cut;
            if (family && family->type == (enum kvtel_metric_type)type)
                return true;
        }
    }
    return false;
}

enum kvtel_status kvtel_sample_names_check(const struct kvtel_snapshot *snapshot, kvtel_find_family_fn find,
                                           const char *name, enum kvtel_metric_type type, struct kvtel_arena *arena)
{
    size_t size = strlen(name);
    char *sample = kvtel_arena_alloc(arena, size + sizeof("_bucket"));
    if (!sample)
        return KVTEL_E_NOMEM;
    memcpy(sample, name, size);
    for (size_t i = 0; i < SUFFIXES && suffixes[type][i]; i++) {
        memcpy(sample + size, suffixes[type][i], strlen(suffixes[type][i]) + 1);
        if (is_taken(snapshot, find, sample))
            return KVTEL_E_MISMATCH;
    }
    return KVTEL_OK;
}
