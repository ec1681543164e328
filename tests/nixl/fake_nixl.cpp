/* SPDX-License-Identifier: Apache-2.0 */
/* A libnixl.so that has the tracer's symbol and nothing else. With FOREIGN it is a library of that name without it. */
#include <cstdint>
#include <string_view>

namespace nixl::trace
{
enum class Kind : uint8_t { Anything };

class Tracer
{
  public:
    void beginSpan(std::string_view name, Kind kind);
};

#ifndef FOREIGN
void Tracer::beginSpan(std::string_view, Kind)
{
}
#endif
} // namespace nixl::trace
