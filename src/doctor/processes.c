/* SPDX-License-Identifier: Apache-2.0 */
/* Running processes: engines, with what they have loaded and the variables they were started with; and exporters. */
#include "doctor/doctor.h"

#include "base/buffer.h"
#include "machine/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Variables that are shown of each engine. */
static const char *const shown[] = { "KVTEL_STORE_DIR",
                                     "KVTEL_STORE_MODE",
                                     "KVTEL_AT",
                                     "KVTEL_NIXL",
                                     "KVTEL_REPLACE",
                                     "KVTEL_CONNECTOR_PATH",
                                     "VLLM_PLUGINS",
                                     "VLLM_USE_RUST_FRONTEND",
                                     "PROMETHEUS_MULTIPROC_DIR",
                                     "NIXL_TELEMETRY_ENABLE",
                                     "NIXL_TELEMETRY_DIR",
                                     "NIXL_TELEMETRY_EXPORTER",
                                     "NIXL_TRACE_BACKENDS",
                                     "NIXL_PLUGIN_DIR" };

static const char *variable(const struct machine_process *process, const char *name)
{
    const char *value = machine_process_variable(process, name);
    return value ? value : "";
}

/* Whether a list "a,b" has the word. */
static bool lists(const char *list, const char *word)
{
    for (const char *at = list; *at; at += *at == ',') {
        while (*at == ' ')
            at++;
        const size_t size = strcspn(at, ", ");
        if (size == strlen(word) && strncmp(at, word, size) == 0)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

/* The same as vLLM reads its list: blanks belong to the words. */
static bool lists_exactly(const char *list, const char *word)
{
    for (size_t size;; list += size + 1) {
        size = strcspn(list, ",");
        if (size == strlen(word) && strncmp(list, word, size) == 0)
            return true;
        if (!list[size])
            return false;
    }
}

static bool is_on(const char *value)
{
    return strcmp(value, "1") == 0 || strcasecmp(value, "y") == 0 || strcasecmp(value, "yes") == 0 ||
           strcasecmp(value, "true") == 0 || strcasecmp(value, "on") == 0;
}

static bool is_argument(const struct machine_process *process, size_t i, const char *is)
{
    const char *argument = machine_process_argument(process, i);
    const char *slash = argument ? strrchr(argument, '/') : NULL;
    return argument && strcmp(slash ? slash + 1 : argument, is) == 0;
}

/* vLLM's server and the processes that it starts name themselves. */
static bool is_vllm(const struct machine_process *process)
{
    return strncmp(process->name, "VLLM", 4) == 0 || strncmp(process->name, "vllm", 4) == 0 ||
           is_argument(process, 0, "vllm") || is_argument(process, 1, "vllm");
}

/* -- Directories of processes -- */

/* A directory of a process, whose file system may be another one than doctor's: by way of the process's root, or of its
 * working directory. -1: it cannot be looked at. */
static int open_of(const struct doctor *doctor, const struct machine_process *process, const char *dir)
{
    char path[DOCTOR_PATH + PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/proc/%s/%s%s", doctor->options.root, process->pid,
                   *dir == '/' ? "root" : "cwd/", dir);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whether it is the directory that is looked at. */
static bool is_same(const struct doctor *doctor, const struct machine_process *process, const char *dir)
{
    struct stat status;
    const int fd = open_of(doctor, process, dir);
    if (fd < 0)
        return strcmp(dir, doctor->options.store_dir) == 0;
    const bool same = doctor->directory_there && fstat(fd, &status) == 0 && status.st_dev == doctor->device &&
                      status.st_ino == doctor->inode;
    close(fd);
    return same;
}

/* Whether an exporter of the directory that is looked at, or another one, reads the process's directory of stores. One
 * that may only read it takes no lock, and is not seen. */
static bool is_read(const struct doctor *doctor, const struct machine_process *process, const char *dir)
{
    const bool same = is_same(doctor, process, dir);
    const int fd = same ? -1 : open_of(doctor, process, dir);
    const bool locked = fd >= 0 && doctor_lock_of(fd) == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    return same || locked;
}

/* -- Exporters -- */

static unsigned long read_open_files(const struct doctor *doctor, const char *pid)
{
    char path[DOCTOR_PATH], line[256];
    unsigned long most = 0;
    (void)snprintf(path, sizeof path, "%s/proc/%s/limits", doctor->options.root, pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Max open files", strlen("Max open files")) == 0)
            most = strtoul(line + strlen("Max open files"), NULL, 10);
    if (file)
        (void)fclose(file);
    return most;
}

/* Whether it has a directory of stores open that was removed: its descriptor leads to "DIR (deleted)". */
static bool has_lost_directory(const struct doctor *doctor, const char *pid, const char *dir)
{
    char path[DOCTOR_PATH], target[DOCTOR_PATH];
    bool lost = false;
    const size_t size = strlen(dir);
    (void)snprintf(path, sizeof path, "%s/proc/%s/fd", doctor->options.root, pid);
    DIR *directory = opendir(path);
    for (const struct dirent *file; directory && !lost && (file = readdir(directory));) {
        const ssize_t length = readlinkat(dirfd(directory), file->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        lost = strncmp(target, dir, size) == 0 && strcmp(target + size, " (deleted)") == 0;
    }
    if (directory)
        closedir(directory);
    return lost;
}

/* The argument behind this one, or NULL. */
static const char *next_argument(const struct machine_process *process, const char *argument)
{
    const char *next = argument + strlen(argument) + 1; /* the last byte is a NUL more than the arguments have */
    return next < process->command.bytes + process->command.size - 1 ? next : NULL;
}

/* The directory of stores that it was started with, or NULL. */
static const char *directory_of(const struct machine_process *process)
{
    static const char flag[] = "--store.dir";
    const char *argument = machine_process_argument(process, 2);
    const char *dir = machine_process_variable(process, "KVTEL_STORE_DIR");
    for (; argument; argument = next_argument(process, argument)) {
        if (strncmp(argument, flag, strlen(flag)) != 0)
            continue;
        if (argument[strlen(flag)] == '=')
            dir = argument + strlen(flag) + 1;
        else if (!argument[strlen(flag)])
            dir = next_argument(process, argument);
    }
    return dir && *dir ? dir : NULL;
}

/* The default directory of the process's user. False: the user is not known. */
static bool default_of(const struct doctor *doctor, const struct machine_process *process, char dir[DOCTOR_PATH])
{
    struct stat status;
    (void)snprintf(dir, DOCTOR_PATH, "%s/proc/%s", doctor->options.root, process->pid);
    if (stat(dir, &status) != 0)
        return false;
    (void)snprintf(dir, DOCTOR_PATH, "/dev/shm/kvtel-%lu", (unsigned long)status.st_uid);
    return true;
}

/* Where the variables and the working directory cannot be read, and no flag names a whole path, the directory is not
 * known, and nothing is said. */
static void look_at_exporter(struct doctor *doctor, const struct machine_process *process)
{
    char standard[DOCTOR_PATH];
    const char *dir = directory_of(process);
    if ((process->environment_error && (!dir || *dir != '/')) || (!dir && !default_of(doctor, process, standard)))
        return;
    dir = dir ? dir : standard;
    if (!is_same(doctor, process, dir)) {
        doctor_find(doctor, DOCTOR_EXPORTER_ELSEWHERE, "the exporter (pid %s) reads %s", process->pid, dir);
        return;
    }
    memcpy(doctor->exporter, process->pid, sizeof doctor->exporter);
    doctor->open_files = read_open_files(doctor, process->pid);
    if (has_lost_directory(doctor, process->pid, doctor->options.store_dir))
        doctor_find(doctor, DOCTOR_DIRECTORY_REPLACED, "the exporter (pid %s) has %s open, which was removed",
                    process->pid, doctor->options.store_dir);
}

/* -- Engines -- */

static void check_places(struct doctor *doctor, const struct machine_process *process)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(process->store, '/');
    if (*process->deleted)
        doctor_find(doctor, DOCTOR_STORE_DELETED, "pid %s records into %s, which was removed", process->pid,
                    process->deleted);
    (void)snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - process->store) : 0, process->store);
    if (slash && !is_read(doctor, process, dir))
        doctor_find(doctor, DOCTOR_STORE_ELSEWHERE, "pid %s records into %s", process->pid, process->store);
    const char *named = variable(process, "KVTEL_STORE_DIR");
    if (!slash && *named == '/' && (*process->plugin || *process->package) && !is_read(doctor, process, named))
        doctor_find(doctor, DOCTOR_STORE_ELSEWHERE, "pid %s was started with KVTEL_STORE_DIR=%s", process->pid, named);
}

static void check_variables(struct doctor *doctor, const struct machine_process *process)
{
    const char *plugins = machine_process_variable(process, "VLLM_PLUGINS");
    const char *rings = variable(process, "NIXL_TELEMETRY_DIR");
    if (plugins && is_vllm(process) && !lists_exactly(plugins, "kvtel")) /* "": vLLM loads none */
        doctor_find(doctor, DOCTOR_PLUGIN_LEFT_OUT, "pid %s has VLLM_PLUGINS=%s", process->pid, plugins);
    if (is_on(variable(process, "VLLM_USE_RUST_FRONTEND")))
        doctor_find(doctor, DOCTOR_RUST_FRONTEND, "pid %s has VLLM_USE_RUST_FRONTEND=%s", process->pid,
                    variable(process, "VLLM_USE_RUST_FRONTEND"));
    if (*variable(process, "PROMETHEUS_MULTIPROC_DIR"))
        doctor_find(doctor, DOCTOR_MULTIPROCESS, "pid %s has PROMETHEUS_MULTIPROC_DIR=%s", process->pid,
                    variable(process, "PROMETHEUS_MULTIPROC_DIR"));
    if (!is_on(variable(process, "NIXL_TELEMETRY_ENABLE")) || *rings != '/')
        return;
    const int fd = open_of(doctor, process, rings);
    if (fd >= 0)
        close(fd);
    else if (errno == ENOENT)
        doctor_find(doctor, DOCTOR_RING_DIRECTORY_MISSING, "pid %s has NIXL_TELEMETRY_DIR=%s, which does not exist",
                    process->pid, rings);
}

/* What it has loaded, and its variables. */
static void tell_engine(struct doctor *doctor, const struct machine_process *process)
{
    struct kvtel_buffer text = { 0 };
    const bool loaded = *process->plugin || *process->package || *process->store || *process->deleted;
    const bool wanted = lists(variable(process, "NIXL_TRACE_BACKENDS"), "kvtel") ||
                        strcmp(variable(process, "NIXL_TELEMETRY_EXPORTER"), "kvtel") == 0;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (machine_process_variable(process, shown[i]))
            (void)kvtel_buffer_printf(&text, ", %s=%s", shown[i], variable(process, shown[i]));
    (void)kvtel_buffer_append_byte(&text, 0);
    const char *variables = text.size > 0 ? text.bytes : "";
    if (process->nixl && wanted && !*process->plugin)
        doctor_find(doctor, DOCTOR_PROCESS_NOT_LOADED, "pid %s %s%s", process->pid, process->name, variables);
    else if (loaded)
        doctor_find(doctor, DOCTOR_PROCESS, "pid %s %s: %s%s%s%s", process->pid, process->name,
                    *process->package  ? process->package
                    : *process->plugin ? process->plugin
                                       : "records",
                    *process->package && *process->plugin ? ", " : "",
                    *process->package && *process->plugin ? process->plugin : "", variables);
    else
        doctor_find(doctor, DOCTOR_PROCESS_WITHOUT_KVTEL, "pid %s %s%s%s", process->pid, process->name,
                    process->environment_error ? ", variables not readable" : "", variables);
    kvtel_buffer_free(&text);
}

static bool look_at(void *context, const struct machine_process *process)
{
    struct doctor *doctor = context;
    const bool records = *process->plugin || *process->package || *process->store || *process->deleted;
    if (is_argument(process, 0, "kvtel")) {
        if (is_argument(process, 1, "serve"))
            look_at_exporter(doctor, process);
        return true;
    }
    if (!records && !process->nixl && !is_vllm(process))
        return true;
    doctor->engine = doctor->engine || process->nixl || is_vllm(process);
    tell_engine(doctor, process);
    check_places(doctor, process);
    check_variables(doctor, process);
    return true;
}

void doctor_check_processes(struct doctor *doctor)
{
    char proc[DOCTOR_PATH];
    (void)snprintf(proc, sizeof proc, "%s/proc", doctor->options.root);
    const struct machine_count count = machine_processes_each(proc, look_at, doctor);
    if (count.hidden > 0)
        doctor_find(doctor, DOCTOR_PROCESSES_HIDDEN, "%zu of %zu processes", count.hidden, count.all);
}

void doctor_check_limits(struct doctor *doctor)
{
    /* as docs/serve.md says: a quarter goes to clients, a quarter to rings */
    const unsigned long most = doctor->open_files / 2;
    if (doctor->open_files == 0)
        return;
    doctor_find(doctor, doctor->files > most ? DOCTOR_DESCRIPTORS_FEW : DOCTOR_DESCRIPTORS,
                "the exporter (pid %s) may open %lu files; there are %zu stores and rings", doctor->exporter,
                doctor->open_files, doctor->files);
}
