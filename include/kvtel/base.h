/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What every kvtel header shares: the export macro, status codes, and the error that a parser fills.
 *
 * libkvtel_record has its functions.
 */
#ifndef KVTEL_BASE_H
#define KVTEL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** @def KVTEL_BEGIN_DECLS
 * Opens the part of a header that has C linkage; KVTEL_END_DECLS closes it. */
/** @def KVTEL_END_DECLS
 * Closes what KVTEL_BEGIN_DECLS opened. */
#ifdef __cplusplus
#define KVTEL_BEGIN_DECLS extern "C" {
#define KVTEL_END_DECLS }
#else
#define KVTEL_BEGIN_DECLS
#define KVTEL_END_DECLS
#endif

/** @def KVTEL_API
 * Marks a function that the shared library exports. Every other function is hidden. */
/** @def KVTEL_PRINTF
 * Lets the compiler check a call's arguments against its printf() format; both numbers count arguments from 1. */
#if defined(__GNUC__)
#define KVTEL_API __attribute__((visibility("default")))
#define KVTEL_PRINTF(text_at, first_at) __attribute__((__format__(__printf__, text_at, first_at)))
#else
#define KVTEL_API
#define KVTEL_PRINTF(text_at, first_at)
#endif

KVTEL_BEGIN_DECLS

/** Every status: name, value, text. 0 is success, all else is negative. */
#define KVTEL_STATUS_LIST(X)                                                   \
    X(KVTEL_OK, 0, "ok")                                                       \
    X(KVTEL_E_NOMEM, -1, "out of memory")                                      \
    X(KVTEL_E_ARGUMENT, -2, "argument out of range")                           \
    X(KVTEL_E_SYNTAX, -3, "malformed input")                                   \
    X(KVTEL_E_TRUNCATED, -4, "input ends in the middle of an object")          \
    X(KVTEL_E_TRAILING, -5, "bytes after the end of the object")               \
    X(KVTEL_E_DEPTH, -6, "nested too deeply")                                  \
    X(KVTEL_E_TYPE, -7, "value of the wrong type")                             \
    X(KVTEL_E_UNKNOWN, -8, "unknown name")                                     \
    X(KVTEL_E_NO_STATS, -9, "this connector has no stats")                     \
    X(KVTEL_E_ENGINE, -10, "engine not declared")                              \
    X(KVTEL_E_LIMIT, -11, "a limit was reached")                               \
    X(KVTEL_E_SUMMARISED, -12, "samples were summarised, the list is gone")    \
    X(KVTEL_E_MISMATCH, -13, "objects of different connectors or definitions") \
    X(KVTEL_E_IO, -14, "input or output failed")                               \
    X(KVTEL_E_FORMAT, -15, "not a store of this version")                      \
    X(KVTEL_E_BUSY, -16, "in use by another process")

/** How a call ended. 0 is success, everything else is negative: one of KVTEL_STATUS_LIST. */
enum kvtel_status {
#define X(name, value, text) name = value,
    KVTEL_STATUS_LIST(X)
#undef X
};

/** The status as a short English phrase. Static text; never NULL. Any thread. */
KVTEL_API const char *kvtel_status_text(enum kvtel_status status);

/** Bytes of the longest text that is taken from outside: a model's name, a connector's, a source's, a label's value.
 * What is longer is refused, with the reason. */
enum { KVTEL_TEXT_LIMIT = 1024 };

/** Where and why reading failed. The caller owns it; a failing call fills all of it, a call that succeeds leaves it
 * alone. */
struct kvtel_error {
    enum kvtel_status status; /**< the same as the failing call returned */
    size_t offset;            /**< bytes from the start of the input */
    uint32_t line;            /**< from 1; 0 where the input has no lines (MessagePack) */
    uint32_t column;          /**< from 1, in bytes; 0 where there are no lines */
    char message[192];        /**< what is wrong, without the place; NUL-terminated */
    int system_error;         /**< errno of the system call that failed; 0: it was none */
    uint64_t reserved[3];     /**< 0 */
};

/** Whether the call failed for a reason that may pass and that is not a fault of the input: a shortage of the machine
 * (memory, file descriptors), a read that failed, a signal. Then keep what is known of the input, and try again. False
 * for NULL and for KVTEL_OK. Any thread. */
KVTEL_API bool kvtel_error_is_passing(const struct kvtel_error *error);

/** Bytes on the wire. */
enum kvtel_format {
    KVTEL_MSGPACK, /**< MessagePack; a label tuple is an array in key position */
    KVTEL_JSON,    /**< JSON; a label tuple in key position is the JSON text of its array */
};

/** Version of these headers: a program can be compiled against one version and run with another, see kvtel_version().
 */
#define KVTEL_VERSION_MAJOR 0
#define KVTEL_VERSION_MINOR 1 /**< See KVTEL_VERSION_MAJOR. */
#define KVTEL_VERSION_PATCH 0 /**< See KVTEL_VERSION_MAJOR. */
/** The version as one number that grows: `#if KVTEL_VERSION_NUMBER >= 102` is 0.1.2 or later. */
#define KVTEL_VERSION_NUMBER (KVTEL_VERSION_MAJOR * 10000 + KVTEL_VERSION_MINOR * 100 + KVTEL_VERSION_PATCH)

/** Version of the library that runs, "MAJOR.MINOR.PATCH". Static text. Any thread. */
KVTEL_API const char *kvtel_version(void);

KVTEL_END_DECLS
#endif
