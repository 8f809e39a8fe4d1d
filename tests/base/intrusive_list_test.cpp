/// intrusive_list_test.cpp — first in, first out, and leaving from anywhere.
#include <memory>
#include <vector>

#include <corering/base/intrusive_list.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

struct Number : ListNode {
  explicit Number(int value) noexcept : value(value) {}
  int value;
};

std::vector<int> values(IntrusiveList<Number>& list) {
  std::vector<int> all;
  list.for_each([&](const Number& number) { all.push_back(number.value); });
  return all;
}

TEST(IntrusiveList, keeps_the_order) {
  Number one(1), two(2), three(3);
  IntrusiveList<Number> list;
  EXPECT_TRUE(list.empty());
  for (Number* const number : {&one, &two, &three}) list.push_back(*number);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(&list.pop_front(), &one);
  EXPECT_FALSE(one.is_linked());
  list.push_back(one);
  EXPECT_EQ(values(list), (std::vector<int>{2, 3, 1}));
  for (Number* const number : {&three, &one, &two}) number->unlink();
  EXPECT_TRUE(list.empty());
  two.unlink();
  EXPECT_TRUE(list.empty()) << "leaving twice is nothing";
}

TEST(IntrusiveList, what_is_destroyed_leaves_it) {
  IntrusiveList<Number> list;
  Number one(1), three(3);
  list.push_back(one);
  auto two = std::make_unique<Number>(2);
  list.push_back(*two);
  list.push_back(three);
  two.reset();
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
  one.unlink();
  three.unlink();
}

TEST(IntrusiveList, the_one_that_is_visited_may_leave) {
  IntrusiveList<Number> list;
  Number one(1), two(2), three(3);
  for (Number* const number : {&one, &two, &three}) list.push_back(*number);
  list.for_each([](Number& number) {
    if (number.value == 2) number.unlink();
  });
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
  one.unlink();
  three.unlink();
}

}  // namespace
}  // namespace corering
