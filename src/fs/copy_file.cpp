/// copy_file.cpp — two buffers: one of them is filled while the other is written.
#include <array>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <sys/stat.h>

#include <corering/base/rest_of.hpp>
#include <corering/fs/directory.hpp>
#include <corering/io/path_calls.hpp>
#include <corering/sync/shield.hpp>
#include <corering/sync/when.hpp>

namespace corering {
namespace {

/// Reads until `into` is full or the file ends.
Task<Result<std::size_t>> read_fully(const File& file, std::span<std::byte> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const Result<std::size_t> got = co_await file.read_at(rest_of(into, done), offset + done);
    if (!got) co_return got;
    if (*got == 0) break;
    done += *got;
  }
  co_return std::min(done, into.size());
}

Task<Result<std::uint64_t>> copy_content(const File& from, const File& to, const CopyOptions& options) {
  std::array<std::vector<std::byte>, 2> buffers;
  for (auto& buffer : buffers) buffer.resize(std::max<std::size_t>(options.chunk_size, 1));
  std::uint64_t copied = 0;
  Result<std::size_t> length = co_await read_fully(from, buffers[0], 0);
  for (std::size_t turn = 0;; ++turn) {
    if (!length) co_return std::unexpected(length.error());
    if (*length == 0) co_return copied;
    const auto chunk = std::span(buffers[turn % 2]).first(*length);
    const std::span<std::byte> other = buffers[(turn + 1) % 2];
    auto both =
        co_await when_all(to.write_all_at(chunk, copied), read_fully(from, other, copied + chunk.size()));
    if (!std::get<0>(both)) co_return std::unexpected(std::get<0>(both).error());
    copied += chunk.size();
    length = std::get<1>(both);
    if (options.progress) options.progress(copied);
  }
}

bool are_the_same(const struct statx& one, const struct statx& other) noexcept {
  return one.stx_ino == other.stx_ino && one.stx_dev_major == other.stx_dev_major &&
         one.stx_dev_minor == other.stx_dev_minor;
}

/// Opens the target. `created` says whether it was created.
Task<Result<File>> open_target(const std::string& path, bool overwrite, bool& created) {
  OpenOptions create{.read = false, .write = true, .create = true, .exclusive = true, .mode = 0600};
  Result<File> target = co_await File::open(path, create);
  created = target.has_value();
  if (target || !overwrite || target.error() != std::errc::file_exists) co_return target;
  struct statx status{};
  const Result<void> known = co_await async_statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE, status);
  if (known && S_ISFIFO(status.stx_mode)) co_return failure(EINVAL);  // opening it would wait for a reader
  const OpenOptions existing{.read = false, .write = true};
  co_return co_await File::open(path, existing);
}

/// Copies the content, the length and the permissions.
Task<Result<std::uint64_t>> copy_into(const File& source, const struct statx& status, const File& target,
                                      const CopyOptions& options) {
  const Result<struct statx> its_status = co_await target.stat();
  if (!its_status) co_return std::unexpected(its_status.error());
  if (!S_ISREG(its_status->stx_mode) || are_the_same(status, *its_status)) co_return failure(EINVAL);
  const Result<std::uint64_t> copied = co_await copy_content(source, target, options);
  if (!copied) co_return copied;
  const Result<void> cut = co_await target.truncate(*copied);  // the target may have been longer
  if (!cut) co_return std::unexpected(cut.error());
  // open() has taken the umask off the mode. Set-user-ID is left out: it would be that of another owner.
  if (::fchmod(target.fd().get(), status.stx_mode & 0777) != 0) co_return failure(errno);
  co_return copied;
}

Task<void> remove_quietly(std::string path) { (void)co_await async_unlinkat(AT_FDCWD, path.c_str()); }

}  // namespace

Task<Result<std::uint64_t>> copy_file(std::string from, std::string to, CopyOptions options) {
  const Result<File> source = co_await File::open(from);
  if (!source) co_return std::unexpected(source.error());
  const Result<struct statx> status = co_await source->stat();
  if (!status) co_return std::unexpected(status.error());
  if (S_ISDIR(status->stx_mode)) co_return failure(EISDIR);
  if (!S_ISREG(status->stx_mode)) co_return failure(EINVAL);

  bool created = false;
  const Result<File> target = co_await open_target(to, options.overwrite, created);
  if (!target) co_return std::unexpected(target.error());
  Result<std::uint64_t> copied = failure(EINVAL);
  std::exception_ptr thrown;
  try {
    copied = co_await copy_into(*source, *status, *target, options);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (!copied && created) {
    co_await shield(remove_quietly(to));
  }
  if (thrown) std::rethrow_exception(thrown);
  co_return copied;
}

}  // namespace corering
