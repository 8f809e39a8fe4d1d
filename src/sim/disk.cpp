/// disk.cpp — the files as a test sees them.
#include <corering/base/assert.hpp>
#include <corering/sim/disk.hpp>

#include "sim/file_system.hpp"

namespace corering::sim {

Disk::Disk() : files_(std::make_unique<FileSystem>()) {}
Disk::~Disk() = default;

Disk::Loss Disk::crash(std::uint64_t seed, Faults& faults) {
  Random random(seed ^ 0xc7a54);
  return files_->crash(random, faults);
}

std::string Disk::content(const std::string& path) const {
  const std::shared_ptr<Inode> found = files_->find(path);
  return found == nullptr ? std::string() : found->now;
}

bool Disk::has(const std::string& path) const { return files_->find(path) != nullptr; }

void Disk::put(const std::string& path, std::string content) {
  Path where;
  const bool is_found = files_->resolve("/", path, where) == 0;
  CORERING_ASSERT(is_found && where.end == Path::End::name, "a file is put into a directory that is there");
  (void)files_->make(where, 0666, S_IFREG);  // unless it is there
  Inode& file = *files_->find(where.whole);
  file.resize(0);
  file.write(0, content);
  file.sync();
  files_->sync_names(FileSystem::directory_of(where.whole));
}

}  // namespace corering::sim
