/// file.cpp — how to open a file, and how to read and write all of something.
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <new>

#include <corering/base/assert.hpp>
#include <corering/base/rest_of.hpp>
#include <corering/fs/file.hpp>
#include <corering/io/path_calls.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

class FileCategory final : public std::error_category {
 public:
  constexpr FileCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.file"; }
  std::string message(int value) const override {
    switch (static_cast<FileErrc>(value)) {
      case FileErrc::path_has_nul:
        return "the path contains a NUL byte";
      case FileErrc::misaligned:
        return "with O_DIRECT, offset, length and memory must be multiples of the file's alignment (use "
               "AlignedBuffer)";
      case FileErrc::no_position:
        return "with O_DIRECT, use read_at() and write_at(): the file has no position of its own";
      case FileErrc::misaligned_end:
        return "with O_DIRECT, the kernel appends only to a file whose size is a multiple of the file's "
               "alignment: write the last block again with write_at()";
    }
    return "unknown";
  }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::invalid_argument;
  }
};

int flags_of(const OpenOptions& options) noexcept {
  int flags = options.read && options.write ? O_RDWR : options.write ? O_WRONLY : O_RDONLY;
  if (options.create) flags |= O_CREAT;
  if (options.exclusive) flags |= O_EXCL;
  if (options.truncate) flags |= O_TRUNC;
  if (options.append) flags |= O_APPEND;
  if (options.direct) flags |= O_DIRECT;
  return flags;
}

std::unexpected<std::error_code> misaligned() noexcept {
  return std::unexpected(make_error_code(FileErrc::misaligned));
}

// Linux has this flag since 6.1, but <sys/stat.h> of Debian 12 does not. On an older kernel, a page is enough
// for every device that exists.
constexpr unsigned statx_dioalign = 0x2000;
constexpr std::size_t usual_alignment = 4096;

std::size_t direct_alignment(int fd) noexcept {
  struct statx status{};
  if (::statx(fd, "", AT_EMPTY_PATH, statx_dioalign, &status) != 0) return usual_alignment;
  if ((status.stx_mask & statx_dioalign) == 0) return usual_alignment;
  // stx_dio_mem_align and stx_dio_offset_align are the bytes 152 to 159 of struct statx.
  std::array<std::uint32_t, 2> dio{};
  std::memcpy(dio.data(), reinterpret_cast<const char*>(&status) + 152, sizeof dio);
  const std::size_t wanted = std::max(dio[0], dio[1]);
  return wanted == 0 ? usual_alignment : wanted;
}

std::size_t rounded_up(std::size_t size, std::size_t alignment) {
  CORERING_ASSERT(std::has_single_bit(alignment), "the alignment of a buffer is a power of two");
  std::size_t with_the_rest = 0;
  if (__builtin_add_overflow(size, alignment - 1, &with_the_rest)) throw std::bad_alloc();
  return with_the_rest & ~(alignment - 1);
}

// As a file knows it: off_t cannot count further.
constexpr std::uint64_t last_offset = std::numeric_limits<off_t>::max();

}  // namespace

const std::error_category& file_category() noexcept {
  static constinit Immortal<FileCategory> category;
  return category.object;
}

Result<void> check_path(const std::string& path) noexcept {
  if (path.find('\0') != std::string::npos) return std::unexpected(make_error_code(FileErrc::path_has_nul));
  return {};
}

Task<Result<File>> File::open(std::string path, OpenOptions options) {
  if (const Result<void> checked = check_path(path); !checked) co_return std::unexpected(checked.error());
  const auto open = async_openat(AT_FDCWD, path.c_str(), flags_of(options), options.mode);
  Result<Fd> opened = co_await open;
  // The ring opens a FIFO without waiting for its other end. A helper thread waits for a reader, as open(2)
  // does.
  const bool has_no_reader = !opened && opened.error() == std::errc::no_such_device_or_address;
  if (has_no_reader) opened = co_await open.forced_async();
  if (!opened) co_return std::unexpected(opened.error());
  File file(std::move(*opened));
  file.has_cache_ = !options.direct;
  if (options.direct) file.alignment_ = direct_alignment(file.fd_.get());
  co_return file;
}

Task<Result<File>> File::create(std::string path) {
  return open(std::move(path), {.read = true, .write = true, .create = true, .truncate = true});
}

bool File::is_aligned(const void* memory, std::size_t length, std::uint64_t offset) const noexcept {
  return ((reinterpret_cast<std::uintptr_t>(memory) | length | offset) & (alignment_ - 1)) == 0;
}

Task<Result<std::size_t>> File::read_at(std::span<std::byte> into, std::uint64_t offset) const {
  if (offset > last_offset) co_return failure(EINVAL);
  if (!is_aligned(into.data(), into.size(), offset)) {
    // The last block need not be whole. An offset after it is the end, and not a mistake.
    const bool only_the_offset = is_aligned(into.data(), into.size(), 0);
    if (only_the_offset) {
      const Result<std::uint64_t> length = co_await size();
      if (length && offset >= *length) co_return std::size_t{0};
    }
    co_return misaligned();
  }
  if (!has_cache_) co_return co_await async_read(fd_, into, offset);
  co_return co_await async_read_cached(fd_, into, offset);
}

