/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens. Pages that the kernel does not wipe are in a chain, which only grows: a page that its store gave back waits
 * there for the next store. So neither the chain nor the handler needs a lock. */
#include "record/token.h"
#include "format/layout.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

struct page {
    uint64_t token; /* first: the store knows the page by it */
    bool chained;   /* the members below are only used then */
    atomic_bool used;
    struct page *next;
};

static struct page *_Atomic chain;
static atomic_bool registered;

/* Runs in the child, in the thread that forked; the child has no other thread. */
static void wipe_all(void)
{
    for (struct page *page = atomic_load(&chain); page; page = page->next)
        *(volatile uint64_t *)&page->token = 0;
}

/* Two threads at the same time may both register the handler: wiping twice does no harm. */
static int register_handler(void)
{
    int error = 0;
    if (!atomic_load(&registered) && (error = pthread_atfork(NULL, NULL, wipe_all)) == 0)
        atomic_store(&registered, true);
    return error;
}

/* A page of the chain that no store uses. NULL: there is none. */
static struct page *take_chained(void)
{
    for (struct page *page = atomic_load(&chain); page; page = page->next) {
        bool used = false;
        if (atomic_compare_exchange_strong(&page->used, &used, true))
            return page;
    }
    return NULL;
}

/* Puts a page whose token is still 0 into the chain. 0 or an errno. */
static int put_into_chain(struct page *page)
{
    int error = register_handler();
    if (error != 0)
        return error;
    page->chained = true;
    atomic_store(&page->used, true);
    page->next = atomic_load(&chain);
    while (!atomic_compare_exchange_weak(&chain, &page->next, page))
        continue;
    return 0;
}

static struct page *map_page(void)
{
    struct page *page = mmap(NULL, KVTEL_LAYOUT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    int error = madvise(page, KVTEL_LAYOUT_PAGE, MADV_WIPEONFORK) == 0 ? 0 : put_into_chain(page);
    if (error == 0)
        return page;
    (void)munmap(page, KVTEL_LAYOUT_PAGE);
    errno = error;
    return NULL;
}

uint64_t *kvtel_token_make(void)
{
    struct page *page = take_chained();
    if (!page && !(page = map_page()))
        return NULL;
    uint64_t number;
    struct timespec now;
    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        number = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^ (uint64_t)(uintptr_t)page << 16;
    }
    page->token = number | 1;
    return &page->token;
}

void kvtel_token_free(uint64_t *token)
{
    struct page *page = (struct page *)(void *)token;
    if (!page)
        return;
    if (!page->chained) {
        (void)munmap(page, KVTEL_LAYOUT_PAGE);
        return;
    }
    page->token = 0;
    atomic_store(&page->used, false);
}
