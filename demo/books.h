/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own counts beside kvtel's: plain numbers in memory that the engine shares with its workers, so that
 * the engine can read them whatever happens to a worker. */
#ifndef KVTEL_DEMO_BOOKS_H
#define KVTEL_DEMO_BOOKS_H

#include <kvtel/recorder.h>
#include <stdatomic.h>

enum demo_flow { DEMO_TRANSFER, DEMO_LOAD, DEMO_STORE, DEMO_FLOWS };

struct demo_flow_totals {
    uint64_t count, bytes, descriptors, duration_ns, post_ns;
};

struct demo_totals {
    struct demo_flow_totals flows[DEMO_FLOWS];
    uint64_t failures[KVTEL_FAILURE_COUNT];
};

/* The counts of one worker. Only the worker writes them; the engine reads them after the worker has ended.
 * `totals[state & 1]` counts what the worker has finished. While DEMO_BOOK_RECORDING is set, the other element has
 * the totals after the call into kvtel that is in progress. The store of a worker that is killed in this call is
 * equal to one of the two. */
enum { DEMO_BOOK_RECORDING = 2 };
struct demo_book {
    _Atomic uint32_t state;
    struct demo_totals totals[2];
};

/* Memory that the engine shares with a worker. It starts with all zeros. */
struct demo_ledger {
    struct demo_book book;
    _Atomic uint32_t port;                         /* port of a prefill worker on the loopback interface */
    _Atomic uint64_t checked, bad, bad_on_purpose; /* numbers of received blocks, by checksum */
};

/* A worker's book and its recorders. */
struct demo_journal {
    struct demo_ledger *ledger;
    struct kvtel_store *store;
    struct kvtel_recorder *nixl, *offloading;
    const struct kvtel_operation *flows[DEMO_FLOWS];
};

/* Opens the store with the options `store`, and makes the recorders. False: no memory. */
bool demo_journal_open(struct demo_journal *journal, struct demo_ledger *ledger,
                       const struct kvtel_store_options *store);
void demo_journal_close(struct demo_journal *journal);
void demo_journal_transfer(struct demo_journal *journal, enum demo_flow flow, const struct kvtel_transfer *transfer);
void demo_journal_failure(struct demo_journal *journal, enum kvtel_failure failure);
/* Counts a received block: whether its checksum was right, and if not, whether it was spoiled on purpose. */
void demo_journal_block(struct demo_journal *journal, bool good, bool on_purpose);

void demo_totals_add(struct demo_totals *totals, const struct demo_totals *more);

#endif
