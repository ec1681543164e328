/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the macros that fill options are made of: KVTEL_STORE_OPTIONS() of store.h and KVTEL_RECORDER_OPTIONS() of
 * recorder.h, in C11 and later, and in C++17 and later.
 *
 * It has no functions.
 */
#ifndef KVTEL_OPTIONS_H
#define KVTEL_OPTIONS_H

/* g++ warns of each member that designated initialisers leave out, but not where a system header's macro does so. */
#if defined(__cplusplus) && !defined(__clang__)
#pragma GCC system_header
#endif

#include <stddef.h>

#ifndef __cplusplus
/** A pointer to a constant `struct type`: its `size` is set, its other members are as the arguments say or else 0. In
 * C++ the members stand in the order in which they are declared. */
#define KVTEL_OPTIONS(type, ...) (&(const struct type){ .size = sizeof(struct type), __VA_ARGS__ })
#else
extern "C++" {
/** The address of a temporary, which lives until the end of the full expression around it. */
template <typename T> inline const T *kvtel_address_of(const T &value)
{
    return &value;
}
}
#define KVTEL_OPTIONS(type, ...) \
    (kvtel_address_of<struct type>(__extension__ type{ .size = sizeof(struct type), __VA_ARGS__ }))
#endif

#endif