Task<Result<std::size_t>> File::read(std::span<std::byte> into) const {
  if (alignment_ > 1) co_return std::unexpected(make_error_code(FileErrc::no_position));
  co_return co_await async_read(fd_, into, current_position);
}

Task<Result<std::size_t>> File::write(std::span<const std::byte> from) const {
  if (alignment_ > 1) co_return std::unexpected(make_error_code(FileErrc::no_position));
  co_return co_await async_write(fd_, from, current_position);
}

Task<Result<void>> File::read_exact_at(std::span<std::byte> into, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const Result<std::size_t> got = co_await read_at(rest_of(into, done), offset + done);
    if (!got) co_return std::unexpected(got.error());
    done += *got;
    // With O_DIRECT the end is where a read stops short of a whole block: nothing after it can be asked for.
    const bool at_the_end = *got == 0 || (done < into.size() && *got % alignment_ != 0);
    if (at_the_end) {
      co_return std::unexpected(make_error_code(done == 0 ? StreamErrc::end : StreamErrc::unexpected_end));
    }
  }
  co_return Result<void>();
}

Task<Result<std::size_t>> File::write_at(std::span<const std::byte> from, std::uint64_t offset) const {
  if (offset > last_offset) co_return failure(EINVAL);
  if (!is_aligned(from.data(), from.size(), offset)) co_return misaligned();
  const Result<std::size_t> put = co_await async_write(fd_, from, offset);
  if (!put) co_return std::unexpected(co_await why_refused(put.error()));
  co_return put;
}

// With O_DIRECT the kernel says no more than EINVAL. For a write that goes to the end of the file, the end is
// the likely reason.
Task<std::error_code> File::why_refused(std::error_code error) const {
  if (alignment_ == 1 || error != std::error_code(EINVAL, std::system_category())) co_return error;
  const Result<std::uint64_t> end = co_await size();
  if (end && *end % alignment_ != 0) co_return make_error_code(FileErrc::misaligned_end);
  co_return error;
}

Task<Result<void>> File::write_all_at(std::span<const std::byte> from, std::uint64_t offset) const {
  while (!from.empty()) {
    const Result<std::size_t> put = co_await write_at(from, offset);
    if (!put) co_return std::unexpected(put.error());
    // With O_DIRECT a block that has been written in part is written again.
    const std::size_t whole = *put < from.size() ? *put / alignment_ * alignment_ : *put;
    if (whole == 0) co_return failure(ENOSPC);
    from = rest_of(from, whole);
    offset += whole;
  }
  co_return Result<void>();
}

Task<Result<void>> File::append(std::span<const std::byte> from) const {
  while (!from.empty()) {
    if (!is_aligned(from.data(), from.size(), 0)) co_return misaligned();
    const Result<std::size_t> put = co_await async_write(fd_, from, 0, RWF_APPEND);
    if (!put) co_return std::unexpected(co_await why_refused(put.error()));
    if (*put == 0) co_return failure(ENOSPC);
    from = rest_of(from, *put);
  }
  co_return Result<void>();
}

Task<Result<struct statx>> File::stat() const {
  struct statx status{};
  const Result<void> known = co_await async_statx(fd_.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status);
  if (!known) co_return std::unexpected(known.error());
  co_return status;
}

Task<Result<std::uint64_t>> File::size() const {
  const Result<struct statx> status = co_await stat();
  if (!status) co_return std::unexpected(status.error());
  co_return status->stx_size;
}

Task<Result<void>> File::close() { co_return co_await async_close(std::move(fd_)); }

AlignedBuffer::AlignedBuffer(std::size_t size, std::size_t alignment)
    : size_(rounded_up(size, alignment)),
      memory_(static_cast<std::byte*>(std::aligned_alloc(alignment, size_))) {
  if (memory_ == nullptr && size_ > 0) throw std::bad_alloc();
}

void AlignedBuffer::Free::operator()(std::byte* memory) const noexcept { std::free(memory); }

Task<Result<std::string>> read_to_string(std::string path) {
  Result<File> file = co_await File::open_to_read(std::move(path));
  if (!file) co_return std::unexpected(file.error());
  const Result<std::uint64_t> size = co_await file->size();
  if (!size) co_return std::unexpected(size.error());
  std::string text;
  // One byte more, which says that the end is there. Files of /proc say that they are empty, and others grow.
  std::size_t room = static_cast<std::size_t>(*size) + 1;
  for (std::size_t length = 0;;) {
    text.resize(length + room);
    const Result<std::size_t> got = co_await file->read_at(std::span(text).subspan(length), length);
    if (!got) co_return std::unexpected(got.error());
    length += *got;
    text.resize(length);
    if (*got == 0) break;
    room = std::max<std::size_t>(room - *got, 4096);
  }
  const Result<void> closed = co_await file->close();
  if (!closed) co_return std::unexpected(closed.error());
  co_return text;
}

}  // namespace corering
