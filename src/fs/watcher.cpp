/// watcher.cpp — inotify's records, one at a time.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <span>

#include <corering/fs/file.hpp>
#include <corering/fs/watcher.hpp>

namespace corering {
namespace {

// inotify(7): a buffer is large enough if it holds one event with any name. This one holds many.
constexpr std::size_t buffer_size = 64 * (sizeof(inotify_event) + NAME_MAX + 1);

/// Returns the record at `at`, and moves `at` to the next one.
WatchEvent take_event(std::span<const std::byte> records, std::size_t& at) {
  inotify_event header;
  std::memcpy(&header, records.data() + at, sizeof header);
  // The name is padded with NULs.
  const auto* const name = reinterpret_cast<const char*>(records.data() + at + sizeof header);
  const std::size_t length = std::min<std::size_t>(header.len, records.size() - at - sizeof header);
  at += sizeof header + length;
  return {.watch = header.wd,
          .what = header.mask,
          .pair = header.cookie,
          .name = std::string(name, ::strnlen(name, length))};
}

}  // namespace

Result<Watcher> Watcher::create() {
  Fd fd(::inotify_init1(IN_CLOEXEC));
  if (!fd.is_open()) return failure(errno);
  return Watcher(std::move(fd));
}

Result<int> Watcher::add(const std::string& path, std::uint32_t what) {
  if (const Result<void> checked = check_path(path); !checked) return std::unexpected(checked.error());
  const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), what);
  if (watch < 0) return failure(errno);
  return watch;
}

Result<void> Watcher::remove(int watch) noexcept {
  if (::inotify_rm_watch(fd_.get(), watch) != 0) return failure(errno);
  return {};
}

Task<Result<WatchEvent>> Watcher::next() {
  if (end_ - begin_ < sizeof(inotify_event)) {
    buffer_.resize(buffer_size);
    const Result<std::size_t> got = co_await async_read(fd_, buffer_, current_position);
    if (!got) co_return std::unexpected(got.error());
    begin_ = 0;
    end_ = std::min(*got, buffer_.size());
    if (end_ < sizeof(inotify_event)) co_return failure(EIO);
  }
  co_return take_event(std::span(buffer_).first(end_), begin_);
}

}  // namespace corering
