/* SPDX-License-Identifier: Apache-2.0 */
/* Loading connectors' tables from JSON. What is registered lives as long as the process. */
#include <kvtel/connector_file.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "connectors/check.h"
#include "connectors/parse/read.h"
#include "connectors/parse/table_reader.h"

enum { FILE_LIMIT = 16 << 20, PATH_SIZE = 4096 };

static enum kvtel_status check_version(const struct kvtel_value *value, struct kvtel_value_path *path,
                                       struct kvtel_error *error)
{
    const struct kvtel_value *version = kvtel_value_get(value, KVTEL_CONNECTOR_KEY);
    if (value->kind != KVTEL_VALUE_MAP)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "a connector is not an object");
    if (!version)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "a connector lacks the member \"" KVTEL_CONNECTOR_KEY "\": %d",
                          KVTEL_CONNECTOR_VERSION);
    path->steps[path->depth++] = (struct kvtel_value_step){ .key = KVTEL_CONNECTOR_KEY };
    if (version->kind != KVTEL_VALUE_INTEGER || version->integer != KVTEL_CONNECTOR_VERSION)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0,
                          "\"" KVTEL_CONNECTOR_KEY "\" is not %d, the version that this kvtel reads",
                          KVTEL_CONNECTOR_VERSION);
    path->depth--;
    return KVTEL_OK;
}

/* Leads the path to the entry of the table that a check refused. */
static void place(struct kvtel_value_path *path, const struct kvtel_table_place *at)
{
    if (at->is_older)
        path->steps[path->depth++] = (struct kvtel_value_step){ .key = "older" };
    if (at->in_log)
        path->steps[path->depth++] = (struct kvtel_value_step){ .key = "log" };
    if (at->list) {
        path->steps[path->depth++] = (struct kvtel_value_step){ .key = at->list };
        path->steps[path->depth++] = (struct kvtel_value_step){ .index = at->index };
    }
}

/* Reads and checks one table. */
static enum kvtel_status read_table(const struct kvtel_value *value, struct kvtel_arena *arena,
                                    struct kvtel_value_path *path, const struct kvtel_connector **made,
                                    struct kvtel_error *error)
{
    struct kvtel_table_place at = { .list = NULL };
    struct kvtel_connector *table = kvtel_arena_alloc(arena, sizeof(*table));
    if (!table)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    memset(table, 0, sizeof(*table));
    *made = table;
    enum kvtel_status status = check_version(value, path, error);
    if (status == KVTEL_OK)
        status = kvtel_shape_read(&kvtel_shape_connector, value, arena, path, table, error);
    if (status != KVTEL_OK || kvtel_connector_check_at(table, &at, error))
        return status;
    place(path, &at);
    return KVTEL_E_ARGUMENT;
}

/* The tables of one text. */
struct tables {
    struct kvtel_value value;         /* the whole text */
    const struct kvtel_value *values; /* one for each */
    size_t count;
    bool is_list;
    const struct kvtel_connector **made;
};

static void enter(const struct tables *tables, struct kvtel_value_path *path, size_t i)
{
    path->depth = 0;
    if (tables->is_list)
        path->steps[path->depth++] = (struct kvtel_value_step){ .index = i };
}

static enum kvtel_status read_tables(struct tables *tables, struct kvtel_arena *arena, struct kvtel_value_path *path,
                                     struct kvtel_error *error)
{
    enum kvtel_status status = KVTEL_OK;
    tables->made = kvtel_arena_alloc(arena, (tables->count + 1) * sizeof(*tables->made));
    if (!tables->made)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    if (tables->count == 0)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "there is no connector in the list");
    for (size_t i = 0; i < tables->count && status == KVTEL_OK; i++) {
        enter(tables, path, i);
        status = read_table(&tables->values[i], arena, path, &tables->made[i], error);
    }
    return status;
}

/* Memory of registered tables. */
struct kept {
    struct kept *next;
    struct kvtel_arena arena;
};
static _Atomic(struct kept *) kept_first;

/* Keeps the arena for the life of the process. */
static void keep(struct kept *kept, const struct kvtel_arena *arena)
{
    kept->arena = *arena;
    kept->next = atomic_load(&kept_first);
    while (!atomic_compare_exchange_weak(&kept_first, &kept->next, kept))
        ;
}

/* Registers the tables, up to one that is refused. */
static enum kvtel_status register_tables(const struct tables *tables, struct kvtel_arena *arena,
                                         struct kvtel_value_path *path, struct kvtel_error *error)
{
    struct kept *kept = malloc(sizeof(*kept));
    size_t count = 0;
    enum kvtel_status status = KVTEL_OK;
    if (!kept)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    while (count < tables->count && status == KVTEL_OK) {
        enter(tables, path, count);
        status = kvtel_connector_register(tables->made[count], error);
        count += status == KVTEL_OK;
    }
    if (status != KVTEL_OK)
        place(path, &(struct kvtel_table_place){ .list = "names" });
    if (count > 0) {
        keep(kept, arena);
        *arena = (struct kvtel_arena){ 0 };
    } else {
        free(kept);
    }
    return status;
}

