/* SPDX-License-Identifier: Apache-2.0 */
/* A history of kvtel top's on the heap: it is too large for a stack. Include it after cmocka.h. */
#ifndef KVTEL_TEST_TOP_HISTORY_H
#define KVTEL_TEST_TOP_HISTORY_H

#include "top/history.h"

#include <stdlib.h>

static inline struct top_history *history_create(void)
{
    struct top_history *history = calloc(1, sizeof *history);
    assert_non_null(history);
    return history;
}

static inline void history_destroy(struct top_history *history)
{
    top_history_close(history);
    free(history);
}

#endif
