/* SPDX-License-Identifier: Apache-2.0 */
/* A summary that came in parts. One thread. */
#ifndef KVTEL_TOP_PARTS_H
#define KVTEL_TOP_PARTS_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>

/* Makes one summary of its parts: the first one, with the entries of all,
 * each once.
 * @param parts those before the last one, each with a NUL at its end, all read before by top/state.h
 * @param last  in: the last part; out: the whole. Unchanged on failure
 * @return      KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status top_parts_join(const struct kvtel_buffer *parts, struct kvtel_buffer *last);

#endif