/* Reads and checks the tables of a text, and registers them. On failure `error` has the place. */
static enum kvtel_status read_text(const char *json, size_t size, bool is_registered, struct tables *tables,
                                   struct kvtel_arena *arena, struct kvtel_error *error)
{
    struct kvtel_value_path path = { .depth = 0 };
    memset(tables, 0, sizeof(*tables));
    enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, json, size, arena, &tables->value, error);
    if (status == KVTEL_OK && !kvtel_json_keys_differ(json, size, error)) {
        status = KVTEL_E_TYPE;
    } else if (status == KVTEL_OK) {
        tables->is_list = tables->value.kind == KVTEL_VALUE_ARRAY;
        tables->values = tables->is_list ? tables->value.items : &tables->value;
        tables->count = tables->is_list ? tables->value.size : 1;
        status = read_tables(tables, arena, &path, error);
        if (status == KVTEL_OK && is_registered)
            status = register_tables(tables, arena, &path, error);
        if (status != KVTEL_OK && error)
            error->offset = kvtel_value_locate(json, size, path.steps, path.depth);
    }
    if (status != KVTEL_OK && error)
        kvtel_error_place(error, json, size);
    return status;
}

enum kvtel_status kvtel_connector_parse(const char *json, size_t size, bool is_registered, struct kvtel_error *error)
{
    struct kvtel_arena arena = { 0 };
    struct tables tables;
    enum kvtel_status status = read_text(json, size, is_registered, &tables, &arena, error);
    kvtel_arena_free(&arena);
    return status;
}

enum kvtel_status kvtel_connector_read(const char *json, size_t size, struct kvtel_arena *arena,
                                       const struct kvtel_connector **table, struct kvtel_error *error)
{
    struct tables tables = { .count = 0 };
    enum kvtel_status status = read_text(json, size, false, &tables, arena, error);
    if (status == KVTEL_OK && tables.count != 1)
        status = kvtel_fail(error, KVTEL_E_LIMIT, 0, "there are several connectors");
    if (status == KVTEL_OK)
        *table = tables.made[0];
    return status;
}

/* Reads a whole file. `text` out, owned. */
static enum kvtel_status read_file(const char *path, char **text, size_t *size, struct kvtel_error *error)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum kvtel_status result = KVTEL_OK;
    *text = NULL;
    *size = 0;
    if (file < 0 || fstat(file, &status) != 0)
        result = kvtel_fail_system(error, errno, 0, "it cannot be opened");
    else if (!S_ISREG(status.st_mode))
        result = kvtel_fail(error, KVTEL_E_IO, 0, "it is not a file");
    else if (status.st_size > FILE_LIMIT)
        result = kvtel_fail(error, KVTEL_E_LIMIT, 0, "it is larger than 16 MiB");
    else if (!(*text = malloc((size_t)status.st_size + 1)))
        result = kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    while (result == KVTEL_OK && *size < (size_t)status.st_size) {
        ssize_t got = read(file, *text + *size, (size_t)status.st_size - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = kvtel_fail_system(error, errno, *size, "it cannot be read");
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    if (file >= 0)
        close(file);
    if (result != KVTEL_OK) {
        free(*text);
        *text = NULL;
    }
    return result;
}

enum kvtel_status kvtel_connector_load(const char *path, bool is_registered, struct kvtel_error *error)
{
    char *text;
    size_t size;
    enum kvtel_status status = read_file(path, &text, &size, error);
    if (status == KVTEL_OK)
        status = kvtel_connector_parse(text, size, is_registered, error);
    free(text);
    return status;
}

/* Loading the files of a path. */
struct loading {
    kvtel_connector_failed_fn failed;
    void *context;
    size_t count; /* of those that failed */
};

static void tell(struct loading *loading, const char *file, const struct kvtel_error *error)
{
    loading->count++;
    if (loading->failed)
        loading->failed(loading->context, file, error);
}

static void load_file(struct loading *loading, const char *file)
{
    struct kvtel_error error = { 0 };
    if (kvtel_connector_load(file, true, &error) != KVTEL_OK)
        tell(loading, file, &error);
}

static int is_json(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 5, ".json") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_directory(struct loading *loading, const char *directory)
{
    struct dirent **entries;
    char file[PATH_SIZE];
    int count = scandir(directory, &entries, is_json, by_name);
    if (count < 0) {
        struct kvtel_error error = { 0 };
        (void)kvtel_fail_system(&error, errno, 0, "the directory cannot be read");
        tell(loading, directory, &error);
    }
    for (int i = 0; i < count; i++) {
        int size = snprintf(file, sizeof(file), "%s/%s", directory, entries[i]->d_name);
        if (size > 0 && (size_t)size < sizeof(file))
            load_file(loading, file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

size_t kvtel_connector_load_path(const char *path, kvtel_connector_failed_fn failed, void *context)
{
    struct loading loading = { .failed = failed, .context = context };
    if (!path)
        path = getenv("KVTEL_CONNECTOR_PATH");
    while (path && *path) {
        char name[PATH_SIZE];
        struct stat status;
        size_t size = strcspn(path, ":");
        if (size >= sizeof(name)) {
            struct kvtel_error error = { 0 };
            (void)kvtel_fail(&error, KVTEL_E_LIMIT, 0, "the name is too long");
            tell(&loading, "KVTEL_CONNECTOR_PATH", &error);
        } else if (size > 0) {
            memcpy(name, path, size);
            name[size] = '\0';
            if (stat(name, &status) == 0 && S_ISDIR(status.st_mode))
                load_directory(&loading, name);
            else
                load_file(&loading, name);
        }
        path += size;
        path += *path == ':';
    }
    return loading.count;
}
