/// file_system.cpp — what syncing saves, and what a crash leaves.
#include "sim/file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <sys/stat.h>

#include <corering/base/assert.hpp>

namespace corering::sim {
namespace {

constexpr std::size_t sector = 512;

bool strikes(Faults& faults, Random& random, Fault fault) noexcept {
  FaultRule& rule = faults[fault];
  if (rule.one_in == 0 || rule.hits >= rule.budget || !random.one_in(rule.one_in)) return false;
  ++rule.hits;
  return true;
}

}  // namespace

// ---- a file ----

void Inode::apply(std::string& to, const Write& write) {
  if (write.cut) return to.resize(write.offset);
  if (to.size() < write.offset + write.bytes.size()) to.resize(write.offset + write.bytes.size());
  to.replace(write.offset, write.bytes.size(), write.bytes);
}

void Inode::write(std::size_t offset, std::string_view bytes) {
  CORERING_ASSERT(!is_directory, "only files are written to");
  unsynced.push_back({.offset = offset, .bytes = std::string(bytes)});
  apply(now, unsynced.back());
}

void Inode::resize(std::size_t size) {
  unsynced.push_back({.offset = size, .bytes = {}, .cut = true});
  now.resize(size);
}

void Inode::sync() {
  for (const Write& write : unsynced) apply(durable, write);
  unsynced.clear();
  CORERING_ASSERT(durable == now, "after a sync the disk has what the page cache has");
}

// ---- names ----

FileSystem::FileSystem() {
  for (const char* const path : {"/", "/tmp"}) {
    const auto directory = std::make_shared<Inode>();
    directory->is_directory = true;
    directory->mode = S_IFDIR | 0777;
    directory->number = ++made_;
    now_[path] = durable_[path] = directory;
  }
}

namespace {

constexpr std::size_t most_of_a_name = 255;

/// Goes on from a directory by one part of a path.
void go_on_by(std::string_view part, std::string& whole) {
  if (part.empty() || part == ".") return;
  if (part == "..") {
    whole = FileSystem::directory_of(whole);
  } else {
    whole.append(whole == "/" ? "" : "/").append(part);
  }
}

Path::End end_of(std::string_view last, bool has_slash) noexcept {
  if (last.empty()) return Path::End::root;
  if (last == ".") return Path::End::dot;
  if (last == "..") return Path::End::dots;
  return has_slash ? Path::End::slash : Path::End::name;
}

}  // namespace

int FileSystem::resolve(std::string_view directory, std::string_view path, Path& into) const {
  CORERING_ASSERT(directory.starts_with('/'), "the directory's own path is whole");
  if (path.empty()) return -ENOENT;
  into.whole = path.starts_with('/') ? "/" : directory;
  const std::size_t length = path.find_last_not_of('/') + 1;  // without the slashes at its end
  std::string_view last;
  for (std::size_t at = 0; at < length;) {
    const std::size_t end = std::min(path.find('/', at), length);
    last = path.substr(at, end - at);
    if (last.size() > most_of_a_name) return -ENAMETOOLONG;
    const std::shared_ptr<Inode> passed = find(into.whole);
    if (passed == nullptr) return -ENOENT;
    if (!passed->is_directory) return -ENOTDIR;
    go_on_by(last, into.whole);
    at = end + 1;
  }
  into.end = end_of(last, length < path.size());
  return 0;
}

int FileSystem::look_up(const Path& path, std::shared_ptr<Inode>& found) const {
  found = find(path.whole);
  if (found == nullptr) return -ENOENT;
  return path.end == Path::End::slash && !found->is_directory ? -ENOTDIR : 0;
}

std::shared_ptr<Inode> FileSystem::follow(std::string_view path) const {
  Path where;
  std::shared_ptr<Inode> found;
  return resolve("/", path, where) == 0 && look_up(where, found) == 0 ? found : nullptr;
}

std::string FileSystem::path_of(const Inode& inode) const {
  const auto found =
      std::ranges::find_if(now_, [&inode](const auto& name) { return name.second.get() == &inode; });
  return found == now_.end() ? "" : found->first;
}

std::string FileSystem::directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::shared_ptr<Inode> FileSystem::find(const std::string& whole) const {
  const auto found = now_.find(whole);
  return found == now_.end() ? nullptr : found->second;
}

int FileSystem::make(const Path& path, std::uint32_t mode, std::uint32_t type) {
  if (!path.is_name() || find(path.whole) != nullptr) return -EEXIST;
  if (path.end == Path::End::slash && type != S_IFDIR) return -ENOENT;
  CORERING_ASSERT(now_.contains(directory_of(path.whole)), "resolve() has passed the directory");
  const auto made = std::make_shared<Inode>();
  made->is_directory = type == S_IFDIR;
  made->mode = type | (mode & 07777 & ~022U);
  made->number = ++made_;
  now_[path.whole] = made;
  return 0;
}

bool FileSystem::has_entries(const std::string& directory) const {
  const std::string below = directory == "/" ? directory : directory + "/";
  const auto next = now_.upper_bound(below);
  return next != now_.end() && next->first.starts_with(below);
}

std::vector<std::pair<std::string, bool>> FileSystem::entries(const std::string& directory) const {
  const std::string below = directory == "/" ? directory : directory + "/";
  std::vector<std::pair<std::string, bool>> found;
  for (auto next = now_.upper_bound(below); next != now_.end() && next->first.starts_with(below); ++next) {
    const std::string name = next->first.substr(below.size());
    if (name.find('/') == name.npos) found.emplace_back(name, next->second->is_directory);
  }
  return found;
}

namespace {

/// The error of a path whose last part is no name of its own.
int error_of_removing(Path::End end, bool is_directory) noexcept {
  if (!is_directory) return -EISDIR;
  if (end == Path::End::root) return -EBUSY;
  return end == Path::End::dot ? -EINVAL : -ENOTEMPTY;
}

}  // namespace

int FileSystem::remove(const Path& path, bool is_directory) {
  if (!path.is_name()) return error_of_removing(path.end, is_directory);
  const std::shared_ptr<Inode> found = find(path.whole);
  if (found == nullptr) return -ENOENT;
  if (!is_directory && found->is_directory) return -EISDIR;
  if (!found->is_directory && (is_directory || path.end == Path::End::slash)) return -ENOTDIR;
  if (is_directory && has_entries(path.whole)) return -ENOTEMPTY;
  if (is_directory) forget_synced_in(path.whole);
  now_.erase(path.whole);
  return 0;
}

int FileSystem::check_move(const Inode& moved, const Path& from, const Path& to) const {
  const bool has_slash = from.end == Path::End::slash || to.end == Path::End::slash;
  if (!moved.is_directory && has_slash) return -ENOTDIR;
  const std::shared_ptr<Inode> there = find(to.whole);
  if (there.get() == &moved) return 0;
  if (to.is_in(from)) return -EINVAL;
  if (from.is_in(to)) return -ENOTEMPTY;
  if (there != nullptr && there->is_directory != moved.is_directory)
    return there->is_directory ? -EISDIR : -ENOTDIR;
  if (there != nullptr && there->is_directory && has_entries(to.whole)) return -ENOTEMPTY;
  return moved.is_directory && has_entries(from.whole) ? -EOPNOTSUPP : 0;  // docs/SIMULATION.md
}

int FileSystem::rename(const Path& from, const Path& to, bool may_replace) {
  if (!from.is_name()) return -EBUSY;
  if (!to.is_name()) return may_replace ? -EBUSY : -EEXIST;
  const std::shared_ptr<Inode> moved = find(from.whole);
  if (moved == nullptr) return -ENOENT;
  const std::shared_ptr<Inode> there = find(to.whole);
  if (there != nullptr && !may_replace) return -EEXIST;
  if (const int error = check_move(*moved, from, to); error < 0) return error;
  if (there == moved) return 0;  // two names of one file stay
  CORERING_ASSERT(!to.is_in(from), "no directory is moved into itself");
  if (moved->is_directory) forget_synced_in(from.whole);
  now_.erase(from.whole);
  now_[to.whole] = moved;
  return 0;
}

int FileSystem::link(const std::shared_ptr<Inode>& linked, const Path& to) {
  if (!to.is_name() || find(to.whole) != nullptr) return -EEXIST;
  if (to.end == Path::End::slash) return -ENOENT;
  if (linked->is_directory) return -EPERM;
  now_[to.whole] = linked;
  return 0;
}

unsigned FileSystem::links_of(const Inode& inode) const noexcept {
  return static_cast<unsigned>(
      std::ranges::count_if(now_, [&inode](const auto& name) { return name.second.get() == &inode; }));
}

namespace {

bool is_in(const std::string& path, const std::string& directory) {
  return path != "/" && FileSystem::directory_of(path) == directory;
}

void erase_below(FileSystem::Names& names, const std::string& directory) {
  const std::string below = directory + "/";
  std::erase_if(names, [&below](const auto& name) { return name.first.starts_with(below); });
}

/// The directories in this one that are not in `from`, or are others there.
std::vector<std::string> replaced_directories(const FileSystem::Names& from, const FileSystem::Names& to,
                                              const std::string& directory) {
  std::vector<std::string> replaced;
  for (const auto& [path, inode] : to) {
    if (!is_in(path, directory) || !inode->is_directory) continue;
    const auto found = from.find(path);
    if (found == from.end() || found->second != inode) replaced.push_back(path);
  }
  return replaced;
}

/// Makes the entries of a directory in `to` the same as in `from`. What is below a directory that goes away
/// goes along.
void copy_entries(const FileSystem::Names& from, FileSystem::Names& to, const std::string& directory) {
  for (const std::string& gone : replaced_directories(from, to, directory)) erase_below(to, gone);
  std::erase_if(to, [&](const auto& name) { return is_in(name.first, directory); });
  for (const auto& [path, inode] : from) {
    if (is_in(path, directory)) to[path] = inode;
  }
}

/// Erases the names whose directory is missing. A directory comes before what is in it.
void erase_orphans(FileSystem::Names& names) {
  for (auto at = names.begin(); at != names.end();) {
    const auto parent = names.find(FileSystem::directory_of(at->first));
    const bool has_parent = parent != names.end() && parent->second->is_directory;
    at = has_parent ? std::next(at) : names.erase(at);
  }
}

bool has_same_entries(const FileSystem::Names& one, const FileSystem::Names& other,
                      const std::string& directory) {
  FileSystem::Names copy = one;
  copy_entries(other, copy, directory);
  return copy == one;
}

}  // namespace

// What was synced in a directory that is not on the disk itself can be found by nobody when it is removed.
void FileSystem::forget_synced_in(const std::string& directory) {
  const auto durable = durable_.find(directory);
  if (durable == durable_.end() || durable->second != find(directory)) erase_below(durable_, directory);
}

void FileSystem::sync_names(const std::string& directory) {
  for (const std::string& tied : tied_to(directory)) copy_entries(now_, durable_, tied);
}

namespace {

/// Calls `pair` with the directories that a file has left and come to since they were synced.
template <class Function>
void for_each_move(const FileSystem::Names& now, const FileSystem::Names& durable, const Function& pair) {
  const auto has = [](const FileSystem::Names& names, const auto& name) {
    const auto found = names.find(name.first);
    return found != names.end() && found->second == name.second;
  };
  std::map<const Inode*, std::string> left;
  for (const auto& name : durable)
    if (!name.second->is_directory && !has(now, name))
      left.emplace(name.second.get(), FileSystem::directory_of(name.first));
  if (left.empty()) return;
  for (const auto& name : now) {
    const auto from = left.find(name.second.get());
    if (from != left.end() && !has(durable, name)) pair(from->second, FileSystem::directory_of(name.first));
  }
}

}  // namespace

std::set<std::string> FileSystem::tied_to(const std::string& directory) const {
  std::set<std::string> tied = {directory};
  std::size_t before = 0;
  while (std::exchange(before, tied.size()) < tied.size())
    for_each_move(now_, durable_, [&tied](const std::string& from, const std::string& to) {
      if (tied.contains(from) || tied.contains(to)) tied.insert({from, to});
    });
  return tied;
}

// ---- crash ----

namespace {

void lose_some_writes(Inode& file, Random& random, Faults& faults, Disk::Loss& loss) {
  for (Inode::Write& write : file.unsynced) {
    if (strikes(faults, random, Fault::lost_unsynced)) {
      ++loss.lost;
      continue;
    }
    ++loss.kept;
    if (write.bytes.size() > sector && strikes(faults, random, Fault::torn_write)) {
      ++loss.torn;
      write.bytes.resize(sector * (1 + random.below((write.bytes.size() - 1) / sector)));
    }
    if (!write.cut && strikes(faults, random, Fault::misdirected_write)) {
      ++loss.misdirected;
      write.offset = sector * random.below(1 + (write.offset + write.bytes.size()) / sector);
    }
    if (!write.bytes.empty() && strikes(faults, random, Fault::corrupted_write)) {
      ++loss.corrupted;
      const int flipped = 1 << random.below(8);
      char& byte = write.bytes[random.below(write.bytes.size())];
      byte = static_cast<char>(byte ^ flipped);
    }
    Inode::apply(file.durable, write);
  }
  file.unsynced.clear();
  file.now = file.durable;
}

}  // namespace

Disk::Loss FileSystem::crash(Random& random, Faults& faults) {
  Disk::Loss loss;
  std::set<std::string> directories;
  for (const Names* const names : {&now_, &durable_}) {
    for (const auto& [path, inode] : *names) directories.insert(directory_of(path));
  }
  for (const std::string& directory : directories) {
    if (!now_.contains(directory) || has_same_entries(now_, durable_, directory)) continue;
    const bool is_lost = strikes(faults, random, Fault::lost_unsynced);
    if (is_lost) ++loss.directories;
    for (const std::string& tied : tied_to(directory))
      is_lost ? copy_entries(durable_, now_, tied) : copy_entries(now_, durable_, tied);
  }
  erase_orphans(now_);
  erase_orphans(durable_);
  for (const auto& [path, inode] : now_) lose_some_writes(*inode, random, faults, loss);
  is_off_ = false;
  return loss;
}

}  // namespace corering::sim
