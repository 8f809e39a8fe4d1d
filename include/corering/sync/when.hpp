/// when.hpp — awaits several things at once: all of them, or the first.
///
/// Members are tasks, operations, joins, groups: everything that can be awaited. They begin in order, on the
/// current worker; a member may hop, and comes back at its end. Nothing here returns before every member has
/// ended, so what the members refer to in the awaiting coroutine stays alive for them. When the awaiting
/// coroutine is cancelled, all members are cancelled. When this resumes, the `await_resume` of every member
/// has run. The variadic forms allocate nothing; the forms for ranges allocate once for their members.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <corering/engine/member.hpp>

namespace corering {
namespace detail {

/// Holds what when_all and when_any have in common.
class Members : private Wait, private MemberOwner {
 protected:
  enum class Until : bool { all, first };

  explicit Members(Until until) noexcept : until_(until) {}
  ~Members() override;

  void prepare(std::coroutine_handle<> outer, PromiseBase* promise) noexcept;
  /// Starts `member`. Returns false when the others need not begin, because this one is the first to end.
  [[nodiscard]] bool start(MemberBase& member) noexcept;

  /// Throws the first exception of any member, if there is one.
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }
  [[nodiscard]] const MemberBase* first() const noexcept { return first_; }

 private:
  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  void member_ended(MemberBase& member) noexcept override;
  void cancel_the_others() noexcept;

  const Until until_;
  std::coroutine_handle<> outer_;
  IntrusiveList<MemberBase> running_;
  std::size_t total_ = 0;
  std::size_t left_ = 0;
  const MemberBase* first_ = nullptr;
  std::exception_ptr exception_;
};

/// Holds a pack of members.
template <class... Inner>
class Pack : protected Members {
 public:
  bool await_ready() const noexcept { return sizeof...(Inner) == 0; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    prepare(outer, promise_of(outer));
    std::apply([this](auto&... member) { (void)(this->start(member) && ...); }, members_);
  }

 protected:
  Pack(Until until, std::tuple<Inner...>&& inner)
      : Pack(until, std::move(inner), std::index_sequence_for<Inner...>()) {}

  std::tuple<Member<Inner>...> members_;

 private:
  template <std::size_t... I>
  Pack(Until until, std::tuple<Inner...>&& inner, std::index_sequence<I...>)
      : Members(until), members_(std::get<I>(std::move(inner))...) {}
};

/// Holds members of one type, as many as there are at run time.
template <class Inner>
class Row : protected Members {
 public:
  bool await_ready() const noexcept { return size_ == 0; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    prepare(outer, promise_of(outer));
    for (std::size_t i = 0; i < size_ && start(*members_[i]); ++i) {
    }
  }

 protected:
  Row(Until until, std::vector<Inner>&& inner)
      : Members(until),
        size_(inner.size()),
        members_(std::make_unique<std::optional<Member<Inner>>[]>(inner.size())) {
    for (std::size_t i = 0; i < size_; ++i) members_[i].emplace(std::move(inner[i]));
  }

  const std::size_t size_;
  const std::unique_ptr<std::optional<Member<Inner>>[]> members_;  // the members do not move
};

template <class... Inner>
class [[nodiscard]] AllOfPack : public Pack<Inner...> {
 public:
  explicit AllOfPack(std::tuple<Inner...>&& inner) : Pack<Inner...>(Members::Until::all, std::move(inner)) {}

  std::tuple<Kept<await_result_t<Inner>>...> await_resume() {
    this->rethrow();
    return std::apply(
        [](auto&... member) {
          return std::tuple<Kept<await_result_t<Inner>>...>(std::move(member.result())...);
        },
        this->members_);
  }
};

template <class Inner>
class [[nodiscard]] AllOfRow : public Row<Inner> {
 public:
  using T = Kept<await_result_t<Inner>>;
  explicit AllOfRow(std::vector<Inner>&& inner) : Row<Inner>(Members::Until::all, std::move(inner)) {}

  std::vector<T> await_resume() {
    this->rethrow();
    std::vector<T> results;
    results.reserve(this->size_);
    for (std::size_t i = 0; i < this->size_; ++i) results.push_back(std::move(this->members_[i]->result()));
    return results;
  }
};

}  // namespace detail

/// when_any of a pack yields this: which member ended first, and its result. `std::monostate` stands for
/// void.
template <class... Results>
struct FirstOf {
  std::size_t index = 0;
  std::variant<Results...> result;  ///< holds alternative number `index`
};

/// when_any of a range yields this.
template <class T>
struct FirstOfRange {
  std::size_t index = 0;
  T result;
};

