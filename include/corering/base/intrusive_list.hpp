/// intrusive_list.hpp — a list of things that live elsewhere; putting in and taking out never allocates.
#pragma once

#include <cstddef>

namespace corering {

/// What can be in one list at a time. Leaves it when destroyed. One thread at a time, as the list itself.
class ListNode {
 public:
  ListNode() noexcept = default;
  ListNode(ListNode&&) = delete;
  ~ListNode() { unlink(); }

  [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }

  /// Leaves whatever list it is in, or does nothing.
  void unlink() noexcept {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 protected:
  /// The caller knows that it is in no list: the compiler may know it too.
  void assume_unlinked() const noexcept {
    if (next_ != nullptr) __builtin_unreachable();
  }

 private:
  template <class T>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

/// First in, first out. Owns nothing: what is in it must leave before either is destroyed.
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
    node.previous_ = ends_.previous_;
    node.next_ = &ends_;
    ends_.previous_->next_ = &node;
    ends_.previous_ = &node;
  }

  T& pop_front() noexcept {
    T& first = front();
    static_cast<ListNode&>(first).unlink();
    return first;
  }

  /// Calls `visit` with each; it may take out the one it is given, and no other.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (ListNode* node = ends_.next_; node != &ends_;) {
      ListNode* const next = node->next_;
      visit(static_cast<T&>(*node));
      node = next;
    }
  }

 private:
  void clear() noexcept { ends_.next_ = ends_.previous_ = &ends_; }

  // Linked to itself, so its own destructor has nothing to do.
  ListNode ends_;
};

}  // namespace corering
