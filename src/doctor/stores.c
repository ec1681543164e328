/* SPDX-License-Identifier: Apache-2.0 */
/* The files in the directory of stores. They are read as the exporter reads them; nothing is written. */
#include "doctor/doctor.h"

#include "collect/reader.h"
#include "totals/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 4096, LISTED = 20 };
#define OWN_CONNECTOR "kvtel serve"

struct file {
    char *name;
    dev_t device;
    ino_t inode;
};

struct look {
    struct doctor *doctor;
    int dir;
    struct stat place;
    struct totals totals;
    struct kvtel_snapshot *snapshot; /* of the totals alone */
    struct file *files;
    size_t count, ended, listed, left_out;
    bool unlisted; /* the directory could not be listed */
};

static bool ends(const char *name, const char *with)
{
    const size_t size = strlen(name), last = strlen(with);
    return size > last && strcmp(name + size - last, with) == 0;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* The first name of a file, or NULL. */
static const char *first_name(const struct look *look, const struct stat *status)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->files[i].inode == status->st_ino && look->files[i].device == status->st_dev)
            return look->files[i].name;
    return NULL;
}

/* Whether an exporter that this user would start may not remove a file of another user. */
static bool is_kept_by_sticky(const struct look *look, const struct stat *status)
{
    const uid_t user = geteuid();
    return !look->doctor->in_use && (look->place.st_mode & S_ISVTX) && user != 0 && user != status->st_uid &&
           user != look->place.st_uid;
}

/* A shortage or a permission is not the file's fault. */
static enum doctor_kind kind_of(const struct kvtel_error *error)
{
    const bool unread = kvtel_error_is_passing(error) || error->system_error == EACCES || error->system_error == EPERM;
    return unread ? DOCTOR_STORE_UNREAD : DOCTOR_STORE_REFUSED;
}

static void tell_live(struct look *look, const char *name, const struct kvtel_store_info *info)
{
    struct doctor *doctor = look->doctor;
    doctor->live++;
    if (look->listed++ < LISTED)
        doctor_find(doctor, DOCTOR_STORES,
                    "%s: pid %" PRIu64 ", connector %s, model %s, engine %" PRIu32 ", rank %" PRIu32, name, info->pid,
                    *info->connector ? info->connector : "(several)", *info->model_name ? info->model_name : "(none)",
                    info->engine, info->rank);
}

/* An ended store: it waits for an exporter, is held back, or stays. */
static void tell_ended(struct look *look, const char *name, struct kvtel_store_reader *reader,
                       const struct kvtel_store_info *info)
{
    if (totals_include(&look->totals, name))
        return;
    look->ended++;
    if (kvtel_store_reader_ending(reader) == KVTEL_ENDING_NONE)
        doctor_find(look->doctor, DOCTOR_STORE_UNCLOSED,
                    "%s: pid %" PRIu64 ", engine %" PRIu32 " ended without closing it", name, info->pid, info->engine);
    kvtel_snapshot_reset(look->snapshot);
    if (look->totals.bytes.size > 0 && totals_add_to(&look->totals, look->snapshot) == KVTEL_OK &&
        kvtel_snapshot_add_reader(look->snapshot, reader, NULL) == KVTEL_E_MISMATCH)
        doctor_find(look->doctor, DOCTOR_STORE_HELD, "%s: the totals have another definition of one of its metrics",
                    name);
}

static void tell_drops(struct look *look, const char *name, const struct kvtel_store_info *info)
{
    if (info->series_dropped + info->records_dropped + info->values_refused == 0)
        return;
    doctor_find(look->doctor, DOCTOR_STORE_DROPS,
                "%s: %" PRIu64 " label sets and %" PRIu64 " records were dropped, %" PRIu64 " values refused", name,
                info->series_dropped, info->records_dropped, info->values_refused);
}

static void look_into(struct look *look, const char *name, struct kvtel_store_reader *reader)
{
    struct kvtel_store_info info;
    struct kvtel_error error = { 0 };
    const bool live = kvtel_store_reader_state(reader) == KVTEL_STORE_LIVE;
    kvtel_snapshot_reset(look->snapshot);
    const enum kvtel_status status = kvtel_snapshot_add_reader(look->snapshot, reader, &error);
    if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
        doctor_find(look->doctor, kind_of(&error), "%s: %s", name, error.message);
    kvtel_store_reader_info(reader, &info);
    if (live && strcmp(info.connector, OWN_CONNECTOR) != 0)
        tell_live(look, name, &info);
    if (!live && (status == KVTEL_OK || status == KVTEL_E_MISMATCH))
        tell_ended(look, name, reader, &info);
    tell_drops(look, name, &info);
}

static void note(struct look *look, const char *name, const struct stat *status)
{
    look->files[look->count] = (struct file){ strdup(name), status->st_dev, status->st_ino };
    if (look->files[look->count].name)
        look->count++;
    else
        look->doctor->no_memory = true;
}