namespace detail {

template <class... Inner>
class [[nodiscard]] AnyOfPack : public Pack<Inner...> {
 public:
  using First = FirstOf<Kept<await_result_t<Inner>>...>;
  explicit AnyOfPack(std::tuple<Inner...>&& inner)
      : Pack<Inner...>(Members::Until::first, std::move(inner)) {}

  First await_resume() {
    this->rethrow();
    return take(std::index_sequence_for<Inner...>());
  }

 private:
  template <std::size_t... I>
  First take(std::index_sequence<I...>) {
    std::optional<First> taken;
    (take_if_first<I>(taken), ...);
    return std::move(*taken);
  }
  template <std::size_t I>
  void take_if_first(std::optional<First>& taken) {
    auto& member = std::get<I>(this->members_);
    if (this->first() != &member) return;
    using Result = decltype(First::result);
    taken.emplace(First{I, Result(std::in_place_index<I>, std::move(member.result()))});
  }
};

template <class Inner>
class [[nodiscard]] AnyOfRow : public Row<Inner> {
 public:
  using First = FirstOfRange<Kept<await_result_t<Inner>>>;
  explicit AnyOfRow(std::vector<Inner>&& inner) : Row<Inner>(Members::Until::first, std::move(inner)) {}

  First await_resume() {
    this->rethrow();
    for (std::size_t i = 0; i < this->size_; ++i) {
      if (this->first() == &*this->members_[i]) return First{i, std::move(this->members_[i]->result())};
    }
    throw std::invalid_argument("when_any needs at least one member: without one, none can be first");
  }
};

/// Holds the members until it is awaited. It can be awaited once.
template <class Awaiter, class Inner>
class [[nodiscard("it does nothing until it is awaited")]] Combinator {
 public:
  explicit Combinator(Inner inner) : inner_(std::move(inner)) {}
  Awaiter operator co_await() && { return Awaiter(std::move(inner_)); }
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

 private:
  Inner inner_;
};

template <std::ranges::input_range Range>
auto take_members(Range&& range) {
  std::vector<std::ranges::range_value_t<Range>> members;
  for (auto&& one : range) members.push_back(std::move(one));
  return members;
}

template <class Range>
concept RangeOfAwaitables = std::ranges::input_range<Range> && Awaitable<std::ranges::range_value_t<Range>>;

}  // namespace detail

/// Awaits all members, and yields their results in order, as a tuple, with `std::monostate` for void. A
/// Result that is an error is a result like any other.
/// resumes: same worker, when every member has ended · cancelled: cancels all members
/// errors: an exception cancels the other members, and comes out when they have ended; only the first
///   exception comes out
template <Awaitable... Inner>
auto when_all(Inner&&... members) {
  using Members = std::tuple<std::remove_cvref_t<Inner>...>;
  return detail::Combinator<detail::AllOfPack<std::remove_cvref_t<Inner>...>, Members>(
      Members(std::forward<Inner>(members)...));
}

/// The same for a range, whose elements are moved from. Yields a vector of results, with `std::monostate` for
/// void.
template <detail::RangeOfAwaitables Range>
auto when_all(Range&& members) {
  using Inner = std::ranges::range_value_t<Range>;
  return detail::Combinator<detail::AllOfRow<Inner>, std::vector<Inner>>(
      detail::take_members(std::forward<Range>(members)));
}

/// Awaits the first member that ends, whatever its result. Cancels the others and waits for their end, then
/// yields which member was first, and its result (FirstOf). A member that has nothing to wait for is the
/// first at once, and those after it do not begin.
/// resumes: same worker, when every member has ended · cancelled: cancels all members
/// errors: an exception of any member comes out when all have ended, even if that member was cancelled; then
///   the result of the first member is lost
/// late success: the results of the others are disposed of by their type, late successes too: an Fd closes
///   itself
template <Awaitable... Inner>
auto when_any(Inner&&... members) {
  static_assert(sizeof...(Inner) > 0, "when_any needs at least one member: without one, none can be first");
  using Members = std::tuple<std::remove_cvref_t<Inner>...>;
  return detail::Combinator<detail::AnyOfPack<std::remove_cvref_t<Inner>...>, Members>(
      Members(std::forward<Inner>(members)...));
}

/// The same for a range, whose elements are moved from. Yields FirstOfRange.
/// errors: an empty range throws std::invalid_argument
template <detail::RangeOfAwaitables Range>
auto when_any(Range&& members) {
  using Inner = std::ranges::range_value_t<Range>;
  return detail::Combinator<detail::AnyOfRow<Inner>, std::vector<Inner>>(
      detail::take_members(std::forward<Range>(members)));
}

}  // namespace corering
