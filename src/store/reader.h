/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's view of its file. */
#ifndef KVTEL_STORE_READER_H
#define KVTEL_STORE_READER_H

#include <kvtel/reader.h>

#include "store/layout.h"
#include "store/view.h"

/* Every series that is read from now on has this label too, behind its own; before the first view. The name is borrowed. */
void kvtel_store_reader_add_label(struct kvtel_store_reader *reader, const char *name, const char *value);

/* Brings the reader's copies of the tables up to date. The view is valid until the next call. */
enum kvtel_status kvtel_store_reader_view(struct kvtel_store_reader *reader, struct kvtel_view *view, struct kvtel_error *error);

/* How the writer ended, as its file says now; KVTEL_ENDING_UNKNOWN when it cannot be read. */
enum kvtel_ending kvtel_store_reader_ending(const struct kvtel_store_reader *reader);

#endif
