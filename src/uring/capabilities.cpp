/// capabilities.cpp — what is newer than our oldest kernel, and how we try each of these things.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <corering/base/fd.hpp>
#include <corering/base/outside.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/ring.hpp>

#include "base/immortal.hpp"
#include "base/real_outside.hpp"
#include "uring/mask.hpp"

namespace corering {
namespace {

constexpr std::array<Offer, static_cast<std::size_t>(Feature::count_)> feature_offers = {{
    {"single_issuer", "6.0", "a ring with a little more locking"},
    {"defer_taskrun", "6.1", "COOP_TASKRUN: completions interrupt system calls"},
    {"recv_multishot", "6.0", "one RECV at a time"},
    {"send_zc_report_usage", "6.2", "zero-copy sends that do not say whether the kernel copied"},
    {"timeout_multishot", "6.4", "one TIMEOUT at a time"},
    {"cancel_by_opcode", "6.6", ""},
    {"socket_options", "6.7", "getsockopt(2) and setsockopt(2), which do not wait"},
    {"bundles", "6.10", "one buffer for each receive"},
    {"accept_dontwait", "6.10", ""},
    {"nop_inject_result", "6.10", ""},
    {"incremental_buffers", "6.12", "whole buffers for each receive"},
    {"no_iowait", "6.15", "an idle worker is counted as iowait"},
    {"send_vectorized", "6.17", "SENDMSG"},
}};

struct OpcodeOffer {
  Opcode opcode;
  Offer offer;
};
constexpr std::array opcode_offers = {
    OpcodeOffer{Opcode::send_zc, {"send_zc", "6.0", "SEND, which copies"}},
    OpcodeOffer{Opcode::sendmsg_zc, {"sendmsg_zc", "6.1", "SENDMSG, which copies"}},
    OpcodeOffer{Opcode::read_multishot, {"read_multishot", "6.7", "one READ at a time"}},
    OpcodeOffer{Opcode::waitid, {"waitid", "6.7", "pidfd_open(2) and POLL, for one process"}},
    OpcodeOffer{Opcode::futex_wait, {"futex_wait", "6.7", ""}},
    OpcodeOffer{Opcode::futex_wake, {"futex_wake", "6.7", "futex(2), which does not wait"}},
    OpcodeOffer{Opcode::futex_waitv, {"futex_waitv", "6.7", ""}},
    OpcodeOffer{Opcode::fixed_fd_install, {"fixed_fd_install", "6.8", ""}},
    OpcodeOffer{Opcode::ftruncate, {"ftruncate", "6.9", "ftruncate(2) on the worker"}},
    OpcodeOffer{Opcode::bind, {"bind", "6.11", "bind(2), which does not wait"}},
    OpcodeOffer{Opcode::listen, {"listen", "6.11", "listen(2), which does not wait"}},
    OpcodeOffer{Opcode::epoll_wait, {"epoll_wait", "6.15", "POLL and epoll_wait(2)"}},
    OpcodeOffer{Opcode::readv_fixed, {"readv_fixed", "6.15", "READV"}},
    OpcodeOffer{Opcode::writev_fixed, {"writev_fixed", "6.15", "WRITEV"}},
    OpcodeOffer{Opcode::pipe, {"pipe", "6.16", "pipe2(2), which does not wait"}},
};

// ---- trying ----

/// A ring that is used only to try things.
class Trial {
 public:
  explicit Trial(Kernel& kernel) : kernel_(kernel) { open_ = ring_.open(kernel, 8, 16).has_value(); }

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] Ring& ring() noexcept { return ring_; }
  [[nodiscard]] int open_eventfd() noexcept { return kernel_.open_eventfd(); }

  /// Fills an SQE whose answer is not looked at.
  void add(const Sqe& sqe) noexcept {
    if (Sqe* const slot = ring_.next_sqe(); slot != nullptr) *slot = sqe;
  }

  /// Returns what the kernel answers to one SQE in its first CQE.
  std::int32_t answer_to(Sqe sqe) noexcept {
    sqe.user_data = last_asked_ += 8;  // the tag is not that of an operation
    Sqe* const slot = ring_.next_sqe();
    if (slot == nullptr) return -EBUSY;
    *slot = sqe;
    std::optional<std::int32_t> first;
    for (int tries = 0; tries < 100 && !first; ++tries) {
      const int entered = ring_.submit_and_wait(std::chrono::milliseconds(100));
      if (entered < 0 && !passes(entered)) return entered;
      const Ring::Cqes there = ring_.cqes();
      for (const Cqe& cqe : there.cqes) {
        if (!first && cqe.user_data == last_asked_) first = cqe.res;
      }
      ring_.release(there);
    }
    return first.value_or(-ETIME);
  }

