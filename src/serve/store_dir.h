/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores: the stores of running writers, and one file with the totals of ended stores.
 *
 * A writer's store counts from the moment when it appears. When the writer has ended, the store's final numbers are
 * added to the totals:
 * 1. the new totals are written to a new file, with the names of the stores that they include;
 * 2. a rename replaces the old totals by the new ones;
 * 3. the stores' files are removed.
 * So whenever the exporter is killed, each store counts once: by its file, or by its name in the totals.
 *
 * A store is identified by the device and inode of its file, not by its name. A second name of the file does not
 * count. Another file under a known name is another store. A store whose name was removed counts through its open
 * descriptor. Symbolic links are not followed, and only regular files are opened. */
#ifndef KVTEL_SERVE_STORE_DIR_H
#define KVTEL_SERVE_STORE_DIR_H

#include "serve/retire.h"
#include "serve/writers.h"

#include <kvtel/reader.h>
#include <sys/types.h>

enum store_state {
    STORE_LIVE,
    STORE_ENDED,
    STORE_RETIRED, /* included in the totals; its file still exists because it cannot be removed */
    STORE_REFUSED,
    STORE_STATES
};
/* "live", "ended", "retired", "refused". */
const char *store_state_name(enum store_state state);

/* The connector in the header of the exporter's own store. This store does not have a rank. */
#define STORE_OWN_CONNECTOR "kvtel serve"
/* The label that distinguishes ranks. */
#define STORE_RANK_LABEL "rank"

struct store_entry {
    char *name; /* of the file */
    enum store_state state;
    struct kvtel_store_reader *reader; /* NULL: not read yet, or not needed any more */
    struct kvtel_relabel *rank; /* adds the rank's label to the reader's series; NULL: ranks are not distinguished */
    char reason[192];           /* why the store is refused, or was the last time */
    uint64_t device, inode;     /* identity of the file; 0: not known */
    /* Time and size of a refused file. The file is examined again when one of them differs, or at retry_ns. */
    struct timespec changed;
    off_t size;
    uint64_t retry_ns;       /* CLOCK_MONOTONIC */
    uint64_t failed_ns;      /* CLOCK_MONOTONIC: since when reading fails for a passing reason; 0: it does not */
    uint64_t open_looked_ns; /* CLOCK_MONOTONIC: when its open transfers were last read; 0: not yet */
    uint64_t open_asked_ns;  /* CLOCK_MONOTONIC: when it was last asked whether it has any */
    uint64_t open_owner;     /* its number among those with open transfers; 0: none yet */
    bool began;              /* `writers` was told of its writer */
    bool seen;               /* found by the running scan */
    bool retiring;           /* part of the batch being added to the totals */
    bool ended;              /* the writer had ended when the latest batch was made */
    bool mismatch;           /* it was logged that one of its families is left out */
    /* its file's name was removed from the directory; the store counts through its open descriptor */
    bool gone;
    bool second;      /* another name of a store that counts; refused until that store is retired */
    bool lost;        /* its file cannot be read any more: the kept numbers count, and go into the totals */
    uint64_t lost_ns; /* CLOCK_MONOTONIC: when a scan first found it lost */
    bool settled;     /* a later scan did not find the store under another name */
    bool damaged;     /* a part of the file cannot be read: the file is renamed instead of removed */
    bool own;         /* this process writes it: its file stays open, so that nothing is lost when its name goes */
    bool held;        /* not retired, because the totals have another definition of one of its families */
};

/* Memory of a reading of all stores, kept for the next. */
struct store_reading {
    size_t *at; /* indexes of entries */
    struct kvtel_store_reader **readers;
    struct kvtel_error *errors;
    size_t room; /* of each */
};

struct store_dir {
    char *path;
    struct serve_log *log;
    int fd;                 /* the directory; locked while an exporter uses it */
    uint64_t device, inode; /* the directory */
    int inotify;            /* readable when a file appears, moves or vanishes; -1: not available, each poll scans */
    struct retirement retirement;
    struct store_entry *entries; /* by name */
    size_t count, capacity;
    bool look;         /* the next poll scans the directory in any case */
    size_t open_count; /* entries whose file is open */
    size_t most_open;  /* limit; further files are opened for each read */
    bool by_rank;      /* ranks of an engine are distinguished by a label */
    bool shared_place; /* the directory is in shared memory, where any user could have made it */
    bool read_only;    /* the directory is not writable: ended stores count from their files */
    bool displaced;    /* the path leads to another directory by now: nothing is written */
    bool said_displaced;
    uint64_t absent_ns; /* since when the path does not exist; 0: it does */
    bool incomplete;    /* the last scan was incomplete: the next poll scans again */
    size_t postponed;   /* stores that could not be opened because of a shortage; tried again each second */
    size_t stale;       /* stores that the last reading could not read, whose kept numbers count */
    uint64_t said_ns;   /* when the shortage was last logged */
    uint64_t deleted;   /* files of live stores that somebody removed */
    struct writers writers;
    struct store_reading reading;
};

