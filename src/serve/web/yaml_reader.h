/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of a YAML document into a struct: an unknown or repeated key, a wrong type or a tag is an error
 * with a place. Functions return KVTEL_OK, or another status after filling the reader's error. Any thread. */
#ifndef KVTEL_SERVE_WEB_YAML_READER_H
#define KVTEL_SERVE_WEB_YAML_READER_H

#include <kvtel/base.h>
#include <yaml.h>

struct yaml_reader {
    yaml_document_t *document;
    void *target; /* filled by the keys' functions */
    struct kvtel_error *error;
};

/* Reads the value of one key. `key` is the key's text. */
typedef enum kvtel_status (*yaml_read_fn)(struct yaml_reader *reader, const char *key, yaml_node_t *value);

struct yaml_key {
    const char *name;
    yaml_read_fn read;
};

/* Fills the error with the node's place. */
enum kvtel_status yaml_fail(struct yaml_reader *reader, const yaml_node_t *node, const char *format, ...)
    KVTEL_PRINTF(3, 4);

/* Whether the node is null, ~, or empty. */
bool yaml_is_null(const yaml_node_t *node);

/* Passes each pair of a mapping (null: an empty one) to the function of its key. */
enum kvtel_status yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *node, const struct yaml_key *keys,
                                    size_t count);
/* The same for keys of any name. */
enum kvtel_status yaml_read_pairs(struct yaml_reader *reader, yaml_node_t *node, yaml_read_fn read);
/* Passes each element of a sequence (null: an empty one) to the function, with `key` as its key. */
enum kvtel_status yaml_read_sequence(struct yaml_reader *reader, const char *key, yaml_node_t *node, yaml_read_fn read);

/* Reads a scalar's text, borrowed from the document; null gives "". */
enum kvtel_status yaml_read_text(struct yaml_reader *reader, const char *key, const yaml_node_t *node,
                                 const char **text);
/* The same as a copy that the caller frees; the old value of `*text` is freed. */
enum kvtel_status yaml_read_copy(struct yaml_reader *reader, const char *key, const yaml_node_t *node, char **text);
/* Reads an unquoted true, yes, on, ... */
enum kvtel_status yaml_read_bool(struct yaml_reader *reader, const char *key, const yaml_node_t *node, bool *value);

/* Reads the only document of `text` into `target` by `keys`. */
enum kvtel_status yaml_read(const char *text, size_t size, const struct yaml_key *keys, size_t count, void *target,
                            struct kvtel_error *error);

#endif
