/// file_walks_test.cpp — random operations on files and names answer the same on simulated files as on real
/// ones.
#include <array>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/outside.hpp"
#include "conformance/script.hpp"
#include "conformance/walk.hpp"
#include "sim/random.hpp"

namespace corering::conformance {
namespace {

constexpr std::array names = {"a",    "b",   "d",      "d/x",    "d/e",  "d/e/y", "d/",       "a/", "d/.",
                              "d/..", "a/x", "none/x", "d/e/..", "d//x", "d/e/",  "d/e/../x", "b/", "."};
constexpr std::array flags_to_open = {O_RDONLY,
                                      O_WRONLY,
                                      O_RDWR,
                                      O_RDWR | O_CREAT,
                                      O_RDWR | O_CREAT | O_EXCL,
                                      O_WRONLY | O_TRUNC,
                                      O_RDONLY | O_TRUNC,
                                      O_PATH,
                                      O_RDONLY | O_CREAT,
                                      O_RDWR | O_APPEND | O_CREAT,
                                      O_RDWR | O_CREAT | O_TRUNC,
                                      O_RDONLY | O_DIRECTORY,
                                      O_RDONLY | O_CREAT | O_DIRECTORY};

/// Does random operations, and notes what each of them answers.
class FileWalk {
 public:
  FileWalk(Machine& machine, std::uint64_t seed)
      : outside_(machine), script_(machine.kernel()), random_(seed) {
    outside_.keep(step("open", open("", O_RDONLY | O_DIRECTORY)));
  }

  std::string go() {
    for (int i = 0; i < 60; ++i) random_.one_in(2) ? change_names() : use_file();
    return std::move(told_);
  }

 private:
  // ---- names ----

  std::string name() { return names[random_.below(names.size())]; }

  Entry open(const std::string& path, int flags) {
    return openat(1, outside_.path(path), flags | O_CLOEXEC, AT_FDCWD, 0600);
  }
  Entry with_path(Opcode opcode, const std::string& path, std::uint32_t len = 0) {
    return about(1, opcode, AT_FDCWD, outside_.path(path), len);
  }
  Entry with_paths(Opcode opcode, const std::string& from, const std::string& to) {
    Entry entry = with_path(opcode, from, static_cast<std::uint32_t>(AT_FDCWD));
    entry.sqe.off = address(outside_.path(to));
    return entry;
  }

  void change_names() {
    const std::string one = name(), other = name();
    switch (random_.below(6)) {
      case 0:
        return (void)step("mkdir " + one, with_path(Opcode::mkdirat, one, 0700));
      case 1:
        return (void)step("unlink " + one, with_path(Opcode::unlinkat, one));
      case 2:
        return (void)step("rmdir " + one, with_path(Opcode::unlinkat, one).flags(AT_REMOVEDIR));
      case 3:
        return rename(one, other);
      case 4:
        return (void)step("link " + one + " " + other, with_paths(Opcode::linkat, one, other));
      default:
        return look_at("stat " + one, with_path(Opcode::statx, one, STATX_BASIC_STATS));
    }
  }

  /// A directory with something in it cannot be renamed in the simulation (docs/SIMULATION.md): this one is
  /// left alone.
  void rename(const std::string& from, const std::string& to) {
    const bool replaces = !random_.one_in(4);
    if (from.starts_with('d') || to.starts_with('d')) return;
    const std::string what = "rename " + from + " " + to + (replaces ? "" : " (new)");
    step(what, with_paths(Opcode::renameat, from, to).flags(replaces ? 0 : 1));
  }

  // ---- files ----

  void use_file() {
    if (files_.empty() || random_.one_in(3)) return open_one();
    const std::size_t number = random_.below(files_.size());
    const int file = files_[number];
    const std::string which = " file " + std::to_string(number);
    switch (random_.below(5)) {
      case 0:
        return transfer("write" + which, Opcode::write, file);
      case 1:
        return transfer("read" + which, Opcode::read, file);
      case 2:
        return cut(which, file);
      case 3:
        return make_room(which, file);
      default:
        Entry entry = about(1, Opcode::statx, file, "", STATX_BASIC_STATS).flags(AT_EMPTY_PATH);
        return look_at("stat" + which, entry);
    }
  }

  void open_one() {
    const std::string path = name();
    const int flags = flags_to_open[random_.below(flags_to_open.size())];
    const int file = step("open " + path + " " + std::to_string(flags), open(path, flags));
    if (file >= 0) files_.push_back(outside_.keep(file));
  }

  void transfer(const std::string& what, Opcode opcode, int file) {
    std::string& buffer = outside_.room(40);
    buffer.assign(buffer.size(), static_cast<char>('a' + random_.below(26)));
    Entry entry = about(1, opcode, file, buffer.data(), random_.below(buffer.size()));
    entry.sqe.off = random_.one_in(3) ? ~std::uint64_t{0} : random_.below(100);
    step(what + " at " + std::to_string(entry.sqe.off), entry);
    for (char& byte : buffer) byte = byte == '\0' ? '0' : byte;
    told_ += buffer + "\n";
  }

  void cut(const std::string& which, int file) {
    Entry entry = request(1, Opcode::ftruncate, file);
    entry.sqe.off = random_.below(80);
    step("truncate" + which + " to " + std::to_string(entry.sqe.off), entry);
  }

  void make_room(const std::string& which, int file) {
    Entry entry = request(1, Opcode::fallocate, file);
    entry.sqe.off = random_.below(50);
    entry.sqe.addr = random_.below(50);
    entry.sqe.len = random_.one_in(2) ? FALLOC_FL_KEEP_SIZE : 0;
    step("allocate" + which + " " + std::to_string(entry.sqe.off) + " " + std::to_string(entry.sqe.addr),
         entry);
  }

  // ---- both ----

  void look_at(const std::string& what, Entry entry) {
    auto& found = outside_.object<struct statx>();
    entry.sqe.off = address(&found);
    if (step(what, entry) < 0) return;
    const bool is_directory = S_ISDIR(found.stx_mode);
    told_ += is_directory
                 ? "a directory\n"
                 : std::to_string(found.stx_nlink) + " names, " + std::to_string(found.stx_size) + "\n";
  }

  int step(const std::string& what, const Entry& entry) {
    script_.submit({entry});
    const int result = script_.result_of(1);
    const bool opens = what.starts_with("open") && result >= 0;
    told_ += what + ": " + (opens ? "opened" : result_text(result)) + "\n";
    return result;
  }

  Outside outside_;
  Script script_;
  sim::Random random_;
  std::vector<int> files_;
  std::string told_;
};

TEST(SimFileWalks, answer_as_real_files_do) {
  compare_walks(100, [](Machine& machine, std::uint64_t seed) { return FileWalk(machine, seed).go(); });
}

}  // namespace
}  // namespace corering::conformance
