/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the library's n-th allocation fail. A test that includes this is declared with WRAP ${allocations} in
 * tests/CMakeLists.txt, which makes the linker send the library's calls here. */
#ifndef KVTEL_TEST_FAILING_H
#define KVTEL_TEST_FAILING_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);

static size_t allocations_left; /* counts down; 0: none fails */
static bool allocation_failed;

static bool fails_now(void)
{
    bool now = allocations_left > 0 && --allocations_left == 0;
    allocation_failed |= now;
    return now;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

/* The n-th allocation from now on fails, and no other. */
static void fail_allocation(size_t n)
{
    allocations_left = n;
    allocation_failed = false;
}

/* Whether it came to that. No allocation fails from here on. */
static bool allocation_did_fail(void)
{
    allocations_left = 0;
    return allocation_failed;
}

#endif
