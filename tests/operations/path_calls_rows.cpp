/// path_calls_rows.cpp — the operations of path_calls.hpp: that each works, and how it fails.
#include <sys/xattr.h>

#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows path_calls_rows({
    {"OPENAT",
     [](Stage& s) -> Outcome {
       const Result<Fd> opened = co_await async_openat(AT_FDCWD, s.path.c_str(), O_RDONLY);
       if (!opened) co_return opened.error();
       EXPECT_EQ(sys::fcntl(opened->get(), F_GETFD), FD_CLOEXEC);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_openat(AT_FDCWD, s.none.c_str(), O_RDONLY)); },
     std::errc::no_such_file_or_directory},
    {"OPENAT (direct)",
     [](Stage& s) { return opens_directly(s, async_openat(*s.table, AT_FDCWD, s.path.c_str(), O_RDONLY)); },
     [](Stage& s) { return error_of(async_openat(*s.table, AT_FDCWD, s.none.c_str(), O_RDONLY)); },
     std::errc::no_such_file_or_directory},
    {"OPENAT2",
     [](Stage& s) -> Outcome {
       const Fd top(sys::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
       co_return co_await error_of(async_openat2(top.get(), "file", beneath));
     },
     [](Stage& s) -> Outcome {
       const Fd top(sys::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
       co_return co_await error_of(async_openat2(top.get(), "../..", beneath));
     },
     std::errc::cross_device_link},
    {"OPENAT2 (direct)",
     [](Stage& s) -> Outcome {
       const Fd top(sys::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
       co_return co_await opens_directly(s, async_openat2(*s.table, top.get(), "file", beneath));
     },
     [](Stage& s) { return error_of(async_openat2(*s.table, AT_FDCWD, s.none.c_str(), open_how{})); },
     std::errc::no_such_file_or_directory},
    {"STATX",
     [](Stage& s) -> Outcome {
       struct statx status{};
       const Result<void> known = co_await async_statx(AT_FDCWD, s.path.c_str(), 0, STATX_SIZE, status);
       if (!known) co_return known.error();
       EXPECT_EQ(status.stx_size, 10U);
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       struct statx status{};
       co_return co_await error_of(async_statx(AT_FDCWD, s.none.c_str(), 0, STATX_SIZE, status));
     },
     std::errc::no_such_file_or_directory},
    {"UNLINKAT",
     [](Stage& s) -> Outcome {
       const Result<void> gone = co_await async_unlinkat(AT_FDCWD, s.path.c_str());
       EXPECT_FALSE(s.exists("file"));
       co_return gone ? fine : gone.error();
     },
     [](Stage& s) { return error_of(async_unlinkat(AT_FDCWD, s.none.c_str())); },
     std::errc::no_such_file_or_directory},
    {"RENAMEAT",
     [](Stage& s) -> Outcome {
       const Result<void> moved =
           co_await async_renameat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.none.c_str(), RENAME_NOREPLACE);
       EXPECT_TRUE(s.exists("none"));
       co_return moved ? fine : moved.error();
     },
     [](Stage& s) {
       return error_of(async_renameat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.path.c_str(), RENAME_NOREPLACE));
     },
     std::errc::file_exists},
    {"MKDIRAT",
     [](Stage& s) -> Outcome {
       const Result<void> made = co_await async_mkdirat(AT_FDCWD, s.none.c_str(), 0700);
       EXPECT_TRUE(is_directory(s.none));
       co_return made ? fine : made.error();
     },
     [](Stage& s) { return error_of(async_mkdirat(AT_FDCWD, s.path.c_str(), 0700)); },
     std::errc::file_exists},
    {"SYMLINKAT",
     [](Stage& s) -> Outcome {
       const Result<void> made = co_await async_symlinkat("file", AT_FDCWD, s.none.c_str());
       EXPECT_EQ(std::filesystem::read_symlink(s.none), "file");
       co_return made ? fine : made.error();
     },
     [](Stage& s) { return error_of(async_symlinkat("x", AT_FDCWD, s.path.c_str())); },
     std::errc::file_exists},
    {"LINKAT",
     [](Stage& s) -> Outcome {
       const Result<void> made = co_await async_linkat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.none.c_str());
       EXPECT_EQ(links_of(s.path), 2U);
       co_return made ? fine : made.error();
     },
     [](Stage& s) { return error_of(async_linkat(AT_FDCWD, s.none.c_str(), AT_FDCWD, s.path.c_str())); },
     std::errc::no_such_file_or_directory},
    {"FSETXATTR",
     [](Stage& s) -> Outcome {
       const Result<void> set = co_await async_fsetxattr(s.file.get(), "user.a", bytes_of("value"));
       std::array<char, 8> value{};
       EXPECT_EQ(::getxattr(s.path.c_str(), "user.a", value.data(), value.size()), 5);
       co_return set ? fine : set.error();
     },
     [](Stage& s) { return error_of(async_fsetxattr(s.file.get(), "user.a", bytes_of("v"), XATTR_REPLACE)); },
     std::errc::no_message_available},
    {"SETXATTR",
     [](Stage& s) -> Outcome {
       const Result<void> set = co_await async_setxattr(s.path.c_str(), "user.b", bytes_of("value"));
       std::array<char, 8> value{};
       EXPECT_EQ(::getxattr(s.path.c_str(), "user.b", value.data(), value.size()), 5);
       co_return set ? fine : set.error();
     },
     [](Stage& s) { return error_of(async_setxattr(s.none.c_str(), "user.a", bytes_of("v"))); },
     std::errc::no_such_file_or_directory},
    {"FGETXATTR",
     [](Stage& s) -> Outcome {
       EXPECT_EQ(::setxattr(s.path.c_str(), "user.c", "value", 5, 0), 0);
       const Result<std::size_t> size = co_await async_fgetxattr(s.file.get(), "user.c", s.buffer);
       if (!size) co_return size.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*size)), "value");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_fgetxattr(s.file.get(), "user.none", s.buffer)); },
     std::errc::no_message_available},
    {"GETXATTR",
     [](Stage& s) -> Outcome {
       EXPECT_EQ(::setxattr(s.path.c_str(), "user.d", "value", 5, 0), 0);
       const Result<std::size_t> size = co_await async_getxattr(s.path.c_str(), "user.d", {});
       if (!size) co_return size.error();
       EXPECT_EQ(*size, 5U);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_getxattr(s.none.c_str(), "user.d", s.buffer)); },
     std::errc::no_such_file_or_directory},
});

}  // namespace
}  // namespace corering::test
