/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores: those of running writers, and the totals of those that have ended, which are kept in one file.
 *
 * A writer's store counts from when it appears. When its writer has ended its final numbers are added to the totals: the new totals
 * are written beside the old ones, with the names of the stores that are in them, and take their place by rename; only then are the
 * stores' files removed. So whenever the exporter is killed, each store is counted once: by its file, or by its name in the totals.
 */
#ifndef KVTEL_SERVE_STORE_DIR_H
#define KVTEL_SERVE_STORE_DIR_H

#include "cli/serve/retire.h"
#include "cli/serve/writers.h"

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
    struct timespec changed;           /* the file, when it was refused: looked at again when that or its size differs */
    off_t size;
    bool began;    /* its writer was told of to `writers` */
    bool seen;     /* in the scan that runs */
    bool retiring; /* in the batch that is being added to the totals */
    bool ended;    /* when the latest batch was made: nobody writes to it any more */
    bool mismatch; /* it was said that a family of it is left out */
};

struct store_dir {
    char *path;
    struct serve_log *log;
    int lock;    /* held while an exporter uses the directory */
    int inotify; /* readable when something appears, moves or vanishes; -1: no such thing, look each time */
    struct retirement retirement;
    struct store_entry *entries; /* by name */
    size_t count, capacity;
    bool look;      /* the next poll looks at the directory whether something happened in it or not */
    bool by_rank;   /* ranks of an engine are kept apart, by a label */
    bool read_only; /* not ours to write in: ended stores count from their files */
    struct writers writers;
};

/* Makes the directory if it is not there, and takes it; one that may only be read is read.
 * @return KVTEL_OK; KVTEL_E_BUSY: another exporter has it; KVTEL_E_IO, KVTEL_E_FORMAT, KVTEL_E_NOMEM: `error` says why */
enum kvtel_status store_dir_open(struct store_dir *dir, const char *path, bool by_rank, struct serve_log *log,
                                 struct kvtel_error *error);
void store_dir_close(struct store_dir *dir);
/* Looks for stores that came and went. Call it when `inotify` is readable and once a second, then retire_ended(). */
void store_dir_poll(struct store_dir *dir);
/* Adds all of it to a snapshot. A store that cannot be read is refused from then on, the rest is added. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status store_dir_collect(struct store_dir *dir, struct kvtel_snapshot *snapshot);

/* What retire.c shares with store_dir.c. */
enum { STORE_DIR_PATH = 4096 };
/* The path of a file in the directory. False: it is too long. */
bool store_dir_path(const struct store_dir *dir, const char *name, char out[STORE_DIR_PATH]);
bool store_dir_is_store(const char *name);
/* Place of a name among the entries, which are sorted. */
size_t store_dir_find(const struct store_dir *dir, const char *name, bool *found);
/* NULL without memory. */
struct store_entry *store_dir_add(struct store_dir *dir, size_t at, const char *name);
void store_dir_remove(struct store_dir *dir, size_t at);
/* Whether the file of a store that is in the totals is gone. It must not be taken for a new store while it is not. */
bool store_dir_unlink(const struct store_dir *dir, const char *name);
void store_dir_refuse(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error);
void store_dir_say_mismatch(struct store_dir *dir, struct store_entry *entry);

#endif
