/* SPDX-License-Identifier: Apache-2.0 */
/* What libkvtel_nixl.so counts, as connectors' tables: the plug-in makes its recorders from them, reports read them. In
 * each table the operation's name is the direction (tx, rx), and its status the outcome. */
#ifndef KVTEL_NIXL_TRANSFERS_H
#define KVTEL_NIXL_TRANSFERS_H

#include <kvtel/connector.h>
#include <kvtel/metric.h>

/* How a transfer ended, each with its value of the label `outcome`. */
#define KVTEL_NIXL_OUTCOME_LIST(X)                                                                             \
    X(KVTEL_NIXL_COMPLETED, "completed")       /* a look at the transfer found it done */                      \
    X(KVTEL_NIXL_IN_POST, "completed_in_post") /* the call that posted it returned when it was done */         \
    X(KVTEL_NIXL_FAILED, "failed")             /* the application told of an error */                          \
    X(KVTEL_NIXL_RELEASED, "released")         /* the application gave up the handle before an end was seen */ \
    X(KVTEL_NIXL_ABANDONED, "abandoned")       /* the agent was destroyed before an end was seen */            \
    X(KVTEL_NIXL_UNKNOWN, "unknown")           /* nobody told of an end, and the handle was posted anew */

enum kvtel_nixl_outcome {
#define X(name, text) name,
    KVTEL_NIXL_OUTCOME_LIST(X)
#undef X
        KVTEL_NIXL_OUTCOMES
};
/* The value of the label `outcome`; NULL outside the list. */
const char *kvtel_nixl_outcome_text(enum kvtel_nixl_outcome outcome);

/* Each call that posts a transfer, also one that fails or is refused. */
extern const struct kvtel_connector kvtel_nixl_posts;
/* Transfers that completed, with times and sizes. */
extern const struct kvtel_connector kvtel_nixl_transfers;
/* Transfers with another outcome, in the families of the table above that are counters. */
extern const struct kvtel_connector kvtel_nixl_endings;

/* The plug-in's other families, without the labels model_name and engine. */
enum kvtel_nixl_plugin_family {
    KVTEL_NIXL_FAILURES,
    KVTEL_NIXL_PEER_TRANSFERS,
    KVTEL_NIXL_PEER_BYTES,
    KVTEL_NIXL_OUTCOME_SOURCE,
    KVTEL_NIXL_UNTRACKED,
    KVTEL_NIXL_UNMATCHED,
    KVTEL_NIXL_PLUGIN_FAMILIES
};
extern const struct kvtel_family_spec kvtel_nixl_plugin_families[KVTEL_NIXL_PLUGIN_FAMILIES];

#endif
