/// times_memory.cpp — memfd_create(2), and which slots are taken.
#include "engine/times_memory.hpp"

#include <bitset>
#include <fcntl.h>
#include <mutex>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/process_generation.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

struct Slots {
  std::mutex mutex;
  int fd = -1;  // never closed
  std::bitset<TimesMemory::most_slots> taken;
};

Slots& slots() noexcept {
  static constinit Immortal<Slots> instance;
  return instance.object;
}

std::size_t offset_of(std::size_t index, std::size_t bytes) noexcept {
  return TimesMemory::head_bytes + index * bytes;
}

// A file that is longer than RLIMIT_FSIZE would end the process with SIGXFSZ.
bool make_long(int fd, std::size_t bytes) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes) return false;
  return ::lseek(fd, 0, SEEK_END) >= static_cast<off_t>(bytes) ||
         ::ftruncate(fd, static_cast<off_t>(bytes)) == 0;
}

// It has its whole page before its head says what it is. If there is no room even for that, nobody reads it.
int make_file(std::size_t slot_bytes) noexcept {
  const int fd = ::memfd_create("corering-times", MFD_CLOEXEC);
  const TimesMemory::Head head{.magic = TimesMemory::magic,
                               .version = TimesMemory::version,
                               .pid = static_cast<std::uint32_t>(::getpid()),
                               .slot_bytes = slot_bytes};
  if (fd >= 0 && make_long(fd, TimesMemory::head_bytes)) (void)!::pwrite(fd, &head, sizeof head, 0);
  return fd;
}

// A child after fork(2) has its parent's descriptor, and must not write there.
void before_fork() noexcept { slots().mutex.lock(); }
void after_fork_in_parent() noexcept { slots().mutex.unlock(); }
void after_fork_in_child() noexcept {
  ::close(std::exchange(slots().fd, -1));
  slots().taken.reset();
  slots().mutex.unlock();
}

void watch_for_forks() noexcept {
  static const int registered = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)registered;
}

std::size_t free_slot(const Slots& all) noexcept {
  std::size_t index = 0;
  while (index < TimesMemory::most_slots && all.taken[index]) ++index;
  return index;
}

void* map(std::size_t bytes, int fd, std::size_t index) noexcept {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd,
                              fd < 0 ? 0 : static_cast<off_t>(offset_of(index, bytes)));
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

TimesMemory::Slot TimesMemory::take(std::size_t bytes) noexcept {
  watch_for_forks();
  Slots& all = slots();
  const std::lock_guard lock(all.mutex);
  if (all.fd < 0) all.fd = make_file(bytes);
  Slot slot{.memory = nullptr, .index = free_slot(all), .made_in = process_generation()};
  const bool is_shared =
      all.fd >= 0 && slot.index < most_slots && make_long(all.fd, offset_of(slot.index + 1, bytes));
  if (is_shared) slot.memory = map(bytes, all.fd, slot.index);
  if (slot.memory == nullptr) return {.memory = map(bytes, -1, 0)};
  all.taken.set(slot.index);
  return slot;
}

void TimesMemory::give_back(const Slot& slot, std::size_t bytes) noexcept {
  if (slot.memory == nullptr) return;
  ::munmap(slot.memory, bytes);
  if (slot.index == most_slots || slot.made_in != process_generation()) return;
  Slots& all = slots();
  const std::lock_guard lock(all.mutex);
  ::fallocate(all.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(offset_of(slot.index, bytes)), static_cast<off_t>(bytes));
  CORERING_ASSERT(all.taken[slot.index], "a slot is given back once");
  all.taken.reset(slot.index);
}

}  // namespace corering
