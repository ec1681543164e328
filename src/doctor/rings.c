/* SPDX-License-Identifier: Apache-2.0 */
/* NIXL's rings, without taking an event out of one, and NIXL's plug-in. */
#include "doctor/doctor.h"

#include "machine/nixl_places.h"
#include "nixl/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct look {
    struct doctor *doctor;
    int dir;
    size_t rings;
    int pauses;
};

enum { MOST_PAUSES = 10 };

/* A burst fills a ring between two reads of the exporter, 50 ms apart. */
static bool stays_full(struct look *look, struct kvtel_nixl_ring *ring)
{
    const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
    const uint64_t read_pos = ring->read_pos;
    if (look->pauses++ < MOST_PAUSES)
        nanosleep(&pause, NULL);
    (void)kvtel_nixl_ring_look(ring, kvtel_now_ns());
    return ring->state == KVTEL_NIXL_BLOCKED && ring->read_pos == read_pos;
}

static void look_at_ring(struct look *look, struct kvtel_nixl_ring *ring, const char *name)
{
    struct doctor *doctor = look->doctor;
    (void)kvtel_nixl_ring_look(ring, kvtel_now_ns());
    if (ring->state == KVTEL_NIXL_NOT_A_RING)
        return;
    look->rings++;
    const bool full = ring->state == KVTEL_NIXL_BLOCKED && stays_full(look, ring);
    /* opened for reading alone, a ring is at best read_only */
    if (full)
        doctor_find(doctor, DOCTOR_RING_FULL, "%s is full", name);
    else if (ring->state == KVTEL_NIXL_READ_ONLY || ring->state == KVTEL_NIXL_BLOCKED)
        doctor_find(doctor, DOCTOR_RINGS, "%s: version %d, room for %llu events", name, (int)ring->version,
                    (unsigned long long)ring->capacity);
    else
        doctor_find(doctor, DOCTOR_RING_UNUSABLE, "%s: %s, %s", name, kvtel_nixl_state_text(ring->state), ring->reason);
}

static bool meet(void *context, const char *name)
{
    struct look *look = context;
    struct kvtel_nixl_ring ring;
    struct stat status;
    if (*name == '.' || fstatat(look->dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return true;
    const int fd = openat(look->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        doctor_find(look->doctor, DOCTOR_RING_UNUSABLE, "%s: %s", name, strerrordesc_np(errno));
        return true;
    }
    kvtel_nixl_ring_init(&ring);
    if (kvtel_nixl_ring_attach(&ring, fd, false))
        look_at_ring(look, &ring, name);
    kvtel_nixl_ring_close(&ring);
    return true;
}

void doctor_check_rings(struct doctor *doctor)
{
    const char *folder = doctor->options.nixl_dir;
    if (!folder)
        return;
    struct look look = { .doctor = doctor, .dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    if (look.dir < 0) {
        doctor_find(doctor, errno == ENOENT ? DOCTOR_RING_DIRECTORY_MISSING : DOCTOR_RING_UNUSABLE, "%s: %s", folder,
                    errno == ENOENT ? "it does not exist" : strerrordesc_np(errno));
        return;
    }
    if (nixl_each_name(folder, "", "", meet, &look) == 0) /* each directory has "." */
        doctor_find(doctor, DOCTOR_RING_UNUSABLE, "%s cannot be listed: %s", folder, strerrordesc_np(errno));
    else if (look.rings == 0)
        doctor_find(doctor, DOCTOR_RINGS, "%s has no ring yet", folder);
    doctor->files += look.rings;
    close(look.dir);
}

/* -- The plug-in -- */

static void check_place(struct doctor *doctor, const struct nixl_place *place)
{
    char path[PATH_MAX];
    struct stat status;
    bool any = false, broken = false;
    for (int half = 0; half < NIXL_HALVES; half++) {
        if (!nixl_place_loads(place, half) || !nixl_path(path, place->plugins, nixl_link_names[half]) ||
            lstat(path, &status) != 0)
            continue;
        any = true;
        if (stat(path, &status) != 0) {
            broken = true;
            doctor_find(doctor, DOCTOR_NIXL_LINK_BROKEN, "%s leads to a file that is gone", path);
        }
    }
    if (!broken)
        doctor_find(doctor, any ? DOCTOR_NIXL : DOCTOR_NIXL_WITHOUT_PLUGIN, "NIXL %s in %s",
                    *place->version ? place->version : "(version not known)",
                    *place->site ? place->site : place->plugins);
}

void doctor_check_nixl(struct doctor *doctor)
{
    const char *dir = getenv("NIXL_PLUGIN_DIR");
    struct nixl_places *places = calloc(1, sizeof *places);
    if (!places) {
        doctor->no_memory = true;
        return;
    }
    if (dir && *dir)
        nixl_places_add_plugins(places, dir);
    else
        nixl_places_find(places);
    for (size_t i = 0; i < places->count; i++)
        check_place(doctor, &places->all[i]);
    free(places);
}
