/* SPDX-License-Identifier: Apache-2.0 */
/* What NIXL passes to a plug-in and expects from it, as laid out by gcc and clang with libstdc++ on x86-64 and aarch64.
 * NIXL's own headers are C++ with the standard library; these are plain structs with the same bytes. docs/nixl.md says
 * with which versions of NIXL they were tried. */
#ifndef KVTEL_NIXL_PLUGIN_ABI_H
#define KVTEL_NIXL_PLUGIN_ABI_H

#include <stddef.h>
#include <stdint.h>

namespace abi
{

/* std::string_view: passed in two registers. */
struct string_view {
    size_t size;
    const char *bytes;
};

/* std::string of the new ABI. A short text is in the object itself, so an object must not be moved. */
struct string {
    char *bytes;
    size_t size;
    char own[16];
};
static_assert(sizeof(string) == 32, "std::string");

/* std::unique_ptr<T> as a result: not trivially copyable, so that the caller passes the place for it. */
template <typename T> struct owner {
    T *object;
    explicit owner(T *given) : object(given)
    {
    }
    owner(const owner &other) : object(other.object)
    {
    }
    ~owner()
    {
    }
};

struct telemetry_params {
    string agent_name;
    size_t max_events;
};
struct event {
    uint32_t type;
    uint64_t value;
};
static_assert(sizeof(event) == 16, "nixlTelemetryEvent");

struct trace_params {
    string_view agent_name;
};

template <typename T, typename P> struct plugin {
    uint32_t version;
    owner<T> (*create)(const P &);
    string name;
    string release;
};

} // namespace abi
#endif
