/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own counts, kept in step with what kvtel records. */
#include "demo/books.h"

#include "demo/fail.h"

#include <string.h>

static void warn(void *context, const char *message)
{
    (void)context;
    demo_fail("%s", message);
}

bool demo_journal_open(struct demo_journal *journal, struct demo_ledger *ledger,
                       const struct kvtel_store_options *options)
{
    struct kvtel_store_options store = *options;
    store.warn = warn;
    *journal = (struct demo_journal){ .ledger = ledger, .store = kvtel_store_open(&store) };
    const struct kvtel_recorder_options *windows = KVTEL_RECORDER_OPTIONS(.windows = true);
    journal->nixl = kvtel_recorder_create(journal->store, kvtel_connector_find("NixlConnector"), windows);
    journal->offloading = kvtel_recorder_create(journal->store, kvtel_connector_find("OffloadingConnector"), NULL);
    journal->flows[DEMO_TRANSFER] = kvtel_recorder_operation(journal->nixl, NULL, NULL);
    journal->flows[DEMO_LOAD] = kvtel_recorder_operation(journal->offloading, "load", NULL);
    journal->flows[DEMO_STORE] = kvtel_recorder_operation(journal->offloading, "store", NULL);
    for (int flow = 0; flow < DEMO_FLOWS; flow++)
        if (!journal->flows[flow])
            return false;
    return true;
}

void demo_journal_close(struct demo_journal *journal)
{
    kvtel_recorder_destroy(journal->nixl);
    kvtel_recorder_destroy(journal->offloading);
    kvtel_store_close(journal->store);
    *journal = (struct demo_journal){ 0 };
}

/* The totals after the coming record. The caller changes them, calls announce(), records, and calls keep(). */
static struct demo_totals *next_totals(struct demo_book *book)
{
    uint32_t current = atomic_load_explicit(&book->state, memory_order_relaxed);
    book->totals[current ^ 1] = book->totals[current];
    return &book->totals[current ^ 1];
}

/* Marks that a record is coming. Release: a reader that sees the mark sees the totals. The record, which kvtel
 * publishes by a release store of its own, comes later. */
static void announce(struct demo_book *book)
{
    uint32_t current = atomic_load_explicit(&book->state, memory_order_relaxed);
    atomic_store_explicit(&book->state, current | DEMO_BOOK_RECORDING, memory_order_release);
}

/* Makes the new totals valid. Release: this comes after the record. */
static void keep(struct demo_book *book)
{
    uint32_t current = atomic_load_explicit(&book->state, memory_order_relaxed) & 1;
    atomic_store_explicit(&book->state, current ^ 1, memory_order_release);
}

void demo_journal_transfer(struct demo_journal *journal, enum demo_flow flow, const struct kvtel_transfer *transfer)
{
    struct demo_book *book = &journal->ledger->book;
    struct demo_flow_totals *totals = &next_totals(book)->flows[flow];
    totals->count++;
    totals->bytes += transfer->bytes;
    totals->descriptors += transfer->descriptors;
    totals->duration_ns += transfer->duration_ns;
    totals->post_ns += transfer->post_ns;
    announce(book);
    kvtel_record_operation(journal->flows[flow], transfer);
    keep(book);
}

void demo_journal_failure(struct demo_journal *journal, enum kvtel_failure failure)
{
    struct demo_book *book = &journal->ledger->book;
    next_totals(book)->failures[failure]++;
    announce(book);
    kvtel_record_failure(failure == KVTEL_FAILED_ALLOCATION ? journal->offloading : journal->nixl, failure);
    keep(book);
}

/* Adds 1. The caller is the only writer. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

void demo_journal_block(struct demo_journal *journal, bool good, bool on_purpose)
{
    count(&journal->ledger->checked);
    if (!good)
        count(&journal->ledger->bad);
    if (!good && on_purpose)
        count(&journal->ledger->bad_on_purpose);
}

void demo_totals_add(struct demo_totals *totals, const struct demo_totals *more)
{
    for (int flow = 0; flow < DEMO_FLOWS; flow++) {
        totals->flows[flow].count += more->flows[flow].count;
        totals->flows[flow].bytes += more->flows[flow].bytes;
        totals->flows[flow].descriptors += more->flows[flow].descriptors;
        totals->flows[flow].duration_ns += more->flows[flow].duration_ns;
        totals->flows[flow].post_ns += more->flows[flow].post_ns;
    }
    for (int failure = 0; failure < KVTEL_FAILURE_COUNT; failure++)
        totals->failures[failure] += more->failures[failure];
}
