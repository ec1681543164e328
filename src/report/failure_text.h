/* SPDX-License-Identifier: Apache-2.0 */
/* What each class of failure means, in one sentence: the page, `kvtel top` and docs/on-call.md say the same. */
#ifndef KVTEL_REPORT_FAILURE_TEXT_H
#define KVTEL_REPORT_FAILURE_TEXT_H

#include <stddef.h>

/* The most classes that one label joins, as "transfer_or_handshake" does. */
enum { KVTEL_FAILURE_TEXTS = 4 };

/* Finds the sentences for a class of failure or a status: one, or one for each class that the label joins. The texts
 * are static. Any thread. @return how many; 0: the class is the connector's own, so kvtel cannot say */
size_t kvtel_failure_texts(const char *label, const char *texts[KVTEL_FAILURE_TEXTS]);

#endif
