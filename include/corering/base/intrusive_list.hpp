/// intrusive_list.hpp — a list of objects that live elsewhere; adding and removing never allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include <corering/base/assert.hpp>

namespace corering {

/// A base for objects that can be in one list at a time. It leaves the list when it is destroyed.
/// thread: one thread at a time uses the node and its list
class ListNode {
 public:
  ListNode() noexcept = default;
  ListNode(ListNode&&) = delete;
  ~ListNode() { unlink(); }

  [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }

  /// Leaves the list that it is in. Does nothing if it is in no list.
  void unlink() noexcept {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 protected:
  /// The caller knows that this is in no list. The call tells the compiler so.
  void assume_unlinked() const noexcept {
    if (next_ != nullptr) __builtin_unreachable();
  }

 private:
  template <class T>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

/// A list that is first in, first out. It owns nothing: its items must leave before they or the list are
/// destroyed.
template <class T>
class IntrusiveList {
 public:
  IntrusiveList() noexcept { clear(); }
  IntrusiveList(IntrusiveList&&) = delete;
  ~IntrusiveList() = default;

  [[nodiscard]] bool empty() const noexcept { return ends_.next_ == &ends_; }
  [[nodiscard]] T& front() noexcept { return static_cast<T&>(*ends_.next_); }

  void push_back(T& item) noexcept {
    ListNode& node = item;
    CORERING_DEBUG_ASSERT(!node.is_linked(), "a node is in one list at a time");
    link_between(node, *ends_.previous_, ends_);
  }

  T& pop_front() noexcept {
    CORERING_DEBUG_ASSERT(!empty(), "only a list with something in it has a front");
    T& first = front();
    static_cast<ListNode&>(first).unlink();
    return first;
  }

  /// Returns the first item for which `is_wanted` is true, and makes it the front; or null. So who asks for
  /// the same again finds it at once.
  template <class Question>
  [[nodiscard]] T* bring_to_front(Question&& is_wanted) {
    for (ListNode* node = ends_.next_; node != &ends_; node = node->next_) {
      auto& item = static_cast<T&>(*node);
      if (!is_wanted(item)) continue;
      node->unlink();
      link_between(*node, ends_, *ends_.next_);
      return &item;
    }
    return nullptr;
  }

  /// Calls `visit` with each item. `visit` may take out the item that it is given, but no other.
  template <class Visit>
  void for_each(Visit&& visit) {
    for_first(SIZE_MAX, visit);
  }
  /// The same with the first `most` of them.
  template <class Visit>
  void for_first(std::size_t most, Visit&& visit) {
    for (ListNode* node = ends_.next_; node != &ends_ && most-- > 0;) {
      ListNode* const next = node->next_;
      visit(static_cast<T&>(*node));
      node = next;
    }
  }

 private:
  static void link_between(ListNode& node, ListNode& before, ListNode& after) noexcept {
    node.previous_ = &before;
    node.next_ = &after;
    before.next_ = &node;
    after.previous_ = &node;
  }

  void clear() noexcept { ends_.next_ = ends_.previous_ = &ends_; }

  // It is linked to itself only, so its own destructor changes nothing else.
  ListNode ends_;
};

}  // namespace corering
