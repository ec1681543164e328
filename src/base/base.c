/* SPDX-License-Identifier: Apache-2.0 */
/* Status texts, the version, and the filling of errors. */
#include <kvtel/base.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/python.h"

const char *kvtel_status_text(enum kvtel_status status)
{
    switch (status) {
#define X(name, value, text) \
    case name:               \
        return text;
        KVTEL_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

const char *kvtel_version(void)
{
    return KVTEL_VERSION;
}

enum kvtel_status kvtel_fail(struct kvtel_error *error, enum kvtel_status status, size_t offset, const char *format,
                             ...)
{
    if (!error)
        return status;
    *error = (struct kvtel_error){ .status = status, .offset = offset };
    va_list arguments;
    va_start(arguments, format);
    char message[sizeof(error->message)] = "";
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);
    kvtel_python_line_into(error->message, sizeof(error->message), message); /* the message may quote untrusted input */
    return status;
}

enum kvtel_status kvtel_fail_system(struct kvtel_error *error, int number, size_t offset, const char *what)
{
    enum kvtel_status status = number == ENOMEM ? KVTEL_E_NOMEM : KVTEL_E_IO;
    (void)kvtel_fail(error, status, offset, "%s: %s", what, strerror(number));
    if (error)
        error->system_error = number;
    return status;
}

bool kvtel_error_is_passing(const struct kvtel_error *error)
{
    static const int passing[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EIO, EINTR, EAGAIN };
    if (!error || error->status == KVTEL_OK)
        return false;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (error->system_error == passing[i])
            return true;
    }
    return error->status == KVTEL_E_NOMEM;
}
