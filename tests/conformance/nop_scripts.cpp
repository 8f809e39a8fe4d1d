/// nop_scripts.cpp — what every request has in common, shown with nops.
#include <cerrno>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

SCRIPTS(Nops);

TEST_P(Nops, answer_zero_with_their_user_data) {
  script.submit({nop(0x123456789abcdef0)});
  script.expect({{0x123456789abcdef0, 0}});
}

TEST_P(Nops, are_answered_in_the_order_in_which_they_were_handed_over) {
  for (std::uint64_t i = 1; i <= 64; ++i) script.push(nop(i));
  EXPECT_EQ(script.enter(), 64);
  for (std::uint64_t i = 1; i <= 64; ++i) script.expect({{i, 0}});
}

TEST_P(Nops, answer_what_they_are_told) {
  NEEDS(Feature::nop_inject_result);
  script.submit({nop_that_answers(1, 42), nop_that_answers(2, -EIO)});
  script.expect({{1, 42}, {2, -EIO}});
}

TEST_P(Nops, can_be_given_to_a_helper) {
  script.submit({nop(1).async()});
  script.expect({{1, 0}});
}

TEST_P(Nops, may_have_a_descriptor_that_does_not_exist) {
  script.submit({request(1, Opcode::nop, 9999)});
  script.expect({{1, 0}});
}

TEST_P(Nops, post_nothing_when_a_success_is_to_be_skipped) {
  script.submit({nop(1).skipping(), nop(2)});
  script.expect({{2, 0}});
}

TEST_P(Nops, post_a_failure_even_when_a_success_is_to_be_skipped) {
  NEEDS(Feature::nop_inject_result);
  script.submit({nop_that_answers(1, -EIO).skipping(), nop(2)});
  script.expect({{1, -EIO}, {2, 0}});
}

TEST_P(Nops, of_an_unknown_opcode_are_invalid_and_stop_nobody) {
  script.submit({nop(1), request(2, static_cast<Opcode>(200)), nop(3)});
  script.expect({{1, 0}, {2, -EINVAL}, {3, 0}});
}

TEST_P(Nops, with_an_unknown_flag_are_invalid) {
  script.submit({nop(1).with(1U << 7), nop(2)});
  script.expect({{1, -EINVAL}, {2, 0}});
}

TEST_P(Nops, that_select_a_buffer_are_refused) {
  script.submit({nop(1).from_group(3), nop(2)});
  script.expect({{1, -EOPNOTSUPP}, {2, 0}});
}

TEST_P(Nops, with_a_personality_that_nobody_registered_are_invalid) {
  Entry as_nobody = nop(1);
  as_nobody.sqe.personality = 77;
  script.submit({as_nobody, nop(2)});
  script.expect({{1, -EINVAL}, {2, 0}});
}

TEST_P(Nops, fill_the_queue_again_and_again) {
  for (std::uint64_t round = 0; round < 10; ++round) {
    for (std::uint64_t i = 0; i < script.params().sq_entries; ++i) script.push(nop(round));
    EXPECT_EQ(script.enter(), static_cast<int>(script.params().sq_entries));
    for (std::uint64_t i = 0; i < script.params().sq_entries; ++i) script.expect({{round, 0}});
  }
}

}  // namespace
}  // namespace corering::conformance
