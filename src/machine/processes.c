/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc. */
#include "machine/processes.h"

#include "base/buffer.h"
#include "machine/nixl_places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 }; /* of a process's variables or arguments */
#define DELETED " (deleted)"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    const size_t size = strlen(text), last = strlen(with);
    return size > last && strcmp(text + size - last, with) == 0;
}

static bool is_plugin(const char *name)
{
    bool is = begins(name, "libkvtel_nixl.so");
    for (int i = 0; i < NIXL_HALVES; i++)
        is = is || strcmp(name, nixl_link_names[i]) == 0;
    return is;
}

/* "_kvtel.abi3.so" in a directory kvtel */
static bool is_package(const char *path, const char *name)
{
    return begins(name, "_kvtel.") && (size_t)(name - path) >= strlen("/kvtel/") &&
           begins(name - strlen("/kvtel/"), "/kvtel/");
}

static void copy(char out[PATH_MAX], const char *path)
{
    (void)snprintf(out, PATH_MAX, "%s", path);
}

/* One line of maps. */
static void look_at(struct machine_process *process, char *line)
{
    char *path = strchr(line, '/');
    if (!path)
        return;
    path[strcspn(path, "\n")] = 0;
    const char *name = base_name(path);
    process->nixl = process->nixl || begins(name, "libnixl.so");
    if (is_plugin(name))
        copy(process->plugin, path);
    if (is_package(path, name))
        copy(process->package, path);
    if (ends(path, ".kvtel"))
        copy(process->store, path);
    if (ends(path, ".kvtel" DELETED)) {
        path[strlen(path) - strlen(DELETED)] = 0;
        copy(process->deleted, path);
    }
}

static FILE *open_file(const char *proc, const char *pid, const char *name)
{
    char path[PATH_MAX];
    const int size = snprintf(path, sizeof path, "%s/%s/%s", proc, pid, name);
    errno = ENAMETOOLONG;
    return size > 0 && (size_t)size < sizeof path ? fopen(path, "re") : NULL;
}

/* errno, or 0. A process that has ended meanwhile has no maps, which is ESRCH or ENOENT. */
static int read_maps(struct machine_process *process, const char *proc)
{
    char *line = NULL;
    size_t room = 0;
    FILE *file = open_file(proc, process->pid, "maps");
    if (!file)
        return errno;
    errno = 0;
    while (getline(&line, &room, file) >= 0)
        look_at(process, line);
    const int error = ferror(file) ? errno : 0;
    free(line);
    (void)fclose(file);
    return error;
}

/* A file of texts that end by a NUL. errno, or 0. */
static int read_texts(const char *proc, const char *pid, const char *name, struct kvtel_buffer *texts)
{
    char bytes[4096];
    FILE *file = open_file(proc, pid, name);
    texts->size = 0;
    if (!file)
        return errno;
    size_t got = 0;
    errno = 0;
    while (texts->size < MOST_BYTES && (got = fread(bytes, 1, sizeof bytes, file)) > 0)
        if (kvtel_buffer_append(texts, bytes, got) != KVTEL_OK)
            break;
    const int error = ferror(file) ? errno : 0;
    (void)fclose(file);
    if (kvtel_buffer_append_byte(texts, 0) != KVTEL_OK && texts->size > 0)
        texts->bytes[texts->size - 1] = 0;
    return error;
}

static void read_name(struct machine_process *process, const char *proc)
{
    FILE *file = open_file(proc, process->pid, "comm");
    (void)snprintf(process->name, sizeof process->name, "?");
    if (!file)
        return;
    if (fgets(process->name, sizeof process->name, file))
        process->name[strcspn(process->name, "\n")] = 0;
    (void)fclose(file);
}

struct walk {
    const char *proc;
    bool (*each)(void *context, const struct machine_process *process);
    void *context;
    struct machine_count count;
    struct machine_process *process;
};

static bool look_at_process(void *context, const char *pid)
{
    struct walk *walk = context;
    struct machine_process *process = walk->process;
    if (strspn(pid, "0123456789") != strlen(pid) || strlen(pid) >= sizeof process->pid)
        return true;
    const struct kvtel_buffer environment = process->environment, command = process->command;
    *process = (struct machine_process){ .environment = environment, .command = command };
    memcpy(process->pid, pid, strlen(pid));
    process->maps_error = read_maps(process, walk->proc);
    if (process->maps_error == ENOENT || process->maps_error == ESRCH)
        return true;
    walk->count.all++;
    walk->count.hidden += process->maps_error == EACCES || process->maps_error == EPERM;
    read_name(process, walk->proc);
    process->environment_error = read_texts(walk->proc, pid, "environ", &process->environment);
    (void)read_texts(walk->proc, pid, "cmdline", &process->command);
    return walk->each(walk->context, process);
}

struct machine_count machine_processes_each(const char *proc,
                                            bool (*each)(void *context, const struct machine_process *process),
                                            void *context)
{
    struct walk walk = { .proc = proc, .each = each, .context = context, .process = calloc(1, sizeof *walk.process) };
    if (!walk.process)
        return walk.count;
    (void)nixl_each_name(proc, "", "", look_at_process, &walk);
    kvtel_buffer_free(&walk.process->environment);
    kvtel_buffer_free(&walk.process->command);
    free(walk.process);
    return walk.count;
}

const char *machine_process_variable(const struct machine_process *process, const char *name)
{
    const char *found = NULL;
    const size_t size = strlen(name);
    for (size_t at = 0; at < process->environment.size; at += strlen(process->environment.bytes + at) + 1) {
        const char *text = process->environment.bytes + at;
        if (strncmp(text, name, size) == 0 && text[size] == '=')
            found = text + size + 1;
    }
    return found;
}

const char *machine_process_argument(const struct machine_process *process, size_t i)
{
    size_t at = 0;
    while (i > 0 && at < process->command.size) {
        at += strlen(process->command.bytes + at) + 1;
        i--;
    }
    return at < process->command.size && process->command.bytes[at] ? process->command.bytes + at : NULL;
}
