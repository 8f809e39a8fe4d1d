/// histogram_test.cpp — where the buckets begin and end, and what quantiles are made of them.
#include <corering/trace/histogram.hpp>
#include <gtest/gtest.h>

namespace corering::trace {
namespace {

TEST(Histogram, has_a_bucket_for_every_number_and_they_meet) {
  for (std::size_t i = 0; i + 1 < Histogram::buckets; ++i) {
    ASSERT_EQ(Histogram::bucket_of(Histogram::first_of(i)), i);
    ASSERT_EQ(Histogram::bucket_of(Histogram::last_of(i)), i);
    ASSERT_EQ(Histogram::last_of(i) + 1, Histogram::first_of(i + 1));
  }
  EXPECT_EQ(Histogram::bucket_of(UINT64_MAX), Histogram::buckets - 1);
}

TEST(Histogram, is_exact_to_two_percent) {
  for (std::size_t i = 64; i < Histogram::buckets; ++i) {
    const double width = static_cast<double>(Histogram::last_of(i) - Histogram::first_of(i) + 1);
    ASSERT_LE(width / static_cast<double>(Histogram::first_of(i)), 0.02) << i;
  }
}

TEST(Histogram, of_nothing_has_no_quantiles) {
  const Histogram nothing;
  EXPECT_EQ(nothing.count(), 0U);
  EXPECT_EQ(nothing.quantile(0.99), 0U);
}

TEST(Histogram, finds_quantiles) {
  Histogram histogram;
  for (std::uint64_t i = 1; i <= 10'000; ++i) histogram.add(i * 1000);
  EXPECT_EQ(histogram.count(), 10'000U);
  for (const double share : {0.5, 0.9, 0.99, 0.999, 1.0})
    EXPECT_NEAR(static_cast<double>(histogram.quantile(share)), share * 1e7, share * 1e7 * 0.02);
  EXPECT_EQ(Histogram::bucket_of(histogram.quantile(0)), Histogram::bucket_of(1000));
}

TEST(Histogram, adds_another_one) {
  Histogram all, one;
  for (std::uint64_t i = 0; i < 50; ++i) all.add(i);
  for (std::uint64_t i = 50; i < 100; ++i) one.add(i);
  all += one;
  const Histogram copy(all);
  EXPECT_EQ(copy.count(), 100U);
  EXPECT_EQ(copy.quantile(0.25), 24U);
  EXPECT_EQ(copy.at(60), 1U);
}

}  // namespace
}  // namespace corering::trace
