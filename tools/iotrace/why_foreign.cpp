/// why_foreign.cpp — how a request went through the kernel: at once, with a helper thread, or after a wait.
#include "why_foreign.hpp"

#include <algorithm>
#include <string>

#include <corering/uring/uapi.hpp>

#include "evidence.hpp"

namespace iotrace {
namespace {

using corering::Opcode;

// What is shorter needs no explanation.
constexpr Ns short_time = 200'000;

std::string head_of(const Operation& operation) {
  return std::string(name_of_operation(operation)) + " " + std::to_string(operation.number) + " ";
}

std::string took(const Operation& operation) { return duration_text(operation.end() - operation.begin()); }

/// How many others of the program were with the kernel when this one came there.
std::size_t others_at(const Trace& trace, const Operation& operation) {
  const Ns begin = operation.begin();
  return static_cast<std::size_t>(std::ranges::count_if(trace.operations, [&](const Operation& other) {
    return &other != &operation && other.begin() <= begin && (!other.has_ended || other.end() > begin);
  }));
}

std::string beside_others(const Trace& trace, const Operation& operation) {
  const std::size_t others = others_at(trace, operation);
  if (others == 0) return "; no other request of the program was in flight when it began";
  return "; " + std::to_string(others) + (others == 1 ? " other request" : " other requests") +
         " of the program were in flight when it began";
}

/// Part of a sentence that says how long something took from one moment on, until the end.
std::string from(const Operation& operation, At moment) {
  return duration_text(operation.end() - operation.time(moment));
}
std::string until(const Operation& operation, At moment) {
  return duration_text(operation.time(moment) - operation.begin());
}

bool is_sync(const Operation& operation) {
  const auto opcode = static_cast<Opcode>(operation.opcode);
  return opcode == Opcode::fsync || opcode == Opcode::sync_file_range;
}

Explanation by_helper(const Trace& trace, const Operation& operation) {
  return {is_sync(operation) ? Cause::slow_sync : Cause::lent_to_helper,
          head_of(operation) + "took " + took(operation) + ": after " + until(operation, At::kernel_lent) +
              " the kernel gave it to a helper thread (io-wq), and from then it took " +
              from(operation, At::kernel_lent) + ", its wait for that thread included" +
              beside_others(trace, operation) + "."};
}

Explanation by_readiness(const Operation& operation) {
  const bool came = operation.time(At::kernel_ready) != unseen;
  const std::string waited =
      came ? duration_text(operation.time(At::kernel_ready) - operation.time(At::kernel_waits))
           : from(operation, At::kernel_waits);
  return {Cause::nothing_unusual,
          "Nothing unusual: " + head_of(operation) + "took " + took(operation) + ", of which it waited " +
              waited + " until its descriptor was ready" +
              (came ? ", and " + from(operation, At::kernel_ready) + " from then to its end" : "") + "."};
}

Explanation starved(const Operation& operation, const std::string& thread, Ns lost) {
  return {Cause::run_queue_delay, head_of(operation) + "took " + took(operation) + ", and for " +
                                      duration_text(lost) + " of that " + thread +
                                      " had no processor: other threads had it."};
}

Explanation by_kernel(const Trace& trace, const Operation& operation) {
  const Stretch life{operation.begin(), operation.end()};
  const Evidence thread(trace, operation.thread);
  const auto lost = thread.lost_time(life);
  if (lost && 2 * lost->without_a_processor >= life.length())
    return starved(operation, thread.name(), lost->without_a_processor);
  if (is_sync(operation))
    return {Cause::slow_sync, head_of(operation) + "took " + took(operation) +
                                  ", because the device took so long to write everything" +
                                  beside_others(trace, operation) + "."};
  return {Cause::nothing_unusual, "Nothing unusual: " + head_of(operation) + "was with the kernel for " +
                                      took(operation) + ", without a helper thread or a wait for readiness" +
                                      beside_others(trace, operation) + "."};
}

}  // namespace

bool is_foreign(const Operation& operation) noexcept {
  const bool has_own = operation.time(At::awaited) != unseen || operation.time(At::begun) != unseen ||
                       operation.time(At::filled) != unseen || operation.time(At::processed) != unseen ||
                       operation.time(At::resumed) != unseen;
  return !has_own && operation.time(At::kernel_began) != unseen;
}

Explanation explain_foreign(const Trace& trace, const Operation& operation) {
  if (!operation.has_ended)
    return {Cause::unfinished, head_of(operation) + "has not ended in this recording."};
  const bool is_short = operation.end() - operation.begin() < short_time;
  if (operation.time(At::kernel_waits) != unseen && operation.time(At::kernel_lent) == unseen)
    return by_readiness(operation);
  if (is_short)
    return {Cause::nothing_unusual,
            "Nothing unusual: the kernel took " + took(operation) + beside_others(trace, operation) + "."};
  return operation.time(At::kernel_lent) != unseen ? by_helper(trace, operation)
                                                   : by_kernel(trace, operation);
}

std::string unrecorded_of(const Operation& operation) {
  return is_foreign(operation)
             ? "Not observed: what the program itself did. It is not built with corering, or did "
               "not record.\n"
             : "";
}

}  // namespace iotrace
