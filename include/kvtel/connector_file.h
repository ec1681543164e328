/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Connectors' tables as JSON: files that say what a connector's payloads hold, without a line of C.
 *
 * A file has one table, an object, or several, a list of objects. docs/any-connector.md describes the members, which
 * are those of connector.h. libkvtel_record does not have its functions.
 */
#ifndef KVTEL_CONNECTOR_FILE_H
#define KVTEL_CONNECTOR_FILE_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>
#include <kvtel/connector.h>

KVTEL_BEGIN_DECLS

/** Reads tables from JSON and checks them as kvtel_connector_register() does. With `is_registered` they are also
 * registered, all or, where the process has no room for all of them, those before the one that is refused; they then
 * stay for the life of the process.
 * @param error may be NULL; with the place in the text
 * @return KVTEL_OK, KVTEL_E_SYNTAX, KVTEL_E_TRUNCATED, KVTEL_E_TRAILING, KVTEL_E_DEPTH, KVTEL_E_TYPE (a member that a
 * table does not have, or of another type), KVTEL_E_FORMAT (another version), KVTEL_E_ARGUMENT (the table is
 * inconsistent, or a name is taken), KVTEL_E_LIMIT, KVTEL_E_NOMEM. Any thread. */
KVTEL_API enum kvtel_status kvtel_connector_parse(const char *json, size_t size, bool is_registered,
                                                  struct kvtel_error *error);
/** The same for a file of at most 16 MiB. @return also KVTEL_E_IO. Any thread. */
KVTEL_API enum kvtel_status kvtel_connector_load(const char *path, bool is_registered, struct kvtel_error *error);
/** Called for each file of a path that could not be loaded; `file` and `error` are borrowed. */
typedef void (*kvtel_connector_failed_fn)(void *context, const char *file, const struct kvtel_error *error);
/** Loads and registers the files of a path: names with colons between them, each of a file, or of a directory, of which
 * the files *.json are loaded in the order of their names. A file that cannot be loaded does not keep others from it.
 * @param path   NULL: the value of the environment variable KVTEL_CONNECTOR_PATH, if it is set
 * @param failed may be NULL
 * @return how many files could not be loaded. Any thread. */
KVTEL_API size_t kvtel_connector_load_path(const char *path, kvtel_connector_failed_fn failed, void *context);
/** Appends a table as JSON, in one line.
 * @return KVTEL_OK, KVTEL_E_ARGUMENT (the table has a function, which JSON cannot hold), KVTEL_E_NOMEM. Any thread. */
KVTEL_API enum kvtel_status kvtel_connector_encode(const struct kvtel_connector *connector, struct kvtel_buffer *json);

KVTEL_END_DECLS
#endif
