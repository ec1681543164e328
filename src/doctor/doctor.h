/* SPDX-License-Identifier: Apache-2.0 */
/* What kvtel doctor looks at, and what it found. One thread. */
#ifndef KVTEL_DOCTOR_DOCTOR_H
#define KVTEL_DOCTOR_DOCTOR_H

#include "doctor/kinds.h"
#include "doctor/options.h"

#include <kvtel/buffer.h>
#include <kvtel/diagnostics.h>
#include <stdint.h>
#include <sys/types.h>

struct doctor_finding {
    enum doctor_kind kind;
    char *seen; /* untrusted: names of files and texts of others are in it */
};

struct doctor {
    struct doctor_options options;
    struct doctor_finding *findings;
    size_t count, room;
    bool no_memory; /* findings are missing */

    /* What the checks leave for those after them. */
    bool directory_there, in_use; /* the directory of stores can be listed; an exporter holds its lock */
    dev_t device;                 /* of the directory */
    ino_t inode;
    size_t live, files; /* live stores of others than the exporter; files that an exporter opens: stores and rings */
    bool engine;        /* a process has loaded vLLM's or NIXL's libraries */
    /* A running exporter: its pid, and how many files it may open; "" and 0: none was seen. */
    char exporter[16];
    unsigned long open_files;
    double exporter_time, uptime_seconds; /* its summary's; NaN and 0: not known */
    struct kvtel_buffer metrics;          /* the exporter's page, with a NUL; size 0: none */
};

/* Adds a finding. `format`: what is seen, without a full stop. */
void doctor_find(struct doctor *doctor, enum doctor_kind kind, const char *format, ...) KVTEL_PRINTF(3, 4);
/* Whether there is a finding of this kind. */
bool doctor_has(const struct doctor *doctor, enum doctor_kind kind);

/* Whether an exporter has locked the directory: 0: no, EWOULDBLOCK: yes, else why it cannot be locked. */
int doctor_lock_of(int fd);

/* Whether systemd-logind empties shared memory of a user who logs out (RemoveIPC=, which is on by default). */
bool doctor_removes_ipc(const struct doctor *doctor);

/* The checks, in the order in which they run. Each adds its findings; what cannot be read is a finding too. */
void doctor_check_directory(struct doctor *doctor);
void doctor_check_stores(struct doctor *doctor);
void doctor_check_rings(struct doctor *doctor);
void doctor_check_nixl(struct doctor *doctor);
void doctor_check_processes(struct doctor *doctor);
void doctor_check_exporter(struct doctor *doctor);
void doctor_check_metrics(struct doctor *doctor);
void doctor_check_limits(struct doctor *doctor);

/* The sum of the samples of this name whose labels contain `label` ("": all). False: there is none. `page`: Prometheus'
 * text, with a NUL. */
bool doctor_metric(const char *page, const char *name, const char *label, double *value);

#endif
