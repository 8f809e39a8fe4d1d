/// chain.hpp — operations that the kernel does one after the other, without coming back in between.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <tuple>
#include <utility>

#include <corering/core/operation.hpp>
#include <corering/engine/fake_coroutine.hpp>

namespace corering {
namespace detail {

/// Holds what chains of any operations have in common.
class ChainBase : private Wait, private FakeCoroutine {
 public:
  bool await_ready() const noexcept { return false; }

 protected:
  ChainBase() noexcept : FakeCoroutine(&link_ended) {}
  ~ChainBase() override = default;

  void begin(std::span<Completion* const> links, std::coroutine_handle<> outer,
             PromiseBase* promise) noexcept;
  /// Returns success when the kernel has answered all of them.
  [[nodiscard]] Result<void> finish() noexcept;
  [[nodiscard]] std::coroutine_handle<> link_handle() noexcept { return handle(); }

  /// Returns the links of the chain.
  virtual std::span<Completion* const> links() const noexcept = 0;

 private:
  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  static void link_ended(void* self);

  std::coroutine_handle<> outer_;
  std::size_t left_ = 0;
  std::error_code refused_;
  bool begun_ = false;
};

template <class T, class Payload>
class Link : public IoAwaiter<T, Payload> {
 public:
  explicit Link(const IoOperation<T, Payload>& operation)
      : IoAwaiter<T, Payload>(operation.request(), operation.payload()) {}
  Completion& completion() noexcept { return *this; }
  void prepare_link(std::coroutine_handle<> chain, std::uint32_t sqe_flags) noexcept {
    this->request_.head |= sqe_flags << 8;
    this->prepare(chain, this->request_);
  }
};
template <class T, class Payload>
Link(const IoOperation<T, Payload>&) -> Link<T, Payload>;

template <class Operation>
inline constexpr bool is_io_operation = false;
template <class T, class Payload>
inline constexpr bool is_io_operation<IoOperation<T, Payload>> = true;

template <class Operation>
struct LinkOf;
template <class T, class Payload>
struct LinkOf<IoOperation<T, Payload>> {
  using type = Link<T, Payload>;
};

template <class... Operations>
class [[nodiscard]] ChainAwaiter : public ChainBase {
  using Results = std::tuple<Result<typename Operations::Value>...>;

 public:
  ChainAwaiter(std::uint32_t link_flag, const Operations&... operations)
      : links_(operations...), completions_(pointers(std::index_sequence_for<Operations...>())) {
    prepare(link_flag, std::index_sequence_for<Operations...>());
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    begin(completions_, outer, promise_of(outer));
  }
  Result<Results> await_resume() noexcept {
    if (const Result<void> ended = finish(); !ended) return std::unexpected(ended.error());
    return std::apply([](auto&... link) { return Results(link.await_resume()...); }, links_);
  }

 private:
  template <std::size_t... I>
  std::array<Completion*, sizeof...(I)> pointers(std::index_sequence<I...>) noexcept {
    return {&std::get<I>(links_).completion()...};
  }
  template <std::size_t... I>
  void prepare(std::uint32_t link_flag, std::index_sequence<I...>) noexcept {
    (std::get<I>(links_).prepare_link(link_handle(), I + 1 < sizeof...(I) ? link_flag : 0), ...);
  }
  std::span<Completion* const> links() const noexcept override { return completions_; }

  std::tuple<typename LinkOf<Operations>::type...> links_;
  std::array<Completion*, sizeof...(Operations)> completions_;
};

template <class... Operations>
class [[nodiscard("a chain does nothing until it is awaited")]] Chain {
 public:
  explicit Chain(std::uint32_t link_flag, const Operations&... operations)
      : link_flag_(link_flag), operations_(operations...) {}

  auto operator co_await() const {
    return std::apply(
        [this](const auto&... operation) { return ChainAwaiter<Operations...>(link_flag_, operation...); },
        operations_);
  }

 private:
  std::uint32_t link_flag_;
  std::tuple<Operations...> operations_;
};

}  // namespace detail

/// Its errors say that the operations of a chain do not fit into one submission. The message says how many
/// would fit.
[[nodiscard]] const std::error_category& chain_category() noexcept;

/// `co_await chain(first, second, ...)`, on a worker: the kernel begins each operation when the one before it
/// has succeeded in full. The first that fails, or reads or sends less than asked, ends the chain, and those
/// after it fail with ECANCELED. Yields Result<std::tuple<Result<T>...>>.
/// suspends: always · resumes: same worker, when all have been answered
/// cancelled: cancels all of it
/// errors: the outer Result fails if no operation was begun: in a cancelled scope, or with chain_category()
///   if the chain has more links than WorkerOptions::sq_entries, since it must be submitted whole
///
/// It takes IoOperations; for a ProbedOperation pass its without_fallback(). link_timeout() limits the
/// operation that stands before it.
template <class... Operations>
  requires(sizeof...(Operations) > 0)
auto chain(const Operations&... operations) {
  static_assert((detail::is_io_operation<Operations> && ...),
                "a chain takes IoOperations: for a ProbedOperation pass its without_fallback(); a File's "
                "functions are tasks, so use the operations of io/file_calls.hpp instead");
  return detail::Chain<Operations...>(abi::sqe_io_link, operations...);
}

/// The same, but an operation that fails or falls short does not end the chain: IOSQE_IO_HARDLINK.
template <class... Operations>
  requires(sizeof...(Operations) > 0)
auto hard_chain(const Operations&... operations) {
  static_assert((detail::is_io_operation<Operations> && ...), "a chain takes IoOperations: see chain()");
  return detail::Chain<Operations...>(abi::sqe_io_hardlink, operations...);
}

}  // namespace corering
