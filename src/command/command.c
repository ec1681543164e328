/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that all commands use. */
#include "command/command.h"

#include "base/python.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 6000 };

/* Prints to standard error. Unprintable characters are escaped, because the text quotes names and contents of files. */
static void say(const char *format, va_list arguments)
{
    char message[MESSAGE_SIZE], shown[2 * MESSAGE_SIZE];
    if (vsnprintf(message, sizeof message, format, arguments) < 0)
        return;
    kvtel_python_line_into(shown, sizeof shown, message);
    fprintf(stderr, "%s\n", shown);
}

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("kvtel: ", stderr);
    say(format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

int command_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "kvtel %s: ", command);
    say(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'kvtel %s --help'.\n", command);
    return EXIT_USAGE;
}

void command_print_name(const char *name)
{
    char shown[2 * MESSAGE_SIZE];
    kvtel_python_line_into(shown, sizeof shown, name);
    fputs(shown, stdout);
}

void command_warn(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    (void)context;
    (void)subject;
    if (reason == KVTEL_REFUSED_MALFORMED)
        return; /* already printed with its place */
    fprintf(stderr, "kvtel: %s (reason %s; said once)\n", message, kvtel_refusal_label(reason));
}

bool command_close(FILE *file, const char *path)
{
    bool good = !ferror(file);
    int failure = fflush(file) != 0 ? errno : 0;
    /* The errno of an earlier failed write is lost. Writing one more line end fails with the same errno, and does no
     * harm because the file is incomplete anyway. */
    if (!good && failure == 0 && write(fileno(file), "\n", 1) < 0)
        failure = errno;
    if (file != stdout && fclose(file) != 0 && failure == 0)
        failure = errno;
    if (good && failure == 0)
        return true;
    command_fail("%s: writing failed: %s", path, failure ? strerror(failure) : "not all of it was written");
    return false;
}
