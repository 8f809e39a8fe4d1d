/// member.hpp — one of several things that are awaited at the same time.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>
#include <variant>

#include <corering/base/intrusive_list.hpp>
#include <corering/engine/awaitable.hpp>
#include <corering/engine/fake_coroutine.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/strand.hpp>

namespace corering::detail {

class MemberBase;

/// What waits for members: a combinator or a group. It is on one worker, to which every member comes back.
class MemberOwner {
 public:
  MemberOwner(MemberOwner&&) = delete;

 protected:
  friend class MemberBase;
  MemberOwner() noexcept = default;
  virtual ~MemberOwner() = default;

  /// To be called on the home worker when the member has ended and has its result. It resumes nothing itself.
  /// It may destroy the member.
  virtual void member_ended(MemberBase& member) noexcept = 0;

  Loop* home_loop_ = nullptr;
};

/// A strand that awaits one thing and then reports to its owner. The thing may be an operation, a task or
/// anything else: there is no coroutine around it.
class MemberBase : public ListNode, private FakeCoroutine {
 public:
  [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_; }
  [[nodiscard]] Strand& strand() noexcept { return strand_; }

  /// Starts the member, on the owner's worker. `outer` is the promise of the coroutine that waits for the
  /// members, and `around` is the scope that they are in. Returns true if the member has nothing to wait for:
  /// it has already ended, and will report so.
  bool start(MemberOwner& owner, const PromiseBase* outer, Scope* around,
             std::source_location where) noexcept;

  /// Returns the name that the program has given it, or null.
  [[nodiscard]] virtual const char* name_in_trace() const noexcept { return nullptr; }

  /// Releases a member that has not started, or has ended. Only members that own their memory do something
  /// here.
  virtual void dispose() noexcept {}

 protected:
  MemberBase() noexcept : FakeCoroutine(&resumed) {}
  virtual ~MemberBase() = default;

 private:
  enum class Stage : std::uint8_t { waiting, failed_to_begin, ended };

  /// Begins to await; see begin_await().
  virtual std::coroutine_handle<> await_it(std::coroutine_handle<PromiseBase> awaiting) = 0;
  /// Takes what the awaited thing yields. If the awaited thing ended with an exception, this throws it.
  virtual void take_result() = 0;
  void record_start() const noexcept;

  class OwnStrand final : public Strand {
   public:
    explicit OwnStrand(MemberBase& member) noexcept : member_(member) {}
    void on_end() noexcept override { member_.report(); }

   private:
    MemberBase& member_;
  };

  static void resumed(void* self) { static_cast<MemberBase&>(FakeCoroutine::from(self)).go_on(); }
  void go_on() noexcept;
  void report() noexcept;

  MemberOwner* owner_ = nullptr;
  OwnStrand strand_{*this};
  PostNode node_;
  std::exception_ptr exception_;
  Stage stage_ = Stage::waiting;
};

/// Replaces void by a value, so that results can be kept next to each other.
template <class T>
using Kept = std::conditional_t<std::is_void_v<T>, std::monostate, std::remove_cvref_t<T>>;

/// A member with its awaitable and, in the end, its result.
template <class Inner>
class Member : public MemberBase {
 public:
  using T = await_result_t<Inner>;
  static_assert(require_alignment_of_a_frame<Kept<T>>());

  explicit Member(Inner&& inner) : inner_(std::move(inner)), awaiter_(awaiter_of(std::move(inner_))) {}

  [[nodiscard]] bool has_result() const noexcept { return result_.has_value(); }
  [[nodiscard]] Kept<T>& result() noexcept { return *result_; }

 private:
  std::coroutine_handle<> await_it(std::coroutine_handle<PromiseBase> awaiting) override {
    return begin_await(awaiter_, awaiting);
  }
  void take_result() override {
    if constexpr (std::is_void_v<T>) {
      awaiter_.await_resume();
      result_.emplace();
    } else {
      result_.emplace(awaiter_.await_resume());
    }
  }

  Inner inner_;
  awaiter_t<Inner> awaiter_;
  std::optional<Kept<T>> result_;
};

}  // namespace corering::detail
