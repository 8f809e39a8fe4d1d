/// shared_channel.hpp — values from any thread to any thread.
#pragma once

#include <cerrno>
#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include <corering/engine/queued_wait.hpp>
#include <corering/engine/shared_wait.hpp>
#include <corering/sync/channel_state.hpp>

namespace corering {

/// A Channel for any number of workers and plain threads. Coroutines resume on their own worker. The receiver
/// of the last value may not destroy the channel before the sender's call has returned.
template <class T>
class SharedChannel {
  using State = detail::ChannelState<T>;
  using Party = detail::ChannelParty<T>;
  using Outcome = typename State::Outcome;

  class Waiting;
  class Blocked;

 public:
  explicit SharedChannel(std::size_t capacity) : state_(capacity) {}

  class Sender;
  class Receiver;
  class SendOperation;

  /// For coroutines, on a worker: the same as Channel::send() and Channel::receive().
  SendOperation send(T value) { return SendOperation(*this, std::move(value)); }
  auto receive() noexcept { return WaitOperation<Receiver, SharedChannel>(*this); }

  /// For plain threads: these do the same, but they block. Only the other end or close() wakes them. When the
  /// worker stops where the other end was, nothing wakes them, so whoever leaves last must close the channel.
  Result<void> send_blocking(T value);
  Result<T> receive_blocking();

  /// From any thread: the same as Channel::try_send() and Channel::try_receive(), which do not wait.
  [[nodiscard]] bool try_send(T& value);
  [[nodiscard]] std::optional<T> try_receive();

  /// From any thread: the same as Channel::close().
  void close();

 private:
  template <class Try>
  Outcome attempt(Try&& action) {
    Party* woken = nullptr;
    const Outcome outcome = locked(std::forward<Try>(action), woken);
    if (woken != nullptr) static_cast<Waiting*>(woken)->wake();
    return outcome;
  }
  template <class Try>
  Outcome locked(Try&& action, Party*& woken) {
    const std::lock_guard lock(mutex_);
    return action(woken);
  }

  Outcome send_now(Party& sender) {
    return attempt([&](Party*& woken) { return state_.send(sender, woken); });
  }
  Outcome receive_now(Party& receiver) {
    return attempt([&](Party*& woken) { return state_.receive(receiver, woken); });
  }
  // These get in line if the attempt must wait, without a gap in between.
  Outcome send_or_line_up(Party& sender) {
    return attempt([&](Party*& woken) {
      const Outcome outcome = state_.send(sender, woken);
      if (outcome == Outcome::must_wait) state_.line_up_sender(sender);
      return outcome;
    });
  }
  Outcome receive_or_line_up(Party& receiver) {
    return attempt([&](Party*& woken) {
      const Outcome outcome = state_.receive(receiver, woken);
      if (outcome == Outcome::must_wait) state_.line_up_receiver(receiver);
      return outcome;
    });
  }

  std::mutex mutex_;
  State state_;
};

/// Holds what all waiting ends of a shared channel have in common.
template <class T>
class SharedChannel<T>::Waiting : public SharedWait, protected Party {
 public:
  explicit Waiting(SharedChannel& channel) noexcept : channel_(channel) {}

 protected:
  friend class SharedChannel;

  Wait* cancel(const CancelCause&) noexcept override {
    if (step_out()) resume_cancelled();
    return nullptr;
  }
  bool step_out() noexcept {
    const std::lock_guard lock(channel_.mutex_);
    if (!Party::is_linked()) return false;
    Party::unlink();
    return true;
  }
  Result<void> outcome() noexcept {
    const Result<void> waited = finish();
    if (waited && this->closed) return failure(EPIPE);
    return waited;
  }

  SharedChannel& channel_;
};

template <class T>
class [[nodiscard]] SharedChannel<T>::Sender final : public Waiting {
 public:
  Sender(SharedChannel& channel, T&& value) : Waiting(channel) { this->value.emplace(std::move(value)); }

