/* SPDX-License-Identifier: Apache-2.0 */
/* The token bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/web/rate_limit.h"

enum { SECOND = 1000000000 };

static void burst_then_rate(void **state)
{
    struct rate_limit limit = RATE_LIMIT_INIT;
    int64_t now = 5 * (int64_t)SECOND;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(rate_limit_allow(&limit, now, SECOND, 3));
    assert_false(rate_limit_allow(&limit, now, SECOND, 3));
    assert_false(rate_limit_allow(&limit, now + SECOND - 1, SECOND, 3));
    assert_true(rate_limit_allow(&limit, now + SECOND, SECOND, 3));
    assert_false(rate_limit_allow(&limit, now + SECOND, SECOND, 3));
    /* Time does not pile up above the burst. */
    now += 1000 * (int64_t)SECOND;
    for (int i = 0; i < 3; i++)
        assert_true(rate_limit_allow(&limit, now, SECOND, 3));
    assert_false(rate_limit_allow(&limit, now, SECOND, 3));
}

static void ends_of_the_range(void **state)
{
    struct rate_limit limit = RATE_LIMIT_INIT;
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_true(rate_limit_allow(&limit, 1, 0, 0));           /* off */
        assert_false(rate_limit_allow(&limit, 1 + i, SECOND, 0)); /* never */
        assert_true(rate_limit_allow(&limit, 1, INT64_MAX / 32, 999999999));
    }
}

static void another_rate_from_now_on(void **state)
{
    struct rate_limit limit = RATE_LIMIT_INIT;
    (void)state;
    assert_true(rate_limit_allow(&limit, SECOND, SECOND, 1));
    assert_false(rate_limit_allow(&limit, SECOND, SECOND, 1));
    assert_true(rate_limit_allow(&limit, SECOND, SECOND, 2));
    assert_false(rate_limit_allow(&limit, SECOND, SECOND, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_rate),
        cmocka_unit_test(ends_of_the_range),
        cmocka_unit_test(another_rate_from_now_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
