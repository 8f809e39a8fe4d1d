/// cp.cpp — copies a file or a tree, eight files at a time; shows its progress, and compares the copies.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <dirent.h>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

struct Copying {
  BlockingPool& pool;
  std::uint64_t files = 0, bytes = 0;
  bool failed = false;

  void complain(const std::string& path, const std::string& why) {
    failed = true;
    std::fprintf(stderr, "cp: %s: %s\n", path.c_str(), why.c_str());
  }
};

/// Succeeds if both files have the same content.
Task<Result<void>> compare(std::string one, std::string other) {
  const Result<File> first = co_await File::open(one);
  if (!first) co_return std::unexpected(first.error());
  const Result<File> second = co_await File::open(other);
  if (!second) co_return std::unexpected(second.error());
  std::vector<std::byte> a(256 * 1024), b(a.size());
  for (std::uint64_t offset = 0;; offset += a.size()) {
    const Result<std::size_t> got = co_await first->read_at(a, offset);
    const Result<std::size_t> read = co_await second->read_at(b, offset);
    if (!got || !read) co_return std::unexpected(got ? read.error() : got.error());
    if (*got != *read || !std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(*got), b.begin())) {
      co_return failure(EBADMSG);
    }
    if (*got < a.size()) co_return Result<void>();
  }
}

Task<void> copy_one(Copying& copying, std::string from, std::string to) {
  const Result<std::uint64_t> copied = co_await copy_file(from, to);
  if (!copied) {
    copying.complain(from, copied.error().message());
    co_return;
  }
  const Result<void> compared = co_await compare(from, to);
  if (!compared) copying.complain(to, "is not what was copied: " + compared.error().message());
  copying.bytes += *copied;
  if (++copying.files % 16 == 0 && ::isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "%llu files, %llu bytes\r", static_cast<unsigned long long>(copying.files),
                 static_cast<unsigned long long>(copying.bytes));
  }
}

Task<void> copy_tree(Copying& copying, TaskGroup& group, std::string from, std::string to) {
  const Directory source(from), target(to);
  AsyncGenerator<WalkEntry> entries = source.walk(copying.pool);
  for (;;) {
    const std::optional<WalkEntry> entry = co_await entries.next();
    if (!entry) break;
    if (entry->error) {
      copying.complain(source / entry->path, entry->error.message());
    } else if (entry->type == DT_DIR) {
      const Directory below(target / entry->path);
      const Result<void> made = co_await below.create_all();
      if (!made) copying.complain(below.path(), made.error().message());
    } else if (entry->type == DT_REG) {
      (void)co_await group.room();
      group.spawn(copy_one(copying, source / entry->path, target / entry->path));
    } else {
      copying.complain(source / entry->path, "neither a file nor a directory, left out");
    }
  }
}

Task<void> copy(Copying& copying, std::string from, std::string to) {
  struct stat status{};
  if (::stat(from.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
    co_return co_await copy_one(copying, from, to);
  const Directory target(to);
  const Result<void> made = co_await target.create_all();
  if (!made) co_return copying.complain(to, made.error().message());
  const auto body = [&](TaskGroup& group) { return copy_tree(copying, group, from, to); };
  const TaskGroupOptions options{.max_running = 8};
  (void)co_await with_group(body, options);
}

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: cp FROM TO\n", stderr), 2;
  BlockingPool pool;
  Copying copying{pool};
  if (const Result<void> ran = run(copy(copying, argv[1], argv[2])); !ran) {
    return std::fprintf(stderr, "cp: %s\n", ran.error().message().c_str()), 1;
  }
  std::printf("%llu files, %llu bytes\n", static_cast<unsigned long long>(copying.files),
              static_cast<unsigned long long>(copying.bytes));
  return copying.failed ? 1 : 0;
}
