/* SPDX-License-Identifier: Apache-2.0 */
/* Reading UTF-8: damaged bytes are replaced as by Python's errors="replace". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

#define BAD KVTEL_UTF8_REPLACEMENT

static const struct {
    const char *name, *bytes;
    uint32_t codes[6]; /* ended by 0 */
} rows[] = {
    { "ASCII", "a\x7f", { 'a', 0x7F } },
    { "smallest and largest of each length",
      "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80",
      { 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000 } },
    { "largest of all, and past it", "\xf4\x8f\xbf\xbf\xf4\x90", { 0x10FFFF, BAD, BAD } },
    { "lone continuation",
      "\x80"
      "a",
      { BAD, 'a' } },
    { "overlong", "\xc0\xaf\xe0\x80\xaf", { BAD, BAD, BAD, BAD, BAD } },
    { "surrogate", "\xed\xa0\x80", { BAD, BAD, BAD } },
    { "cut in the middle",
      "\xe4\xbd"
      "a\xf0\x9f\x98",
      { BAD, 'a', BAD } },
    { "never a first byte", "\xf5\xff", { BAD, BAD } },
};

static void damaged_text_is_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t size = strlen(rows[i].bytes), at = 0, count = 0;
        for (; at < size; count++) {
            uint32_t code;
            bool valid;
            at += kvtel_utf8_next(rows[i].bytes + at, size - at, &code, &valid);
            if (code != rows[i].codes[count] || valid != (code != BAD))
                fail_msg("%s: code point %zu is U+%04X", rows[i].name, count, code);
        }
        assert_int_equal(at, size);
        assert_true(count == 6 || rows[i].codes[count] == 0);
    }
}

static void a_real_replacement_is_valid(void **state)
{
    (void)state;
    uint32_t code;
    bool valid = false;
    assert_int_equal(kvtel_utf8_next("\xef\xbf\xbd", 3, &code, &valid), 3);
    assert_int_equal(code, BAD);
    assert_true(valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_text_is_replaced),
        cmocka_unit_test(a_real_replacement_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
