/* SPDX-License-Identifier: Apache-2.0 */
/* Which sanitizer a test is built with; gcc and clang say so in different ways. */
#ifndef KVTEL_TEST_SANITIZER_H
#define KVTEL_TEST_SANITIZER_H

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#endif