static void meet_store(struct look *look, const char *name)
{
    struct doctor *doctor = look->doctor;
    struct kvtel_store_reader *reader = NULL;
    struct kvtel_error error = { 0 };
    struct stat status;
    if (fstatat(look->dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (look->count == FILES) {
        look->left_out++;
        return;
    }
    const char *first = first_name(look, &status);
    if (first || S_ISLNK(status.st_mode)) {
        doctor_find(doctor, DOCTOR_STORE_LINK, first ? "%s is another name of %s" : "%s is a symbolic link", name,
                    first);
        return;
    }
    note(look, name, &status);
    if (is_kept_by_sticky(look, &status))
        doctor_find(doctor, DOCTOR_DIRECTORY_STICKY, "%s: owner %lu, in a directory with the sticky bit", name,
                    (unsigned long)status.st_uid);
    const int fd = kvtel_store_file_open(look->dir, name, O_NOFOLLOW, &status, &error);
    if (fd >= 0)
        (void)kvtel_store_reader_take(fd, &reader, &error);
    if (reader)
        look_into(look, name, reader);
    else
        doctor_find(doctor, kind_of(&error), "%s: %s", name, error.message);
    kvtel_store_reader_close(reader);
}

static void meet(struct look *look, const char *name)
{
    if (ends(name, ".kvtel") && *name != '.')
        meet_store(look, name);
    else if (ends(name, ".kvtel.damaged"))
        doctor_find(look->doctor, DOCTOR_STORE_DAMAGED, "%s/%s", look->doctor->options.store_dir, name);
    else if (begins(name, "totals.damaged-"))
        doctor_find(look->doctor, DOCTOR_TOTALS_DAMAGED, "%s/%s was set aside", look->doctor->options.store_dir, name);
}

static void read_totals(struct look *look)
{
    const char *dir = look->doctor->options.store_dir;
    struct totals_identity identity = { 0 };
    struct kvtel_error error = { 0 };
    const enum kvtel_status status = totals_file_read(dir, &look->totals, &identity, &error);
    if (status == KVTEL_E_IO || status == KVTEL_E_NOMEM)
        doctor_find(look->doctor, DOCTOR_STORE_UNREAD, "%s/" TOTALS_NAME ": %s", dir, error.message);
    else if (status != KVTEL_OK)
        doctor_find(look->doctor, DOCTOR_TOTALS_DAMAGED, "%s/" TOTALS_NAME ": %s", dir, error.message);
    else if (identity.inode)
        doctor_find(look->doctor, DOCTOR_TOTALS, "%s/" TOTALS_NAME " has %" PRIu32 " label sets", dir,
                    look->totals.series_count);
    if (look->totals.by_rank)
        doctor_find(look->doctor, DOCTOR_TOTALS_BY_RANK, "%s/" TOTALS_NAME " was made with --store.rank-label", dir);
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void tell_unlisted(struct look *look)
{
    look->unlisted = true;
    doctor_find(look->doctor, DOCTOR_STORE_UNREAD, "%s cannot be listed: %s", look->doctor->options.store_dir,
                strerrordesc_np(errno));
}

static void list(struct look *look)
{
    struct dirent **names = NULL;
    const int count = scandirat(look->dir, ".", &names, NULL, by_name);
    if (count < 0)
        tell_unlisted(look);
    for (int i = 0; i < count; i++) {
        meet(look, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

static void tell_sums(struct look *look)
{
    struct doctor *doctor = look->doctor;
    doctor->files += look->count;
    if (look->listed > LISTED)
        doctor_find(doctor, DOCTOR_STORES, "%zu more live stores", look->listed - LISTED);
    if (look->left_out > 0)
        doctor_find(doctor, DOCTOR_STORES_LEFT_OUT, "%zu of %zu files in %s", look->left_out,
                    look->left_out + look->count, doctor->options.store_dir);
    if (doctor->live == 0 && look->left_out == 0 && !look->unlisted)
        doctor_find(doctor, DOCTOR_NO_STORE, "%s has no live store", doctor->options.store_dir);
    if (look->ended > 0 && !doctor->in_use)
        doctor_find(doctor, DOCTOR_STORE_ENDED, "%zu stores in %s", look->ended, doctor->options.store_dir);
}

void doctor_check_stores(struct doctor *doctor)
{
    struct look look = { .doctor = doctor, .dir = -1 };
    if (!doctor->directory_there)
        return;
    look.dir = open(doctor->options.store_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (look.dir < 0)
        tell_unlisted(&look);
    look.files = calloc(FILES, sizeof *look.files);
    look.snapshot = kvtel_snapshot_create();
    doctor->no_memory = doctor->no_memory || !look.files || !look.snapshot;
    if (look.dir >= 0 && look.files && look.snapshot && fstat(look.dir, &look.place) == 0) {
        read_totals(&look);
        list(&look);
        tell_sums(&look);
    }
    for (size_t i = 0; i < look.count; i++)
        free(look.files[i].name);
    free(look.files);
    kvtel_snapshot_destroy(look.snapshot);
    totals_free(&look.totals);
    if (look.dir >= 0)
        close(look.dir);
}
