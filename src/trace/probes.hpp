/// probes.hpp — USDT probes: tools that look from outside (bpftrace, perf, systemtap) see each event where it
/// is recorded. CMake defines CORERING_PROBES if sys/sdt.h is there.
#pragma once

#include <cstdint>

#include <corering/trace/event_schema.hpp>

namespace corering::trace {

#if defined(CORERING_PROBES)
extern "C" {
/// How many probes of this process are looked at. The kernel counts; it writes here from outside.
[[gnu::visibility("hidden")]] extern volatile std::uint16_t corering_looked_at;
}
[[nodiscard]] inline bool probes_are_looked_at() noexcept { return corering_looked_at != 0; }

/// Passes the probe that is called as the kind is. Its arguments: opcode, id, a, b.
void pass_probe(Kind kind, std::uint8_t opcode, std::uint64_t id, std::uint64_t a, std::uint64_t b) noexcept;
#else
[[nodiscard]] constexpr bool probes_are_looked_at() noexcept { return false; }
constexpr void pass_probe(Kind, std::uint8_t, std::uint64_t, std::uint64_t, std::uint64_t) noexcept {}
#endif

/// Records as long as somebody looks at the probes: probes stand where events are recorded. Workers call it
/// now and then.
void follow_probes() noexcept;

}  // namespace corering::trace
