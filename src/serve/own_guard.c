/* SPDX-License-Identifier: Apache-2.0 */
/* On SIGBUS, the handler maps private memory over the missing page, so that the interrupted call can finish, and
 * wipes the store's token, so that no later call begins. */
#include "serve/own_guard.h"

#include "record/store.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static struct {
    struct kvtel_store *_Atomic store; /* NULL: no store is guarded */
    struct kvtel_layout_header header; /* at the last own_guard_note() */
    atomic_bool cut;
} guard;

static bool is_within(const void *address, const void *base, uint64_t size)
{
    uintptr_t at = (uintptr_t)address, from = (uintptr_t)base;
    return base && at >= from && at - from < size;
}

static bool is_guarded(const struct kvtel_store *store, const void *address)
{
    if (is_within(address, store->header, guard.header.lanes_at))
        return true;
    for (uint32_t i = 0; i < guard.header.max_lanes; i++)
        if (store->lanes[i] &&
            is_within(address, (const void *)(uintptr_t)store->lanes[i]->words, guard.header.lane_stride))
            return true;
    return false;
}

/* Wipes the token: from now on no call on the store begins. */
static void give_up(struct kvtel_store *store)
{
    *(volatile uint64_t *)(uintptr_t)store->token = 0;
    atomic_store_explicit(&guard.cut, true, memory_order_relaxed);
}

/* The handler. For a SIGBUS elsewhere it restores the default action, and the repeated access ends the process. Uses
 * only system calls and memory, nothing that could wait. */
static void take_signal(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    struct kvtel_store *store =
        atomic_load_explicit(&guard.store, memory_order_acquire); /* pairs with own_guard_begin() */
    void *page = (void *)((uintptr_t)info->si_addr & ~(uintptr_t)(KVTEL_LAYOUT_PAGE - 1));
    (void)context;
    if (store && is_guarded(store, info->si_addr) &&
        mmap(page, KVTEL_LAYOUT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page) {
        give_up(store);
        if (page == store->header)
            memcpy(page, &guard.header, sizeof guard.header);
    } else {
        (void)signal(number, SIG_DFL);
    }
    errno = kept;
}

bool own_guard_begin(struct kvtel_store *store)
{
    struct sigaction action = { .sa_sigaction = take_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
    guard.header = *store->header;
    atomic_store_explicit(&guard.cut, false, memory_order_relaxed);
    atomic_store_explicit(&guard.store, store, memory_order_release); /* pairs with take_signal() */
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) == 0;
}

/* Other threads add to the numbers at the header's end meanwhile. What stands before these does not change. */
void own_guard_note(void)
{
    enum { NUMBERS_AT = offsetof(struct kvtel_layout_header, family_count) };
    const struct kvtel_store *store = atomic_load_explicit(&guard.store, memory_order_relaxed);
    if (!store || own_guard_was_cut())
        return;
    const char *from = (const char *)store->header;
    char *to = (char *)&guard.header;
    for (size_t at = NUMBERS_AT; at < sizeof guard.header; at += sizeof(uint64_t))
        atomic_store_explicit((_Atomic uint64_t *)(to + at),
                              atomic_load_explicit((const _Atomic uint64_t *)(from + at), memory_order_relaxed),
                              memory_order_relaxed);
}

bool own_guard_was_cut(void)
{
    return atomic_load_explicit(&guard.cut, memory_order_relaxed);
}

void own_guard_give_up(void)
{
    struct kvtel_store *store = atomic_load_explicit(&guard.store, memory_order_relaxed);
    if (store)
        give_up(store);
}

void own_guard_end(void)
{
    if (!atomic_load_explicit(&guard.store, memory_order_relaxed))
        return;
    (void)signal(SIGBUS, SIG_DFL);
    atomic_store_explicit(&guard.store, NULL, memory_order_relaxed);
}
