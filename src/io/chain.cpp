/// chain.cpp — begins a chain, and counts its answers.
#include <cerrno>

#include <corering/engine/here.hpp>
#include <corering/io/chain.hpp>

namespace corering {
namespace {

class ChainCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "corering.chain"; }
  std::string message(int entries) const override {
    return "the chain has more links than the submission queue has entries (" + std::to_string(entries) +
           "), and must be submitted whole: raise WorkerOptions::sq_entries";
  }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::argument_list_too_long;
  }
};

}  // namespace

const std::error_category& chain_category() noexcept {
  static const ChainCategory category;
  return category;
}

namespace detail {

void ChainBase::begin(std::span<Completion* const> links, std::coroutine_handle<> outer,
                      PromiseBase* promise) noexcept {
  here::require_worker("a chain was awaited on a thread without a worker: hop to one first", promise);
  outer_ = outer;
  begin_wait(promise);
  if (here::refuses_waits(promise)) {
    refused_ = cancellation_error(promise);
  } else if (const std::uint32_t room = here::sq_entries(); links.size() > room) {
    refused_ = std::error_code(static_cast<int>(room), chain_category());
  }
  if (refused_) return here::schedule(outer_);
  begun_ = true;
  left_ = links.size();
  Completion::begin_chain(links, promise);
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
  if (--chain.left_ == 0) here::schedule(chain.outer_);
}

}  // namespace detail
}  // namespace corering
