/* SPDX-License-Identifier: Apache-2.0 */
/* The peers of transfers: what NIXL's plug-in counted by peer, and which open transfers are with it. */
#ifndef KVTEL_REPORT_PEERS_H
#define KVTEL_REPORT_PEERS_H

#include <kvtel/snapshot.h>

/* The most peers that a summary shows, and the most of which open transfers are kept. */
enum { SUMMARY_PEERS = 256, SUMMARY_PEER_NAME = 48 };

/* Open transfers with one peer. */
struct summary_open_peer {
    char name[SUMMARY_PEER_NAME]; /* cut at its size */
    uint64_t open;
    double oldest_seconds;
};

/* Open transfers by peer. Start from {0}; a count of 0 begins anew. */
struct summary_open_peers {
    struct summary_open_peer all[SUMMARY_PEERS];
    size_t count;
};
/* Counts an open transfer. Without a name, or without room, nothing is counted. */
void summary_open_peer_note(struct summary_open_peers *peers, const char *name, double age_seconds);

/* One peer. */
struct summary_peer {
    const char *name;           /* borrowed from the snapshot or from the open transfers */
    uint64_t transfers, failed; /* that completed; that ended with an error */
    uint64_t unseen;            /* of which no end was seen: released, abandoned, unknown */
    uint64_t open;
    double bytes, oldest_seconds;
};

struct summary_peers {
    struct summary_peer *all; /* those with failures first, then those with open transfers, then by transfers */
    size_t count;
};

/* Makes the list of all peers.
 * @param made out, to be closed with summary_peers_close(); unchanged on failure
 * @param open NULL: none
 * @return     KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status summary_peers_init(struct summary_peers *made, const struct kvtel_snapshot *snapshot,
                                     const struct summary_open_peers *open);
void summary_peers_close(struct summary_peers *peers);

#endif
