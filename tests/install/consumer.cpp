/* SPDX-License-Identifier: Apache-2.0 */
/* The same program in C++. */
#include "consumer.c" // NOLINT: the point is that C++ takes it
