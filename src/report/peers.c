/* SPDX-License-Identifier: Apache-2.0 */
/* The list of peers: one item for each series and each open peer, sorted by name, and equal names added up. */
#include "report/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/series.h"
#include "nixl/transfers.h"

/* -- Open transfers -- */

void summary_open_peer_note(struct summary_open_peers *peers, const char *name, double age_seconds)
{
    size_t i = 0;
    while (i < peers->count && strcmp(peers->all[i].name, name) != 0)
        i++;
    if (!*name || i == SUMMARY_PEERS)
        return;
    struct summary_open_peer *peer = &peers->all[i];
    if (i == peers->count) {
        *peer = (struct summary_open_peer){ 0 };
        (void)snprintf(peer->name, sizeof peer->name, "%s", name);
        peers->count++;
    }
    peer->open++;
    peer->oldest_seconds = age_seconds > peer->oldest_seconds ? age_seconds : peer->oldest_seconds;
}

/* -- What was counted -- */

static int label_at(const struct kvtel_snapshot_family *family, const char *name)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (strcmp(family->labelnames[i], name) == 0)
            return (int)i;
    return -1;
}

static const struct kvtel_snapshot_family *family_of(const struct kvtel_snapshot *snapshot,
                                                     enum kvtel_nixl_plugin_family which)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, kvtel_nixl_plugin_families[which].name);
    return family && family->type == KVTEL_COUNTER && label_at(family, "peer") >= 0 ? family : NULL;
}

static uint64_t whole(double number)
{
    return number >= 0x1p64 ? UINT64_MAX : number > 0 ? (uint64_t)(number + 0.5) : 0;
}

static struct summary_peer transfers_of(const struct kvtel_snapshot_family *family,
                                        const struct kvtel_snapshot_series *series)
{
    const int peer = label_at(family, "peer"), at = label_at(family, "outcome");
    const char *outcome = at < 0 ? "" : series->values[at];
    const uint64_t count = whole(series->value);
    struct summary_peer made = { .name = series->values[peer] };
    if (strcmp(outcome, kvtel_nixl_outcome_text(KVTEL_NIXL_COMPLETED)) == 0 ||
        strcmp(outcome, kvtel_nixl_outcome_text(KVTEL_NIXL_IN_POST)) == 0)
        made.transfers = count;
    else if (strcmp(outcome, kvtel_nixl_outcome_text(KVTEL_NIXL_FAILED)) == 0)
        made.failed = count;
    else
        made.unseen = count;
    return made;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct summary_peer *)left)->name, ((const struct summary_peer *)right)->name);
}

static int more_first(uint64_t left, uint64_t right)
{
    return (left < right) - (left > right);
}

static int by_weight(const void *left, const void *right)
{
    const struct summary_peer *one = left, *other = right;
    int order = more_first(one->failed, other->failed);
    order = order ? order : more_first(one->open, other->open);
    order = order ? order : more_first(one->transfers, other->transfers);
    return order ? order : by_name(left, right);
}

/* Adds up what has the same name. Returns how many names there are. */
static size_t merge(struct summary_peer *all, size_t count)
{
    size_t kept = 0;
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(all[kept - 1].name, all[i].name) != 0) {
            all[kept++] = all[i];
            continue;
        }
        struct summary_peer *sum = &all[kept - 1];
        sum->transfers += all[i].transfers;
        sum->failed += all[i].failed;
        sum->unseen += all[i].unseen;
        sum->bytes += all[i].bytes;
    }
    return kept;
}

/* Whether an open transfer's peer, whose name may be cut, is this one. */
static bool is_of(const struct summary_open_peer *open, const char *name)
{
    return strncmp(open->name, name, SUMMARY_PEER_NAME - 1) == 0;
}

/* Adds open transfers to the first peer of the name, or as a peer that has nothing else. Returns the new count. */
static size_t add_open(struct summary_peer *all, size_t count, const struct summary_open_peers *open)
{
    const size_t counted = count;
    for (size_t i = 0; open && i < open->count; i++) {
        size_t k = 0;
        while (k < counted && !is_of(&open->all[i], all[k].name))
            k++;
        if (k == counted) {
            k = count++;
            all[k] = (struct summary_peer){ .name = open->all[i].name };
        }
        all[k].open = open->all[i].open;
        all[k].oldest_seconds = open->all[i].oldest_seconds;
    }
    return count;
}

enum kvtel_status summary_peers_init(struct summary_peers *made, const struct kvtel_snapshot *snapshot,
                                     const struct summary_open_peers *open)
{
    const struct kvtel_snapshot_family *transfers = family_of(snapshot, KVTEL_NIXL_PEER_TRANSFERS),
                                       *bytes = family_of(snapshot, KVTEL_NIXL_PEER_BYTES);
    size_t room = 1 + (transfers ? transfers->series_count : 0) + (bytes ? bytes->series_count : 0);
    struct summary_peer *all = calloc(room + (open ? open->count : 0), sizeof *all);
    if (!all)
        return KVTEL_E_NOMEM;
    size_t count = 0;
    for (size_t i = 0; transfers && i < transfers->series_count; i++)
        all[count++] = transfers_of(transfers, &transfers->series[i]);
    for (size_t i = 0; bytes && i < bytes->series_count; i++)
        all[count++] = (struct summary_peer){ .name = bytes->series[i].values[label_at(bytes, "peer")],
                                              .bytes = bytes->series[i].value };
    count = add_open(all, merge(all, count), open);
    size_t kept = 0; /* a plug-in makes the series of "other" before it needs it */
    for (size_t i = 0; i < count; i++)
        if (all[i].transfers || all[i].failed || all[i].unseen || all[i].open)
            all[kept++] = all[i];
    qsort(all, kept, sizeof *all, by_weight);
    *made = (struct summary_peers){ .all = all, .count = kept };
    return KVTEL_OK;
}

void summary_peers_close(struct summary_peers *peers)
{
    free(peers->all);
    *peers = (struct summary_peers){ 0 };
}
