/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own bookkeeping, beside what kvtel records: plain numbers in memory that the engine shares with its
 * workers, so that they are known whatever happens to a worker. */
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

/* One worker's. Written by that worker alone; the engine reads it when the worker has ended. `totals[state & 1]` is
 * what the worker finished. While DEMO_BOOK_RECORDING is set the other one is what it will be when the call into kvtel
 * that is under way has returned: a worker that is killed in it leaves either the one or the other in its store. */
enum { DEMO_BOOK_RECORDING = 2 };
struct demo_book {
    _Atomic uint32_t state;
    struct demo_totals totals[2];
};

/* What the engine and a worker share. All 0 at first. */
struct demo_ledger {
    struct demo_book book;
    _Atomic uint32_t port;                         /* where a prefill worker listens on the loopback interface */
    _Atomic uint64_t checked, bad, bad_on_purpose; /* blocks that arrived, by checksum */
};

/* Books and records. */
struct demo_journal {
    struct demo_ledger *ledger;
    struct kvtel_store *store;
    struct kvtel_recorder *nixl, *offloading;
    const struct kvtel_operation *flows[DEMO_FLOWS];
};

/* Opens the store and makes the recorders. `store` is its options. False without memory. */
bool demo_journal_open(struct demo_journal *journal, struct demo_ledger *ledger,
                       const struct kvtel_store_options *store);
void demo_journal_close(struct demo_journal *journal);
void demo_journal_transfer(struct demo_journal *journal, enum demo_flow flow, const struct kvtel_transfer *transfer);
void demo_journal_failure(struct demo_journal *journal, enum kvtel_failure failure);
/* A block that arrived: whether its checksum was right, and if not, whether it was spoiled on purpose. */
void demo_journal_block(struct demo_journal *journal, bool good, bool on_purpose);

void demo_totals_add(struct demo_totals *totals, const struct demo_totals *more);

#endif
