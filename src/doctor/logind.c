/* SPDX-License-Identifier: Apache-2.0 */
/* Whether systemd-logind removes what a user has in shared memory at logout: RemoveIPC= of its configuration. */
#include "doctor/doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Of a file in two directories, the one in the first counts. */
static const char *const places[] = { "/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd" };
enum { PLACES = sizeof places / sizeof *places };

/* The value behind "KEY =" without blanks, or NULL. */
static const char *value_of(char *line, const char *key)
{
    line += strspn(line, " \t");
    if (strncmp(line, key, strlen(key)) != 0)
        return NULL;
    line += strlen(key);
    line += strspn(line, " \t");
    if (*line != '=')
        return NULL;
    line++;
    line += strspn(line, " \t");
    for (size_t size = strlen(line); size > 0 && isspace((unsigned char)line[size - 1]); size--)
        line[size - 1] = 0;
    return line;
}

static bool is_one_of(const char *value, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(value, *words) == 0)
            return true;
    return false;
}

/* Reads a file, if it is there. A value that is neither of the two is left out, as by systemd. */
static bool read_file(const char *path, bool *removes)
{
    static const char *const yes[] = { "1", "yes", "y", "true", "t", "on", NULL };
    static const char *const no[] = { "0", "no", "n", "false", "f", "off", NULL };
    char line[256];
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = value_of(line, "RemoveIPC");
        if (value && (is_one_of(value, yes) || is_one_of(value, no)))
            *removes = is_one_of(value, yes);
    }
    if (file)
        (void)fclose(file);
    return file;
}

/* The least name of a *.conf in logind.conf.d that is greater than `name`, into `name`; and its place. False: none. */
static bool next_name(const struct doctor *doctor, char name[NAME_MAX + 1], int *place)
{
    char path[DOCTOR_PATH], least[NAME_MAX + 1] = "";
    for (int i = 0; i < PLACES; i++) {
        (void)snprintf(path, sizeof path, "%s%s/logind.conf.d", doctor->options.root, places[i]);
        DIR *directory = opendir(path);
        for (const struct dirent *file; directory && (file = readdir(directory));) {
            const size_t size = strlen(file->d_name);
            if (size <= 5 || *file->d_name == '.' || strcmp(file->d_name + size - 5, ".conf") != 0 ||
                strcmp(file->d_name, name) <= 0 || (*least && strcmp(file->d_name, least) >= 0))
                continue;
            memcpy(least, file->d_name, size + 1);
            *place = i;
        }
        if (directory)
            closedir(directory);
    }
    memcpy(name, least, sizeof least);
    return *least;
}

bool doctor_removes_ipc(const struct doctor *doctor)
{
    char path[DOCTOR_PATH], name[NAME_MAX + 1] = "";
    bool removes = true, there = false;
    for (int i = 0; i < PLACES && !there; i++) {
        (void)snprintf(path, sizeof path, "%s%s/logind.conf", doctor->options.root, places[i]);
        there = read_file(path, &removes);
    }
    for (int i = 0; next_name(doctor, name, &i);) {
        (void)snprintf(path, sizeof path, "%s%s/logind.conf.d/%s", doctor->options.root, places[i], name);
        (void)read_file(path, &removes);
    }
    return removes;
}
