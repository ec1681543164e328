/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes under the process's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/index.h"

/* What CPython 3.11 (hash algorithm siphash13, PYTHONHASHSEED=0) says of the same bytes. */
static void test_siphash(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        { "a", 0x407448d2b89b1813 },
        { "abcdefg", 0x6db12aae9070f506 },
        { "abcdefgh", 0x3f7b849c0b8e35ea },
        { "the quick brown fox jumps", 0x00c98b97e4f70042 },
    };
    const struct kvtel_hash_key key = { { 0, 0 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(kvtel_siphash(&key, rows[i].text, strlen(rows[i].text)) == rows[i].hash);
}

static void test_pieces_and_seeds(void **state)
{
    (void)state;
    assert_true(kvtel_hash(0, "text", 4) == kvtel_hash(0, "text", 4));
    assert_true(kvtel_hash(0, "text", 4) != kvtel_hash(1, "text", 4));
    assert_true(kvtel_hash(0, "text", 4) != kvtel_hash(0, "texT", 4));
    assert_true(kvtel_hash(0, "", 0) != kvtel_hash(0, "", 1));
    assert_true(kvtel_hash(kvtel_hash(0, "a", 2), "b", 2) != kvtel_hash(kvtel_hash(0, "b", 2), "a", 2));
}

/* Whether the kernel runs this program itself, so that another process can start it by /proc. An emulator such as
 * qemu-user tells the program the program's own name, and shows others the emulator's. */
static bool is_run_by_the_kernel(void)
{
    char own[512] = "", seen[512] = "";
    FILE *other = popen("readlink /proc/$PPID/exe", "r");
    assert_non_null(other);
    bool both = readlink("/proc/self/exe", own, sizeof(own) - 1) > 0 && fgets(seen, sizeof(seen), other);
    assert_int_equal(pclose(other), 0);
    seen[strcspn(seen, "\n")] = '\0';
    return both && strcmp(own, seen) == 0;
}

/* Texts that are chosen once collide in no process that was started afterwards: each has a key of its own. */
static void test_another_process_has_another_key(void **state)
{
    (void)state;
    if (!is_run_by_the_kernel()) {
        print_message("skipped: an emulator runs this program\n");
        skip();
    }
    uint64_t hashes[3];
    for (int i = 0; i < 3; i++) {
        FILE *other = popen("/proc/$PPID/exe --hash", "r");
        assert_non_null(other);
        assert_int_equal(fscanf(other, "%" SCNx64, &hashes[i]), 1);
        assert_int_equal(pclose(other), 0);
    }
    uint64_t own = kvtel_hash(0, "text", 4);
    assert_true(own != hashes[0] && own != hashes[1] && hashes[0] != hashes[1] && hashes[1] != hashes[2]);
}

/* Steps that looking up all of many texts takes. These end in the same bits of FNV-1a, which the index once used: an
 * index of 2^14 places would have had them in one row. */
static void test_texts_that_collided(void **state)
{
    (void)state;
    enum { TEXTS = 4096 };
    struct kvtel_index index = { 0 };
    static uint32_t hashes[TEXTS];
    uint32_t found = 0;
    for (uint64_t number = 0; found < TEXTS; number++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%" PRIx64, number);
        uint64_t fnv = 14695981039346656037u;
        for (int i = 0; i <= size; i++)
            fnv = (fnv ^ (unsigned char)text[i]) * 1099511628211u;
        if (((fnv ^ fnv >> 32) & 1023) != 0)
            continue;
        hashes[found] = kvtel_index_hash(kvtel_hash(0, text, (size_t)size + 1));
        assert_true(kvtel_index_reserve(&index));
        kvtel_index_put(&index, hashes[found], found);
        found++;
    }
    size_t steps = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        size_t probe = 0;
        uint32_t id;
        while ((id = kvtel_index_next(&index, hashes[i], &probe)) != i)
            assert_int_not_equal(id, KVTEL_INDEX_NONE);
        steps += probe;
    }
    assert_true(steps < 4 * TEXTS);
    free(index.entries);
}

/* What stays is found, whichever entries left before, and the places are used again. */
static void test_removal(void **state)
{
    (void)state;
    enum { RECORDS = 1000 };
    struct kvtel_index index = { 0 };
    for (uint32_t i = 0; i < RECORDS; i++) {
        assert_true(kvtel_index_reserve(&index));
        kvtel_index_put(&index, i * 7 % 300, i); /* several of one hash, and rows that run into each other */
    }
    size_t capacity = index.capacity;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = round; i < RECORDS; i += 3)
            kvtel_index_remove(&index, i * 7 % 300, i);
        kvtel_index_remove(&index, round * 7, round); /* there is none any more */
        for (uint32_t i = 0; i < RECORDS; i++) {
            size_t probe = 0;
            uint32_t id = kvtel_index_next(&index, i * 7 % 300, &probe);
            while (id != i && id != KVTEL_INDEX_NONE)
                id = kvtel_index_next(&index, i * 7 % 300, &probe);
            assert_true((id == i) == (i % 3 != round));
        }
        for (uint32_t i = round; i < RECORDS; i += 3) {
            assert_true(kvtel_index_reserve(&index));
            kvtel_index_put(&index, i * 7 % 300, i);
        }
    }
    assert_true(index.count == RECORDS && index.capacity == capacity);
    kvtel_index_clear(&index);
    kvtel_index_remove(&index, 1, 1);
    free(index.entries);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--hash") == 0)
        return printf("%" PRIx64 "\n", kvtel_hash(0, "text", 4)) < 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_pieces_and_seeds),
        cmocka_unit_test(test_another_process_has_another_key),
        cmocka_unit_test(test_texts_that_collided),
        cmocka_unit_test(test_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
