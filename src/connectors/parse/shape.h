/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a connector's table as JSON: which key is which member of which struct. Reading and writing both go by
 * these lists. */
#ifndef KVTEL_CONNECTORS_PARSE_SHAPE_H
#define KVTEL_CONNECTORS_PARSE_SHAPE_H

#include <kvtel/connector.h>

enum kvtel_shape_kind {
    KVTEL_SHAPE_TEXT,     /* const char * */
    KVTEL_SHAPE_BOOL,     /* bool */
    KVTEL_SHAPE_NUMBER,   /* double */
    KVTEL_SHAPE_UNSIGNED, /* unsigned */
    KVTEL_SHAPE_INT,      /* int */
    KVTEL_SHAPE_ENUM,     /* an enum: one of `names` */
    KVTEL_SHAPE_TEXTS,    /* const char *[count] */
    KVTEL_SHAPE_KEYS,     /* const char *const *, ended by NULL */
    KVTEL_SHAPE_BUCKETS,  /* const struct kvtel_buckets * */
    KVTEL_SHAPE_LIST,     /* pointer to structs, ended by one whose `end` is NULL */
    KVTEL_SHAPE_RECORD    /* pointer to a struct */
};

struct kvtel_shape_member {
    const char *key;
    enum kvtel_shape_kind kind;
    size_t offset;
    bool is_required;
    size_t count;                    /* TEXTS */
    const char *const *names;        /* ENUM; ended by NULL */
    const struct kvtel_shape *shape; /* LIST, RECORD */
};

struct kvtel_shape {
    const char *what; /* "a metric" */
    size_t size;
    size_t end; /* offset of the pointer that is NULL in the entry that ends a list */
    const struct kvtel_shape_member *members;
    size_t count;
    /* A text in place of an object is this member; NULL: only an object is accepted. */
    const char *short_key;
};

/* A whole table, and the table of an older payload, which has neither a name nor an older one. */
extern const struct kvtel_shape kvtel_shape_connector;
extern const struct kvtel_shape kvtel_shape_older;

/* The key by which a JSON object says that it is a table, and the version of this layout. */
#define KVTEL_CONNECTOR_KEY "kvtel_connector"
enum { KVTEL_CONNECTOR_VERSION = 1 };

#endif
