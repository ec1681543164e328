/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores: those of running writers, and the totals of those that have ended, which are kept in one
 * file.
 *
 * A writer's store counts from when it appears. When its writer has ended its final numbers are added to the totals:
 * the new totals are written beside the old ones, with the names of the stores that are in them, and take their place
 * by rename; only then are the stores' files removed. So whenever the exporter is killed, each store is counted once:
 * by its file, or by its name in the totals.
 *
 * A store is a file, by device and inode, whatever it is called: a second name counts nothing, another file under a
 * known name is another store, and a store whose name is gone counts from its open descriptor. Links are not followed,
 * and what is no regular file is not opened.
 */
#ifndef KVTEL_SERVE_STORE_DIR_H
#define KVTEL_SERVE_STORE_DIR_H

#include "serve/retire.h"
#include "serve/writers.h"

#include <kvtel/reader.h>
#include <sys/types.h>

enum store_state {
    STORE_LIVE,
    STORE_ENDED,
    STORE_RETIRED, /* it is in the totals; the file is still there because it cannot be removed */
    STORE_REFUSED,
    STORE_STATES
};
/* "live", "ended", "retired", "refused". */
const char *store_state_name(enum store_state state);

/* What the exporter's own store says that it is. It has no rank. */
#define STORE_OWN_CONNECTOR "kvtel serve"
/* The label that keeps ranks apart. */
#define STORE_RANK_LABEL "rank"

struct store_entry {
    char *name; /* of the file */
    enum store_state state;
    struct kvtel_store_reader *reader; /* NULL when it was never read, or is not any more */
    char reason[192];                  /* why it is refused */
    uint64_t device, inode;            /* the file; 0: not known */
    struct timespec changed; /* the file, when it was refused: looked at again when that or its size differs, */
    off_t size;
    uint64_t retry_ns;  /* or at this time */
    uint64_t failed_ns; /* since when it cannot be read for a passing reason; 0: it can */
    bool began;         /* its writer was told of to `writers` */
    bool seen;          /* in the scan that runs */
    bool retiring;      /* in the batch that is being added to the totals */
    bool ended;         /* when the latest batch was made: nobody writes to it any more */
    bool mismatch;      /* it was said that a family of it is left out */
    bool gone;          /* its file has no name here any more; it counts from the open descriptor */
    bool second;        /* another name of a store that counts: refused until that one is retired */
};

struct store_dir {
    char *path;
    struct serve_log *log;
    int fd;                 /* the directory; locked while an exporter uses it */
    uint64_t device, inode; /* the directory */
    int inotify;            /* readable when something appears, moves or vanishes; -1: no such thing, look each time */
    struct retirement retirement;
    struct store_entry *entries; /* by name */
    size_t count, capacity;
    bool look;         /* the next poll looks at the directory whether something happened in it or not */
    size_t open_count; /* entries whose file is open */
    size_t most_open;  /* more are opened when they are read, and closed again */
    bool by_rank;      /* ranks of an engine are kept apart, by a label */
    bool shared_place; /* a place in shared memory where anybody could have made the directory */
    bool read_only;    /* not ours to write in: ended stores count from their files */
    bool displaced;    /* the path does not lead to this directory: nothing is written */
    bool said_displaced;
    uint64_t absent_ns; /* since when the path leads nowhere; 0: it does not */
    bool incomplete;    /* the last scan did not see all: the next poll scans again */
    size_t postponed;   /* stores that could not be opened for want of something; tried again each second */
    uint64_t said_ns;   /* when that was said */
    uint64_t deleted;   /* files of live stores that somebody removed */
    struct writers writers;
};

struct store_dir_options {
    const char *path;
    bool by_rank;
    bool shared_place; /* the default directory: refused unless it is this user's alone */
    size_t most_open;  /* descriptors that may be kept for stores; 0: any number */
    struct serve_log *log;
};

#define STORE_DIR_CLOSED ((struct store_dir){ .fd = -1, .inotify = -1 })

/* Makes the directory if it is not there, and takes it; one that may only be read is read.
 * @return KVTEL_OK; KVTEL_E_BUSY: another exporter has it; KVTEL_E_IO, KVTEL_E_FORMAT, KVTEL_E_NOMEM: `error` says why
 */
enum kvtel_status store_dir_open(struct store_dir *dir, const struct store_dir_options *options,
                                 struct kvtel_error *error);
void store_dir_close(struct store_dir *dir);
/* Looks for stores that came and went. Call it when `inotify` is readable and once a second, then retire_ended(). */
void store_dir_poll(struct store_dir *dir, uint64_t now_ns);
/* Adds all of it to a snapshot. A store that is bad is refused from then on, the rest is added. Where one cannot be
 * read for a passing reason the whole fails, as counters would seem to begin again: KVTEL_E_NOMEM, KVTEL_E_IO. */
enum kvtel_status store_dir_collect(struct store_dir *dir, struct kvtel_snapshot *snapshot);

/* What retire.c shares with store_dir.c. */
enum { STORE_DIR_PATH = 4096, STORE_DIR_NAME = 288 };
/* The path of a file in the directory. False: it is too long. */
bool store_dir_path(const struct store_dir *dir, const char *name, char out[STORE_DIR_PATH]);
bool store_dir_is_store(const char *name);
/* Place of a name among the entries, which are sorted. */
size_t store_dir_find(const struct store_dir *dir, const char *name, bool *found);
/* NULL without memory. */
struct store_entry *store_dir_add(struct store_dir *dir, size_t at, const char *name);
void store_dir_remove(struct store_dir *dir, size_t at);
/* Whether the file of a store that is in the totals is gone, or another file has its name. It must not be taken for a
 * new store while it is not. */
bool store_dir_unlink(const struct store_dir *dir, const char *name);
void store_dir_refuse(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error);
void store_dir_say_mismatch(struct store_dir *dir, struct store_entry *entry);
/* Whether a live store's writer has ended; then its file is open. One that finds no descriptor counts as live for now.
 */
bool store_dir_has_ended(struct store_dir *dir, struct store_entry *entry);
/* Other names of stores that have ended are in the totals with them. */
void store_dir_mark_seconds(struct store_dir *dir);

/* What store_scan.c shares with store_dir.c. */
/* What is in the directory against what is known of it. */
void store_dir_scan(struct store_dir *dir, uint64_t now_ns);
/* Opens the file of an entry that has a reader, if it is closed. KVTEL_OK; else `error` says why. */
enum kvtel_status store_dir_resume(struct store_dir *dir, struct store_entry *entry, struct kvtel_error *error);
/* Closes it again where more are open than may be. */
void store_dir_park(struct store_dir *dir, struct store_entry *entry);
/* Closes the reader, where there is one. */
void store_dir_close_reader(struct store_dir *dir, struct store_entry *entry);

#endif
