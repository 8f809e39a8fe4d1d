/// text_test.cpp — what a terminal and JSON get to see of bytes from outside.
#include "common/text.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tools {
namespace {

TEST(PrintableText, is_valid_utf8_as_it_came) {
  for (const std::string text : {"plain", "grüße", "日本", "🎉", "a \"quote\" and a \\", ""})
    EXPECT_EQ(printable(text), text);
}

TEST(PrintableText, shows_what_a_terminal_obeys_by_its_number) {
  EXPECT_EQ(printable("\x1b[31m\n\t"), "\\x1b[31m\\x0a\\x09");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\x9b") << "C1 in UTF-8";
  EXPECT_EQ(printable("\x9b"), "\\x9b") << "C1 as a byte";
  EXPECT_EQ(printable("a\xe2\x80\xaez"), "a\\u202ez") << "it would turn the line around";
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(PrintableText, shows_bytes_that_are_no_utf8_one_by_one) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut off";
  EXPECT_EQ(printable("\xe2\x82x"), "\\xe2\\x82x") << "cut off by another one";
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "longer than it need be";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "after the last one";
}

TEST(JsonText, keeps_utf8_and_escapes_what_json_must_not_hold) {
  EXPECT_EQ(json_string("grüße 日本 🎉"), "\"grüße 日本 🎉\"");
  EXPECT_EQ(json_string("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(json_string("\n\x1b\x7f\xc2\x9b"), "\"\\u000a\\u001b\\u007f\\u009b\"");
  EXPECT_EQ(json_string("\xe9!"), "\"\xef\xbf\xbd!\"");
}

}  // namespace
}  // namespace tools