struct store_dir_options {
    const char *path;
    bool by_rank;
    bool shared_place; /* the default directory: refused unless it belongs to this user alone */
    size_t most_open;  /* limit of descriptors kept open; 0: none */
    struct serve_log *log;
};

#define STORE_DIR_CLOSED ((struct store_dir){ .fd = -1, .inotify = -1 })

/* Opens the directory; a missing one is made. A directory without write permission is opened for reading only.
 * @return KVTEL_OK; KVTEL_E_BUSY: another exporter uses it; KVTEL_E_IO, KVTEL_E_FORMAT, KVTEL_E_NOMEM: `error` says
 * why */
enum kvtel_status store_dir_open(struct store_dir *dir, const struct store_dir_options *options,
                                 struct kvtel_error *error);
void store_dir_close(struct store_dir *dir);
/* Looks for stores that appeared or vanished. Call it when `inotify` is readable and once a second, then call
 * retire_ended(). */
void store_dir_poll(struct store_dir *dir, uint64_t now_ns);
/* Reads what moved in one store, so that the numbers of its last second are kept if its file is truncated, and keeps
 * its file open from now on. False: there is no entry of that name, or its file cannot be read now. */
bool store_dir_keep(struct store_dir *dir, const char *name, struct kvtel_workers *workers);
/* Brings the numbers of all stores up to date. A store that cannot be read counts with its numbers as of the last time.
 * One that was never read is refused if it is bad; if it fails for a passing reason the whole call fails with
 * KVTEL_E_NOMEM or KVTEL_E_IO, because counters would seem to restart. */
enum kvtel_status store_dir_read(struct store_dir *dir, struct kvtel_workers *workers);
/* At most so many sources store_dir_follow() lists. */
size_t store_dir_follow_most(const struct store_dir *dir);
/* Lists the totals and all stores as sources that a snapshot follows, valid until the next poll or reading.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status store_dir_follow(struct store_dir *dir, struct kvtel_followed *sources, size_t *count);
/* Takes note of what kvtel_snapshot_follow() could not use. `sources`: those of the last store_dir_follow(), with no
 * poll or reading in between. */
void store_dir_followed(struct store_dir *dir, const struct kvtel_followed *sources);

/* Functions of store_entry.c, for retire.c, store_scan.c and store_dir.c. */
enum { STORE_DIR_PATH = 4096, STORE_DIR_NAME = 288 };
/* The path of a file in the directory. False: the path is too long. */
bool store_dir_path(const struct store_dir *dir, const char *name, char out[STORE_DIR_PATH]);
bool store_dir_is_store(const char *name);
/* Place of a name among the sorted entries. */
size_t store_dir_find(const struct store_dir *dir, const char *name, bool *found);
/* Inserts an entry. NULL: no memory. */
struct store_entry *store_dir_add(struct store_dir *dir, size_t at, const char *name);
void store_dir_remove(struct store_dir *dir, size_t at);
/* Removes the file of a store that is in the totals. True: the file is gone, or the name belongs to another file.
 * False: the file still exists and must not be taken for a new store. */
bool store_dir_unlink(const struct store_dir *dir, const char *name);
/* Gives the damaged file of a store that is in the totals another name, or removes it where that fails. Returns whether
 * the store's own name is free. */
bool store_dir_set_aside(const struct store_dir *dir, const struct store_entry *entry);
/* Leaves the store out until it is examined again. The same reason is logged once. */
void store_dir_refuse(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error,
                      uint64_t now_ns);
void store_dir_say_mismatch(struct store_dir *dir, struct store_entry *entry);
/* The store's file cannot be read any more, and its numbers as of the last time are kept. */
void store_dir_lose(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error);
/* Whether a live store's writer has ended; if so, the store's file is open. While there is no descriptor for it, the
 * store counts as live. */
bool store_dir_has_ended(struct store_dir *dir, struct store_entry *entry);
/* Marks further names of ended stores as retired along with them. */
void store_dir_mark_seconds(struct store_dir *dir);
/* Opens the file of an entry with a reader, if it is closed. KVTEL_OK; else `error` says why. */
enum kvtel_status store_dir_resume(struct store_dir *dir, struct store_entry *entry, struct kvtel_error *error);
/* Closes the file again if more than most_open are open. */
void store_dir_park(struct store_dir *dir, struct store_entry *entry);
/* Whether another entry reads the file of this one, which was renamed while it was not open. */
bool store_dir_has_twin(const struct store_dir *dir, const struct store_entry *entry);
/* Closes the reader, if there is one. */
void store_dir_close_reader(struct store_dir *dir, struct store_entry *entry);
/* Whether this is the file of the entry. */
struct stat;
bool store_dir_is_file(const struct store_entry *entry, const struct stat *status);
/* Frees what an entry holds. */
void store_dir_free_entry(struct store_dir *dir, struct store_entry *entry);

/* store_scan.c: compares the directory with the entries; adds, renames and drops entries. */
void store_dir_scan(struct store_dir *dir, uint64_t now_ns);

#endif
