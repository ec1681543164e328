/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings. */
#include "doctor/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

enum { MORE = 32 };

void doctor_find(struct doctor *doctor, enum doctor_kind kind, const char *format, ...)
{
    va_list arguments;
    char *seen = NULL;
    va_start(arguments, format);
    if (vasprintf(&seen, format, arguments) < 0)
        seen = NULL;
    va_end(arguments);
    if (seen && doctor->count == doctor->room) {
        struct doctor_finding *larger = reallocarray(doctor->findings, doctor->room + MORE, sizeof *doctor->findings);
        if (larger) {
            doctor->findings = larger;
            doctor->room += MORE;
        }
    }
    if (!seen || doctor->count == doctor->room) {
        doctor->no_memory = true;
        free(seen);
        return;
    }
    doctor->findings[doctor->count++] = (struct doctor_finding){ kind, seen };
}

bool doctor_has(const struct doctor *doctor, enum doctor_kind kind)
{
    for (size_t i = 0; i < doctor->count; i++)
        if (doctor->findings[i].kind == kind)
            return true;
    return false;
}

int doctor_lock_of(int fd)
{
    int failed;
    do
        failed = flock(fd, LOCK_SH | LOCK_NB);
    while (failed != 0 && errno == EINTR);
    if (failed != 0)
        return errno == EACCES ? EWOULDBLOCK : errno;
    (void)flock(fd, LOCK_UN);
    return 0;
}
