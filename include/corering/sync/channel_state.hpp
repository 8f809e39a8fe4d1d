/// channel_state.hpp — the values in a channel, and the parties that wait at its ends. It knows neither
/// threads nor coroutines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/intrusive_list.hpp>
#include <corering/engine/frame_cache.hpp>

namespace corering {

/// What a channel can carry. A value goes from one party to another, or from a party to the channel, in one
/// step that cannot fail: so no exception can come when one party has been served and the other has not.
template <class T>
concept ChannelValue = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>;

namespace detail {

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
  static_assert(require_alignment_of_a_frame<T>());
  static_assert(ChannelValue<T>,
                "a channel's values must have a move constructor and a destructor that are noexcept, because "
                "a hand-over must not fail half way: declare them noexcept, or send std::unique_ptr<T>");

 public:
  using Party = ChannelParty<T>;
  enum class Outcome : bool { done, must_wait };

  explicit ChannelState(std::size_t capacity)
      : capacity_(capacity), slots_(std::make_unique<std::optional<T>[]>(capacity)) {}
  ChannelState(ChannelState&&) = delete;

  /// Takes the sender's value if there is a receiver or room for it. If the channel is closed, tells the
  /// sender so.
  [[nodiscard]] Outcome send(Party& sender, Party*& woken) noexcept {
    if (closed_) {
      sender.closed = true;
    } else if (!receivers_.empty()) {
      woken = &receivers_.pop_front();
      woken->value.emplace(std::move(*sender.value));
      woken->number = next_number_++;
    } else if (count_ < capacity_) {
      push(std::move(*sender.value));
    } else {
      return Outcome::must_wait;
    }
    return Outcome::done;
  }

  /// Gives the receiver the oldest value. If the channel is closed and empty, tells the receiver so.
  [[nodiscard]] Outcome receive(Party& receiver, Party*& woken) noexcept {
    if (!returned_.empty()) {
      receiver.value.emplace(std::move(returned_.front().value));
      returned_.pop_front();
    } else if (count_ > 0) {
      pop(receiver);
      if (!senders_.empty()) {
        woken = &senders_.pop_front();
        push(std::move(*woken->value));
      }
    } else if (!senders_.empty()) {
      woken = &senders_.pop_front();
      receiver.value.emplace(std::move(*woken->value));
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
  /// no memory: the program ends (docs/MEMORY.md)
  void give_back(Party& receiver, Party*& woken) noexcept {
    if (!receivers_.empty()) {
      woken = &receivers_.pop_front();
      woken->value.emplace(std::move(*receiver.value));
      woken->number = receiver.number;
    } else {
      const auto later = std::ranges::find_if(
          returned_, [&receiver](const Returned& other) { return other.number > receiver.number; });
      keep_returned(later, receiver);
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

  /// Returns true if a send would not have to wait.
  [[nodiscard]] bool takes_values() const noexcept {
    return !closed_ && (!receivers_.empty() || count_ < capacity_);
  }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_ + returned_.size(); }

 private:
  struct Returned {
    Returned(std::uint64_t its_number, T&& its_value) noexcept
        : number(its_number), value(std::move(its_value)) {}
    std::uint64_t number;
    T value;
  };

  void keep_returned(std::list<Returned>::const_iterator before, Party& receiver) noexcept {
    try {
      returned_.emplace(before, receiver.number, std::move(*receiver.value));
    } catch (const std::bad_alloc&) {
      end_without_memory("the value of a cancelled receive");
    }
  }

  void push(T&& value) noexcept {
    CORERING_DEBUG_ASSERT(count_ < capacity_, "a value goes into a channel that has room");
    slots_[(first_ + count_) % capacity_].emplace(std::move(value));
    ++count_;
  }
  void pop(Party& receiver) noexcept {
    std::optional<T>& slot = slots_[first_];
    CORERING_DEBUG_ASSERT(slot && !receiver.value, "a value moves from a full place to an empty one");
    receiver.value.emplace(std::move(*slot));
    slot.reset();
    first_ = (first_ + 1) % capacity_;
    --count_;
  }

  const std::size_t capacity_;
  std::unique_ptr<std::optional<T>[]> slots_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool closed_ = false;
  std::uint64_t next_number_ = 0;
  std::list<Returned> returned_;  // from receivers that were cancelled; older than the values in the slots
  IntrusiveList<Party> receivers_;
  IntrusiveList<Party> senders_;
};

}  // namespace detail
}  // namespace corering
