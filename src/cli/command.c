/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. */
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("kvtel: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return EXIT_FAILED;
}

int command_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "kvtel %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\nTry 'kvtel %s --help'.\n", command);
    va_end(arguments);
    return EXIT_USAGE;
}

void command_warn(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    (void)context;
    (void)subject;
    if (reason == KVTEL_REFUSED_MALFORMED)
        return; /* was said with its place */
    fprintf(stderr, "kvtel: %s (reason %s; said once)\n", message, kvtel_refusal_label(reason));
}

bool command_close(FILE *file, const char *path)
{
    bool good = !ferror(file);
    int failure = fflush(file) != 0 ? errno : 0;
    /* A write that failed before has its errno lost; the file is not whole, so that one more line end does no harm to learn it. */
    if (!good && failure == 0 && write(fileno(file), "\n", 1) < 0)
        failure = errno;
    if (file != stdout && fclose(file) != 0 && failure == 0)
        failure = errno;
    if (good && failure == 0)
        return true;
    command_fail("%s: writing failed: %s", path, failure ? strerror(failure) : "not all of it was written");
    return false;
}
