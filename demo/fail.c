/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static void print(const char *format, va_list arguments)
{
    fputs("kvtel-demo: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int demo_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

int demo_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    fputs("Try 'kvtel-demo --help'.\n", stderr);
    return EXIT_USAGE;
}

bool demo_close_output(void)
{
    bool failed_before = ferror(stdout);
    errno = 0;
    if (fflush(stdout) == 0 && !failed_before)
        return true;
    demo_fail("standard output: writing failed: %s", errno ? strerror(errno) : "not all of it was written");
    return false;
}
