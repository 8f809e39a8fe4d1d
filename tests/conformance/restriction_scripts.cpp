/// restriction_scripts.cpp — a ring that is given a list of what it may do, before it is enabled.
#include <cerrno>
#include <vector>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

using uapi::Restriction;

class Restrictions : public Conformance {
 protected:
  [[nodiscard]] static Restriction allow(Opcode opcode) {
    return {.what = Restriction::What::sqe_op, .value = static_cast<std::uint8_t>(opcode)};
  }
  [[nodiscard]] static Restriction allow_registration(std::uint8_t number) {
    return {.what = Restriction::What::register_op, .value = number};
  }
  [[nodiscard]] static Restriction flags(Restriction::What what, std::uint32_t value) {
    return {.what = what, .value = static_cast<std::uint8_t>(value)};
  }

  int restrict(std::vector<Restriction> list) {
    return disabled.registers(uapi::register_restrictions, list.data(), static_cast<unsigned>(list.size()));
  }
  int enable() { return disabled.registers(uapi::register_enable_rings, nullptr, 0); }
  void restrict_and_enable(std::vector<Restriction> list) {
    ASSERT_EQ(restrict(std::move(list)), 0);
    ASSERT_EQ(enable(), 0);
  }

  /// Another ring than that of the usual scripts.
  Script disabled{kernel(), {.flags = script.params().flags | uapi::setup_r_disabled}};
};
SCRIPTS_OF(Restrictions);

TEST_P(Restrictions, come_before_the_ring_is_enabled_and_once) {
  COMPARED_WITH_LINUX_6_18;
  EXPECT_EQ(disabled.enter(), -EBADFD);
  EXPECT_EQ(restrict({allow(Opcode::nop)}), 0);
  EXPECT_EQ(restrict({allow(Opcode::nop)}), -EBUSY);
  EXPECT_EQ(enable(), 0);
  EXPECT_EQ(enable(), -EACCES);  // it is not in the list
  std::vector<Restriction> list = {allow(Opcode::nop)};
  EXPECT_EQ(script.registers(uapi::register_restrictions, list.data(), 1), -EBADFD);
}

TEST_P(Restrictions, let_an_opcode_pass_that_was_given_and_no_other) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop), allow(Opcode::async_cancel)});
  const Pair pair = outside.socket_pair();
  disabled.submit({nop(1)});
  disabled.expect({{1, 0}});
  disabled.submit({send(2, pair.ours, "hello")});
  disabled.expect({{2, -EACCES}});
}

TEST_P(Restrictions, are_told_of_once_by_a_zero_copy_send) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop)});
  const Pair pair = outside.tcp_pair();
  disabled.submit({about(1, Opcode::send_zc, pair.ours, "hello", 5)});
  disabled.expect({{1, -EACCES}});
  disabled.expect_silence();
}

TEST_P(Restrictions, end_a_chain_before_it_has_begun) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop), flags(Restriction::What::sqe_flags_allowed, uapi::sqe_io_link)});
  disabled.submit({nop(1).linked(), request(2, Opcode::socket)});
  disabled.expect({{1, -ECANCELED}, {2, -EACCES}});
}

TEST_P(Restrictions, let_no_flag_pass_unless_it_was_given) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop), flags(Restriction::What::sqe_flags_allowed, uapi::sqe_async)});
  disabled.submit({nop(1).async(), nop(2).skipping(), nop(3)});
  disabled.expect_in_any_order({{1, 0}, {2, -EACCES}, {3, 0}});
}

TEST_P(Restrictions, ask_for_flags) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop), flags(Restriction::What::sqe_flags_required, uapi::sqe_async)});
  disabled.submit({nop(1), nop(2).async()});
  disabled.expect_in_any_order({{1, -EACCES}, {2, 0}});
}

TEST_P(Restrictions, refuse_a_registration_that_was_not_given) {
  COMPARED_WITH_LINUX_6_18;
  restrict_and_enable({allow(Opcode::nop), allow_registration(uapi::register_files2)});
  uapi::RsrcRegister wish{.count = 4, .flags = uapi::rsrc_register_sparse};
  EXPECT_EQ(disabled.registers(uapi::register_files2, &wish, sizeof wish), 0);
  EXPECT_EQ(disabled.registers(uapi::unregister_files, nullptr, 0), -EACCES);
}

TEST_P(Restrictions, do_not_hold_before_the_ring_is_enabled) {
  COMPARED_WITH_LINUX_6_18;
  ASSERT_EQ(restrict({allow(Opcode::nop)}), 0);
  uapi::RsrcRegister wish{.count = 4, .flags = uapi::rsrc_register_sparse};
  EXPECT_EQ(disabled.registers(uapi::register_files2, &wish, sizeof wish), 0);
}

TEST_P(Restrictions, of_what_nobody_knows_are_refused_as_a_whole) {
  COMPARED_WITH_LINUX_6_18;
  EXPECT_EQ(restrict({allow(Opcode::nop), allow(static_cast<Opcode>(250))}), -EINVAL);
  EXPECT_EQ(restrict({allow_registration(200)}), -EINVAL);
  EXPECT_EQ(restrict({flags(static_cast<Restriction::What>(77), 0)}), -EINVAL);
  restrict_and_enable({allow(Opcode::close)});
  disabled.submit({nop(1)});
  disabled.expect({{1, -EACCES}});
}

}  // namespace
}  // namespace corering::conformance
