/// channel.hpp — values from coroutine to coroutine, on one worker.
#pragma once

#include <cerrno>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include <corering/engine/queued_wait.hpp>
#include <corering/sync/channel_state.hpp>

namespace corering {

/// Holds up to `capacity` values; with 0 every send meets a receive. Values go first in, first out, and so do
/// the coroutines that wait. It allocates when it is made, and later only to take back the value of a
/// cancelled receive. Nobody may wait when it is destroyed.
/// value: its move constructor and its destructor must be noexcept (ChannelValue); one that throws would
///   leave the other party unserved. Send a std::unique_ptr to a value of another kind
/// thread: one worker, as with Mutex; SharedChannel is for any thread
template <class T>
class Channel {
  using State = detail::ChannelState<T>;
  using Party = detail::ChannelParty<T>;

  class Waiting;

 public:
  explicit Channel(std::size_t capacity) : state_(capacity) {}

  class Sender;
  class Receiver;
  class SendOperation;

  /// Waits until there is room for `value`, or a receiver: Result<void>. If this fails, the value is
  /// destroyed.
  /// suspends: unless there is room or a receiver · resumes: same worker
  /// cancelled: fails with the scope's reason
  /// errors: EPIPE when the channel is closed already, or is closed while this waits
  SendOperation send(T value) { return SendOperation(*this, std::move(value)); }

  /// Waits for a value: Result<T>.
  /// suspends: unless there is a value · resumes: same worker
  /// cancelled: fails with the scope's reason; no value is lost by that, it stays in the channel
  /// errors: EPIPE when the channel is closed and empty
  auto receive() noexcept { return WaitOperation<Receiver, Channel>(*this); }

  /// Sends without waiting. Returns false, and leaves `value` untouched, when there is no room or the channel
  /// is closed.
  [[nodiscard]] bool try_send(T& value) noexcept {
    owner_.check();
    if (!state_.takes_values()) return false;
    Party sender;
    sender.value.emplace(std::move(value));
    Party* woken = nullptr;
    (void)state_.send(sender, woken);
    wake(woken);
    return true;
  }

  /// Receives without waiting. Returns nothing when there is no value.
  [[nodiscard]] std::optional<T> try_receive() noexcept {
    owner_.check();
    Party receiver;
    Party* woken = nullptr;
    if (state_.receive(receiver, woken) == State::Outcome::done) wake(woken);
    return std::move(receiver.value);
  }

  /// Allows no more sends: those that wait, and later ones, fail with EPIPE. Receivers still get what is in
  /// the channel, then EPIPE.
  void close() {
    owner_.check();
    state_.close([this](Party& party) { wake(&party); });
  }

  [[nodiscard]] bool is_closed() const noexcept { return state_.is_closed(); }
  /// Returns how many values are in the channel.
  [[nodiscard]] std::size_t size() const noexcept { return state_.size(); }

 private:
  void wake(Party* party) noexcept {
    if (party != nullptr) static_cast<Waiting*>(party)->served();
  }

  State state_;
  OnOneWorker owner_;
};

/// Holds what Sender and Receiver have in common.
template <class T>
class Channel<T>::Waiting : public SuspendedWait, protected Party {
 public:
  explicit Waiting(Channel& channel) noexcept : channel_(channel) {}
  void served() noexcept { resume_soon(); }

 protected:
  friend class Channel;
  Wait* cancel(const CancelCause&) noexcept override {
    if (!Party::is_linked()) return nullptr;
    Party::unlink();
    resume_cancelled();
    return nullptr;
  }

  /// Returns success, EPIPE, or the scope's reason.
  Result<void> outcome() noexcept {
    const Result<void> waited = finish();
    if (waited && this->closed) return failure(EPIPE);
    return waited;
  }

  Channel& channel_;
};

/// Waits to send. See Channel::send().
template <class T>
class [[nodiscard]] Channel<T>::Sender final : public Waiting {
 public:
  Sender(Channel& channel, T&& value) : Waiting(channel) { this->value.emplace(std::move(value)); }

  bool await_ready() noexcept {
    this->channel_.owner_.check();
    Party* woken = nullptr;
    const bool done = this->channel_.state_.send(*this, woken) == State::Outcome::done;
    this->channel_.wake(woken);
    return done;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (this->suspend(coroutine, promise_of(coroutine))) this->channel_.state_.line_up_sender(*this);
  }
  [[nodiscard]] Result<void> await_resume() noexcept { return this->outcome(); }
  void describe(std::string& text) const override { text += "room in a channel"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override {
    return trace::WaitFor::channel_room;
  }
};

/// Waits to receive. See Channel::receive().
template <class T>
class [[nodiscard]] Channel<T>::Receiver final : public Waiting {
 public:
  explicit Receiver(Channel& channel) noexcept : Waiting(channel) {}

  bool await_ready() noexcept {
    this->channel_.owner_.check();
    Party* woken = nullptr;
    const bool done = this->channel_.state_.receive(*this, woken) == State::Outcome::done;
    this->channel_.wake(woken);
    return done;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (this->suspend(coroutine, promise_of(coroutine))) this->channel_.state_.line_up_receiver(*this);
  }
  [[nodiscard]] Result<T> await_resume() noexcept {
    if (const Result<void> got = this->outcome(); !got) return std::unexpected(got.error());
    return std::move(*this->value);
  }
  void describe(std::string& text) const override { text += "a value in a channel"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::channel; }

 private:
  // If it has been served but has not resumed yet, its value stays in the channel.
  Wait* cancel(const CancelCause& cause) noexcept override {
    if (!this->is_suspended() || !this->value) return Waiting::cancel(cause);
    Party* woken = nullptr;
    this->channel_.state_.give_back(*this, woken);
    this->channel_.wake(woken);
    this->turn_into_cancelled();
    return nullptr;
  }
};

template <class T>
class [[nodiscard("it does nothing until it is awaited")]] Channel<T>::SendOperation {
 public:
  SendOperation(Channel& channel, T&& value) : channel_(&channel), value_(std::move(value)) {}
  Sender operator co_await() && { return Sender(*channel_, std::move(value_)); }

 private:
  Channel* channel_;
  T value_;
};

}  // namespace corering
