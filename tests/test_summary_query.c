/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of /api/v1/summary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "serve/summary_query.h"

static void check(const char *query, const char *filter, size_t offset)
{
    struct summary_query parsed;
    const char *wrong = summary_query_parse(query, &parsed);
    if (wrong)
        fail_msg("%s: %s", query, wrong);
    assert_string_equal(parsed.filter, filter);
    assert_int_equal(parsed.offset, offset);
}

static void check_wrong(const char *query, const char *name)
{
    struct summary_query parsed;
    const char *wrong = summary_query_parse(query, &parsed);
    if (!wrong)
        fail_msg("%s is taken", query);
    assert_memory_equal(wrong, name, strlen(name));
}

static void test_good(void **state)
{
    (void)state;
    check("", "", 0);
    check("offset=256", "", 256);
    check("filter=&offset=0", "", 0);
    check("filter=engine%2017&offset=256", "engine 17", 256);
    check("x=y&&offset=999999999&filter=a+b%2bc", "a b+c", 999999999);
    check("filter=%C3%A4", "\xc3\xa4", 0);
    check("filter", "", 0);
    check("filters=x&offsets=x", "", 0);
    check("filter=a&filter=b", "b", 0); /* the last one */
}

static void test_wrong(void **state)
{
    (void)state;
    char longest[SUMMARY_FILTER_SIZE + 8] = "filter=";
    check_wrong("offset=", "offset");
    check_wrong("offset=-1", "offset");
    check_wrong("offset=1x", "offset");
    check_wrong("offset=1000000000", "offset");
    check_wrong("offset=99999999999999999999999999", "offset");
    check_wrong("filter=%00", "filter");
    check_wrong("filter=%", "filter");
    check_wrong("filter=%2", "filter");
    check_wrong("filter=%2&offset=1", "filter");
    check_wrong("filter=%g0", "filter");
    check_wrong("filter=%0g", "filter");
    memset(longest + 7, 'x', SUMMARY_FILTER_SIZE);
    check_wrong(longest, "filter");
    longest[7 + SUMMARY_FILTER_SIZE - 1] = '\0';
    check(longest, longest + 7, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_wrong) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