 private:
  static bool passes(int result) noexcept {
    return result == -EINTR || result == -ETIME || result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
  }

  Kernel& kernel_;
  SubmissionQueue sq_;
  Ring ring_{sq_};
  bool open_ = false;
  std::uint64_t last_asked_ = 1;
};

// The descriptor is bad. The kernel refuses a flag that it does not know before it looks at the descriptor.
bool knows_ioprio(Trial& trial, Opcode opcode, std::uint32_t ioprio, std::uint32_t sqe_flags = 0) {
  return trial.answer_to({.opcode = static_cast<std::uint8_t>(opcode),
                          .flags = static_cast<std::uint8_t>(sqe_flags),
                          .ioprio = static_cast<std::uint16_t>(ioprio),
                          .fd = -1}) == -EBADF;
}

bool knows_timeout_multishot(Trial& trial) {
  const uapi::Timespec soon{.seconds = 0, .nanoseconds = 1};
  return trial.answer_to({.opcode = static_cast<std::uint8_t>(Opcode::timeout),
                          .off = 1,
                          .addr = reinterpret_cast<std::uintptr_t>(&soon),
                          .len = 1,
                          .op_flags = uapi::timeout_multishot}) == -ETIME;
}

// Linux 6.1.192 takes the flag, and then finds nothing. So there is something to find.
bool knows_cancel_by_opcode(Trial& trial) {
  const Fd never(trial.open_eventfd());
  trial.add({.opcode = static_cast<std::uint8_t>(Opcode::poll_add), .fd = never.get(), .op_flags = POLLIN});
  return trial.answer_to({.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
                          .len = static_cast<std::uint32_t>(Opcode::poll_add),
                          .op_flags = uapi::cancel_op | uapi::cancel_all}) == 1;
}

bool knows_socket_options(Trial& trial) {
  const Fd socket(os::socket(AF_UNIX, SOCK_STREAM));
  int type = 0;
  const std::int32_t length =
      trial.answer_to({.opcode = static_cast<std::uint8_t>(Opcode::uring_cmd),
                       .fd = socket.get(),
                       .off = uapi::socket_getsockopt,
                       .addr = std::uint64_t{SOL_SOCKET} | std::uint64_t{SO_TYPE} << 32,
                       .file_index = sizeof type,
                       .addr3 = reinterpret_cast<std::uintptr_t>(&type)});
  return length == sizeof type && type == SOCK_STREAM;
}

bool knows_nop_inject(Trial& trial) {
  return trial.answer_to({.opcode = static_cast<std::uint8_t>(Opcode::nop),
                          .len = 42,
                          .op_flags = uapi::nop_inject_result}) == 42;
}

bool knows_incremental_buffers(Trial& trial) {
  constexpr std::size_t page = 4096;
  void* const memory =
      ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return false;
  uapi::BufferRingRegister wish{.address = reinterpret_cast<std::uintptr_t>(memory),
                                .entries = 2,
                                .group = 0,
                                .flags = uapi::pbuf_ring_inc};
  const bool knows = trial.ring().register_resource(uapi::register_pbuf_ring, &wish, 1) == 0;
  if (knows) trial.ring().register_resource(uapi::unregister_pbuf_ring, &wish, 1);
  ::munmap(memory, page);
  return knows;
}

bool knows(Trial& trial, Feature feature) {
  switch (feature) {
    case Feature::single_issuer:
      return (trial.ring().setup_flags() & uapi::setup_single_issuer) != 0;
    case Feature::defer_taskrun:
      return (trial.ring().setup_flags() & uapi::setup_defer_taskrun) != 0;
    case Feature::recv_multishot:
      return knows_ioprio(trial, Opcode::recv, uapi::recv_multishot, uapi::sqe_buffer_select);
    case Feature::send_zc_report_usage:
      return knows_ioprio(trial, Opcode::send_zc, uapi::send_zc_report_usage);
    case Feature::timeout_multishot:
      return knows_timeout_multishot(trial);
    case Feature::cancel_by_opcode:
      return knows_cancel_by_opcode(trial);
    case Feature::socket_options:
      return knows_socket_options(trial);
    case Feature::bundles:
      return knows_ioprio(trial, Opcode::recv, uapi::recvsend_bundle, uapi::sqe_buffer_select);
    case Feature::accept_dontwait:
      return knows_ioprio(trial, Opcode::accept, uapi::accept_dontwait);
    case Feature::nop_inject_result:
      return knows_nop_inject(trial);
    case Feature::incremental_buffers:
      return knows_incremental_buffers(trial);
    case Feature::no_iowait:
      return (trial.ring().features() & uapi::feature_no_iowait) != 0;
    case Feature::send_vectorized:
      return knows_ioprio(trial, Opcode::send, uapi::send_vectorized);
    case Feature::count_:
      break;
  }
  return false;
}

constexpr auto every_feature = [] {
  std::array<Feature, static_cast<std::size_t>(Feature::count_)> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Feature>(i);
  return all;
}();

// ---- the mask ----

bool hide(std::string_view name, Capabilities& hidden) noexcept {
  for (const Feature feature : every_feature) {
    if (offer_of(feature).name != name) continue;
    hidden.set(feature, true);
    return true;
  }
  for (const auto& [opcode, offer] : opcode_offers) {
    if (offer.name != name) continue;
    hidden.set(opcode, true);
    return true;
  }
  return false;
}

}  // namespace

