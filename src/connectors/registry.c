/* SPDX-License-Identifier: Apache-2.0 */
/* All connectors: those of the build, which the build lists, and those that the process registers.
 *
 * The registered tables are the library's only global state. They must be global because names are looked up from
 * configurations that do not know of the caller that registered a table. Tables are never removed. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <kvtel/connector.h>

#include "connectors/check.h"
#include "base/error.h"

#define X(id) extern const struct kvtel_connector kvtel_connector_##id;
#include "connectors_list.h"
#undef X

static const struct kvtel_connector *const built_in[] = {
#define X(id) &kvtel_connector_##id,
#include "connectors_list.h"
#undef X
    NULL
};
static const size_t built_in_count = sizeof(built_in) / sizeof(built_in[0]) - 1;

enum { REGISTERED_LIMIT = 64 };

static const struct kvtel_connector *registered[REGISTERED_LIMIT];
static atomic_size_t registered_count;
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;

const struct kvtel_connector *kvtel_connector_at(size_t i)
{
    if (i < built_in_count)
        return built_in[i];
    /* pairs with the store in kvtel_connector_register(): an entry below the count is whole and never changes */
    size_t count = atomic_load_explicit(&registered_count, memory_order_acquire);
    return i - built_in_count < count ? registered[i - built_in_count] : NULL;
}

static const char *class_of(const struct kvtel_connector_name *name)
{
    return name->class_name ? name->class_name : name->name;
}

/* Finds a connector; a configured name has priority over a class name. */
static const struct kvtel_connector *find(const char *wanted, const struct kvtel_connector_name **entry)
{
    const struct kvtel_connector *by_class = NULL;
    const struct kvtel_connector *connector;
    for (size_t i = 0; (connector = kvtel_connector_at(i)) != NULL; i++) {
        for (const struct kvtel_connector_name *name = connector->names; name->name; name++) {
            if (strcmp(name->name, wanted) == 0) {
                *entry = name;
                return connector;
            }
            if (!by_class && strcmp(class_of(name), wanted) == 0) {
                *entry = name;
                by_class = connector;
            }
        }
    }
    return by_class;
}

const struct kvtel_connector *kvtel_connector_find(const char *name)
{
    const struct kvtel_connector_name *entry;
    return name ? find(name, &entry) : NULL;
}

const struct kvtel_connector *kvtel_transfer_config_connector(const struct kvtel_transfer_config *config)
{
    return kvtel_connector_find(kvtel_transfer_config_connector_name(config));
}

const char *kvtel_connector_class(const char *name)
{
    const struct kvtel_connector_name *entry;
    return name && find(name, &entry) ? class_of(entry) : name;
}

/* A name of the table that another table already has; NULL: none. */
static const char *taken_name(const struct kvtel_connector *connector)
{
    for (const struct kvtel_connector_name *name = connector->names; name->name; name++) {
        if (kvtel_connector_find(name->name))
            return name->name;
        if (kvtel_connector_find(class_of(name)))
            return class_of(name);
    }
    return NULL;
}

enum kvtel_status kvtel_connector_register(const struct kvtel_connector *connector, struct kvtel_error *error)
{
    if (!connector)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "there is no table");
    if (!kvtel_connector_check(connector, error))
        return KVTEL_E_ARGUMENT;
    enum kvtel_status status = KVTEL_OK;
    pthread_mutex_lock(&registering);
    /* relaxed: written under the mutex only */
    size_t count = atomic_load_explicit(&registered_count, memory_order_relaxed);
    const char *taken = taken_name(connector);
    if (taken) {
        status = kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "the name \"%.64s\" is taken", taken);
    } else if (count == REGISTERED_LIMIT) {
        status = kvtel_fail(error, KVTEL_E_LIMIT, 0, "%d tables are registered already", REGISTERED_LIMIT);
    } else {
        registered[count] = connector;
        /* the entry first, then the count; pairs with the load in kvtel_connector_at() */
        atomic_store_explicit(&registered_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&registering);
    return status;
}
