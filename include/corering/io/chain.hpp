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

struct ZeroCopySend;

namespace detail {

enum class ChainKind : bool { soft, hard };

/// Holds what chains of any operations have in common.
///
/// The kernel gets a chain whole. A hard chain it gets one operation at a time (with the time limits that
/// belong to that operation): the kernel goes on with a hard chain whatever happens to the operation that
/// runs, and cannot be told to stop.
class ChainBase : private Wait, private FakeCoroutine {
 public:
  bool await_ready() const noexcept { return false; }

 protected:
  ChainBase() noexcept : FakeCoroutine(&link_ended) {}
  ~ChainBase() override = default;

  void begin(ChainKind kind, std::coroutine_handle<> outer, PromiseBase* promise) noexcept;
  /// Returns success when the kernel has answered all of them.
  [[nodiscard]] Result<void> finish() noexcept;
  [[nodiscard]] std::coroutine_handle<> link_handle() noexcept { return handle(); }

  /// Returns the links of the chain.
  virtual std::span<Completion* const> links() const noexcept = 0;
  [[nodiscard]] bool is_linked_to_next(ChainKind kind, std::size_t index) const noexcept;

 private:
  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  static void link_ended(void* self);
  /// Returns why the kernel cannot be given the chain, if it cannot.
  [[nodiscard]] std::error_code refusal() const noexcept;
  void begin_part() noexcept;

  std::coroutine_handle<> outer_;
  ChainKind kind_ = ChainKind::soft;
  std::size_t begun_links_ = 0;  // the kernel has got these, or they were refused
  std::size_t left_ = 0;         // those of them that have not ended
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
inline constexpr bool is_zero_copy_send = false;
template <class Payload>
inline constexpr bool is_zero_copy_send<IoOperation<ZeroCopySend, Payload>> = true;

template <class First, class... Others>
inline constexpr bool only_the_first_is_zero_copy = (!is_zero_copy_send<Others> && ...);

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
  ChainAwaiter(ChainKind kind, const Operations&... operations)
      : kind_(kind), links_(operations...), completions_(pointers(std::index_sequence_for<Operations...>())) {
    prepare(std::index_sequence_for<Operations...>());
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    begin(kind_, outer, promise_of(outer));
  }
  [[nodiscard]] Result<Results> await_resume() noexcept {
    if (const Result<void> ended = finish(); !ended) return std::unexpected(ended.error());
    return std::apply([](auto&... link) { return Results(link.await_resume()...); }, links_);
  }

 private:
  template <std::size_t... I>
  std::array<Completion*, sizeof...(I)> pointers(std::index_sequence<I...>) noexcept {
    return {&std::get<I>(links_).completion()...};
  }
  template <std::size_t... I>
  void prepare(std::index_sequence<I...>) noexcept {
    (std::get<I>(links_).prepare_link(link_handle(), is_linked_to_next(kind_, I) ? uapi::sqe_io_link : 0),
     ...);
  }
  std::span<Completion* const> links() const noexcept override { return completions_; }

  const ChainKind kind_;
  std::tuple<typename LinkOf<Operations>::type...> links_;
  std::array<Completion*, sizeof...(Operations)> completions_;
};

template <class... Operations>
class [[nodiscard("a chain does nothing until it is awaited")]] Chain {
 public:
  explicit Chain(ChainKind kind, const Operations&... operations) : kind_(kind), operations_(operations...) {}

  auto operator co_await() const {
    return std::apply(
        [this](const auto&... operation) { return ChainAwaiter<Operations...>(kind_, operation...); },
        operations_);
  }

 private:
  ChainKind kind_;
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
/// A zero-copy send may only be the first. When a chain breaks before one, the kernel answers it as if that
/// were its last answer, and a notification follows (seen on 6.18), which may find the operation gone.
///
/// It takes IoOperations; for a ProbedOperation pass its without_fallback(). link_timeout() limits the
/// operation that stands before it.
template <class... Operations>
  requires(sizeof...(Operations) > 0)
auto chain(const Operations&... operations) {
  static_assert((detail::is_io_operation<Operations> && ...),
                "a chain takes IoOperations: for a ProbedOperation pass its without_fallback(); a File's "
                "functions are tasks, so use the operations of io/file_calls.hpp instead");
  static_assert(detail::only_the_first_is_zero_copy<Operations...>,
                "a zero-copy send may only be the first of a chain: put it there, or use hard_chain()");
  return detail::Chain<Operations...>(detail::ChainKind::soft, operations...);
}

/// The same, but an operation that fails or falls short does not end the chain. The worker hands over each
/// operation when the one before it has ended, and not with IOSQE_IO_HARDLINK: the kernel would go on with
/// the next operation after a cancellation. So a hard chain may have any number of links. cancelled: cancels
/// the operation that runs, and those after it are not begun
template <class... Operations>
  requires(sizeof...(Operations) > 0)
auto hard_chain(const Operations&... operations) {
  static_assert((detail::is_io_operation<Operations> && ...), "a chain takes IoOperations: see chain()");
  return detail::Chain<Operations...>(detail::ChainKind::hard, operations...);
}

}  // namespace corering