Mask read_mask(std::string_view names) noexcept {
  Mask mask;
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    const std::string_view name = names.substr(0, comma);
    names.remove_prefix(std::min(comma + 1, names.size()));
    if (!name.empty() && !hide(name, mask.hidden) && mask.wrong_name.empty()) mask.wrong_name = name;
  }
  if (mask.hidden.has(Feature::single_issuer)) {
    mask.setup_flags |= uapi::setup_single_issuer | uapi::setup_defer_taskrun;  // the second needs the first
    mask.hidden.set(Feature::defer_taskrun, true);
  }
  if (mask.hidden.has(Feature::defer_taskrun)) mask.setup_flags |= uapi::setup_defer_taskrun;
  if (mask.hidden.has(Feature::no_iowait)) mask.features |= uapi::feature_no_iowait;
  return mask;
}

namespace {

// ---- the error ----

constexpr int feature_base = 256;

class UnsupportedCategory final : public std::error_category {
 public:
  constexpr UnsupportedCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.unsupported"; }

  std::string message(int value) const override {
    const Offer* const offer = value >= feature_base ? &offer_of(static_cast<Feature>(value - feature_base))
                                                     : offer_of(static_cast<Opcode>(value));
    if (offer == nullptr) return "the kernel does not offer this operation";
    std::string text(offer->name);
    text.append(" needs Linux ").append(offer->since);
    text.append(" or newer: this kernel is older, or a seccomp profile or CORERING_MASK hides it");
    return text;
  }

  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::operation_not_supported;
  }
};

const UnsupportedCategory& unsupported_category() noexcept {
  static constinit Immortal<UnsupportedCategory> category;
  return category.object;
}

}  // namespace

const Offer& offer_of(Feature feature) noexcept { return feature_offers[static_cast<std::size_t>(feature)]; }

const Offer* offer_of(Opcode opcode) noexcept {
  for (const auto& [offered, offer] : opcode_offers) {
    if (offered == opcode) return &offer;
  }
  return nullptr;
}

const Mask& process_mask() noexcept {
  static const Mask mask = [] {
    const char* const names = std::getenv("CORERING_MASK");
    return read_mask(names == nullptr ? "" : names);
  }();
  return mask;
}

std::string_view wrong_name_in_mask() noexcept { return process_mask().wrong_name; }

std::optional<Capabilities> probe(Kernel& kernel) {
  const os::RealOutside real;  // what a kernel can do is remembered, so no world answers for it
  Trial trial(kernel);
  if (!trial.is_open()) return std::nullopt;
  Capabilities found;
  uapi::Probe probe;
  if (trial.ring().register_resource(uapi::register_probe, &probe, probe.ops.size()) == 0) {
    for (std::size_t i = 0; i < probe.ops_len; ++i) {
      if ((probe.ops[i].flags & uapi::probe_op_supported) != 0)
        found.set(static_cast<Opcode>(probe.ops[i].op), true);
    }
  }
  for (const Feature feature : every_feature) found.set(feature, knows(trial, feature));
  const Capabilities& hidden = process_mask().hidden;
  for (const Feature feature : every_feature) {
    if (hidden.has(feature)) found.set(feature, false);
  }
  for (const auto& [opcode, offer] : opcode_offers) {
    if (hidden.has(opcode)) found.set(opcode, false);
  }
  return found;
}

std::error_code Need::unmet() const noexcept { return {value_, unsupported_category()}; }

}  // namespace corering
