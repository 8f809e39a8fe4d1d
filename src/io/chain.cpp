/// chain.cpp — begins a chain, and counts its answers.
#include <algorithm>
#include <cerrno>

#include <corering/engine/here.hpp>
#include <corering/io/chain.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

constexpr int zero_copy_is_not_first = -1;  // any other number is how many entries there are

class ChainCategory final : public std::error_category {
 public:
  constexpr ChainCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.chain"; }
  std::string message(int entries) const override {
    if (entries == zero_copy_is_not_first)
      return "a zero-copy send may only be the first of a chain: put it there, or use hard_chain()";
    return "the chain has more links than the submission queue has entries (" + std::to_string(entries) +
           "), and must be submitted whole: raise WorkerOptions::sq_entries";
  }
  std::error_condition default_error_condition(int entries) const noexcept override {
    return entries == zero_copy_is_not_first ? std::errc::invalid_argument
                                             : std::errc::argument_list_too_long;
  }
};

}  // namespace

const std::error_category& chain_category() noexcept {
  static constinit Immortal<ChainCategory> category;
  return category.object;
}

namespace detail {

namespace {
bool is_zero_copy(const Completion* link) noexcept {
  return link->opcode() == Opcode::send_zc || link->opcode() == Opcode::sendmsg_zc;
}
}  // namespace

std::error_code ChainBase::refusal() const noexcept {
  if (kind_ == ChainKind::hard) return {};
  const std::uint32_t room = here::sq_entries();
  if (links().size() > room) return {static_cast<int>(room), chain_category()};
  if (std::ranges::any_of(links().subspan(1), is_zero_copy))
    return {zero_copy_is_not_first, chain_category()};
  return {};
}

void ChainBase::begin(ChainKind kind, std::coroutine_handle<> outer, PromiseBase* promise) noexcept {
  here::require_worker("a chain was awaited on a thread without a worker: hop to one first", promise);
  outer_ = outer;
  kind_ = kind;
  begin_wait(promise);
  refused_ = here::refuses_waits(promise) ? cancellation_error(promise) : refusal();
  if (refused_) return here::schedule(outer_);
  begun_ = true;
  begin_part();
}

// Links that follow each other are linked if the chain is, and also in a hard chain where the second is the
// time limit of the first.
bool ChainBase::is_linked_to_next(ChainKind kind, std::size_t index) const noexcept {
  const std::span<Completion* const> all = links();
  if (index + 1 >= all.size()) return false;
  return kind == ChainKind::soft || all[index + 1]->opcode() == Opcode::link_timeout;
}

// Begins what the kernel gets as one. If the scope has been cancelled, that is answered with ECANCELED.
void ChainBase::begin_part() noexcept {
  const std::size_t first = begun_links_;
  while (is_linked_to_next(kind_, begun_links_)) ++begun_links_;
  left_ = ++begun_links_ - first;
  Completion::begin_chain(links().subspan(first, left_), Wait::promise_);
}

Result<void> ChainBase::finish() noexcept {
  end_wait();
  if (refused_) return std::unexpected(refused_);
  return {};
}

Wait* ChainBase::cancel(const CancelCause& cause) noexcept {
  if (begun_) {
    for (Completion* const link : links()) (void)link->cancel(cause);
  }
  return nullptr;
}

void ChainBase::describe(std::string& text) const {
  text.append("a chain of ").append(std::to_string(links().size())).append(" operations, the first of them ");
  links().front()->describe(text);
}

void ChainBase::link_ended(void* self) {
  auto& chain = static_cast<ChainBase&>(FakeCoroutine::from(self));
  if (--chain.left_ > 0) return;
  if (chain.begun_links_ < chain.links().size()) return chain.begin_part();
  here::schedule(chain.outer_);
}

}  // namespace detail
}  // namespace corering
