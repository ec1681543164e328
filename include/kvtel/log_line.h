/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Log lines: their styles, and the function that receives them.
 *
 * It has no functions.
 */
#ifndef KVTEL_LOG_LINE_H
#define KVTEL_LOG_LINE_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

/** How a log line is written. */
enum kvtel_log_style {
    KVTEL_LOG_DEFAULT, /**< one line per connector and engine, with failures, quantiles and both rates */
    KVTEL_LOG_VLLM     /**< vLLM's line, to the letter, one over all engines */
};

/** Takes one finished line without newline; `line` is borrowed until it returns. */
typedef void (*kvtel_log_fn)(void *context, const char *line);

KVTEL_END_DECLS
#endif