  bool await_ready() noexcept { return this->channel_.send_now(*this) == Outcome::done; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (!this->suspend(coroutine, promise_of(coroutine))) return;
    if (this->channel_.send_or_line_up(*this) == Outcome::done) this->wake();
  }
  [[nodiscard]] Result<void> await_resume() noexcept { return this->outcome(); }
  void describe(std::string& text) const override { text += "room in a shared channel"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override {
    return trace::WaitFor::channel_room;
  }
};

template <class T>
class [[nodiscard]] SharedChannel<T>::Receiver final : public Waiting {
 public:
  explicit Receiver(SharedChannel& channel) noexcept : Waiting(channel) {}

  bool await_ready() noexcept { return this->channel_.receive_now(*this) == Outcome::done; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (!this->suspend(coroutine, promise_of(coroutine))) return;
    if (this->channel_.receive_or_line_up(*this) == Outcome::done) this->wake();
  }
  [[nodiscard]] Result<T> await_resume() noexcept {
    if (const Result<void> got = this->outcome(); !got) return std::unexpected(got.error());
    return std::move(*this->value);
  }
  void describe(std::string& text) const override { text += "a value in a shared channel"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::channel; }

 private:
  // If it has been served and is on its way, its value stays in the channel.
  Wait* cancel(const CancelCause&) noexcept override {
    if (!this->waits()) return nullptr;
    if (this->step_out()) {
      this->resume_cancelled();
      return nullptr;
    }
    if (!this->value) return nullptr;  // closed, or given back before
    (void)this->channel_.attempt([this](Party*& woken) {
      this->channel_.state_.give_back(*this, woken);
      return Outcome::done;
    });
    this->turn_into_cancelled();
    return nullptr;
  }
};

template <class T>
class [[nodiscard("it does nothing until it is awaited")]] SharedChannel<T>::SendOperation {
 public:
  SendOperation(SharedChannel& channel, T&& value) : channel_(&channel), value_(std::move(value)) {}
  Sender operator co_await() && { return Sender(*channel_, std::move(value_)); }

 private:
  SharedChannel* channel_;
  T value_;
};

/// Waits at one end of the channel for a plain thread.
template <class T>
class SharedChannel<T>::Blocked final : public Waiting {
 public:
  explicit Blocked(SharedChannel& channel) noexcept : Waiting(channel) { this->begin_block(); }
  ~Blocked() override { this->end_block(); }

  Result<void> send(T&& value) {
    this->value.emplace(std::move(value));
    return answer(this->channel_.send_or_line_up(*this));
  }
  Result<T> receive() {
    if (const Result<void> got = answer(this->channel_.receive_or_line_up(*this)); !got) {
      return std::unexpected(got.error());
    }
    return std::move(*this->value);
  }
  void describe(std::string&) const override {}

 private:
  Result<void> answer(Outcome outcome) noexcept {
    if (outcome == Outcome::must_wait) (void)this->block_until(TimePoint::max());
    if (this->closed) return failure(EPIPE);
    return {};
  }
};

template <class T>
Result<void> SharedChannel<T>::send_blocking(T value) {
  return Blocked(*this).send(std::move(value));
}
template <class T>
Result<T> SharedChannel<T>::receive_blocking() {
  return Blocked(*this).receive();
}

template <class T>
bool SharedChannel<T>::try_send(T& value) {
  return attempt([&](Party*& woken) {
           if (!state_.takes_values()) return Outcome::must_wait;
           Party sender;
           sender.value.emplace(std::move(value));
           return state_.send(sender, woken);
         }) == Outcome::done;
}
template <class T>
std::optional<T> SharedChannel<T>::try_receive() {
  Party receiver;
  (void)receive_now(receiver);
  return std::move(receiver.value);
}

template <class T>
void SharedChannel<T>::close() {
  SharedWait::Chain woken;
  {
    const std::lock_guard lock(mutex_);
    state_.close([&woken](Party& party) { woken.add(static_cast<Waiting&>(party)); });
  }
  woken.wake_all();
}

}  // namespace corering
