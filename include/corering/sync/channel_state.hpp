/// channel_state.hpp — the values in a channel, and the parties that wait at its ends. It knows neither
/// threads nor coroutines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <corering/base/intrusive_list.hpp>

namespace corering::detail {

/// One send or receive: it has a value to give, or room for one. It is in line while it waits.
template <class T>
class ChannelParty : public ListNode {
 public:
  std::optional<T> value;
  std::uint64_t number = 0;  ///< the order in which waiting receivers were served
  bool closed = false;       ///< the channel was closed before its turn came
};

/// Values go first in, first out, and so do parties. A function that lets another party go on hands it out as
/// `woken`: that party is out of line and served, and the caller resumes it.
template <class T>
class ChannelState {
 public:
  using Party = ChannelParty<T>;
  enum class Outcome : bool { done, must_wait };

  explicit ChannelState(std::size_t capacity)
      : capacity_(capacity), slots_(std::make_unique<std::optional<T>[]>(capacity)) {}
  ChannelState(ChannelState&&) = delete;

  /// Takes the sender's value if there is a receiver or room for it. If the channel is closed, tells the
  /// sender so.
  [[nodiscard]] Outcome send(Party& sender, Party*& woken) {
    if (closed_) {
      sender.closed = true;
    } else if (!receivers_.empty()) {
      woken = &receivers_.pop_front();
      woken->value = std::move(sender.value);
      woken->number = next_number_++;
    } else if (count_ < capacity_) {
      push(std::move(*sender.value));
    } else {
      return Outcome::must_wait;
    }
    return Outcome::done;
  }

  /// Gives the receiver the oldest value. If the channel is closed and empty, tells the receiver so.
  [[nodiscard]] Outcome receive(Party& receiver, Party*& woken) {
    if (!returned_.empty()) {
      receiver.value = std::move(returned_.front().value);
      returned_.pop_front();
    } else if (count_ > 0) {
      receiver.value = pop();
      if (!senders_.empty()) {
        woken = &senders_.pop_front();
        push(std::move(*woken->value));
      }
    } else if (!senders_.empty()) {
      woken = &senders_.pop_front();
      receiver.value = std::move(woken->value);
    } else if (closed_) {
      receiver.closed = true;
    } else {
      return Outcome::must_wait;
    }
    return Outcome::done;
  }

  void line_up_sender(Party& sender) noexcept { senders_.push_back(sender); }
  void line_up_receiver(Party& receiver) noexcept { receivers_.push_back(receiver); }

  /// Takes back the value of a receiver that has been served but was cancelled. The value goes to the next
  /// receiver, or to the front of the channel, where such values lie in the order in which they were sent.
  /// Ends the program when there is no memory for that.
  void give_back(Party& receiver, Party*& woken) {
    if (!receivers_.empty()) {
      woken = &receivers_.pop_front();
      woken->value = std::move(receiver.value);
      woken->number = receiver.number;
    } else {
      const auto later = std::ranges::find_if(
          returned_, [&receiver](const Returned& other) { return other.number > receiver.number; });
      returned_.insert(later, Returned{receiver.number, std::move(*receiver.value)});
    }
    receiver.value.reset();
  }

  /// Lets no more values in; those that are in it still come out. Tells the parties in line.
  template <class Wake>
  void close(Wake&& wake) {
    closed_ = true;
    for (IntrusiveList<Party>* line : {&receivers_, &senders_}) {
      while (!line->empty()) {
        Party& party = line->pop_front();
        party.closed = true;
        wake(party);
      }
    }
  }

  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_ + returned_.size(); }

 private:
  struct Returned {
    std::uint64_t number;
    T value;
  };

  void push(T&& value) {
    slots_[(first_ + count_) % capacity_] = std::move(value);
    ++count_;
  }
  std::optional<T> pop() {
    std::optional<T> value = std::move(slots_[first_]);
    slots_[first_].reset();
    first_ = (first_ + 1) % capacity_;
    --count_;
    return value;
  }

  const std::size_t capacity_;
  std::unique_ptr<std::optional<T>[]> slots_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool closed_ = false;
  std::uint64_t next_number_ = 0;
  std::deque<Returned> returned_;  // from receivers that were cancelled; older than the values in the slots
  IntrusiveList<Party> receivers_;
  IntrusiveList<Party> senders_;
};

}  // namespace corering::detail
