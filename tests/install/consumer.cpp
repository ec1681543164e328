/* SPDX-License-Identifier: Apache-2.0 */
/* The same program in C++. */
#if __cplusplus >= 201703L // clang 14 takes C++14 where it is not told
#include <kvtel/kvtel.hpp>
#endif
#include "consumer.c" // NOLINT: the point is that C++ takes it
