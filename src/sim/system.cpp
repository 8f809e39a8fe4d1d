/// system.cpp — time, descriptors, and who is told that something has changed.
#include "sim/system.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>

#include <corering/base/assert.hpp>

#include "base/kernel_memory.hpp"
#include "sim/file_system.hpp"
#include "sim/sim_world.hpp"

namespace corering::sim {

namespace {

constexpr int numbers_of_a_world = 1 << 20;

int new_base() noexcept {
  static std::atomic<unsigned> made = 0;
  return os::first_simulated + static_cast<int>(made.fetch_add(1) % 64) * numbers_of_a_world;
}

}  // namespace

System::System(std::uint64_t seed, const Faults& faults, FileSystem& files) noexcept
    : base_(new_base()),
      random_(seed),
      faults_(faults),
      files_(files),
      tells_newest_first_(Random(seed + 0x7654321).one_in(2)) {
  for (std::size_t i = 0; i < fault_count; ++i) fault_randoms_[i] = Random(seed + (i + 1) * 0x1234567);
}

System::~System() {
  plans_.clear();
  for (std::size_t i = 0; i < table_.size(); ++i) {
    if (table_[i] != nullptr) (void)close(base_ + static_cast<int>(i));
  }
  plans_.clear();
}

void System::cut_power() noexcept {
  files_.cut_power();
  note(Happening::Kind::power_off);
}

bool System::hit(Fault fault) noexcept {
  ++faults_[fault].hits;
  note(Happening::Kind::fault, static_cast<std::int32_t>(fault));
  return true;
}

void System::note(Happening::Kind kind, std::int32_t what, int fd, std::int32_t result) noexcept {
  log_.add({.at = now_, .kind = kind, .worker = worker_, .what = what, .fd = place_of(fd), .result = result});
}

// ---- time ----

namespace {

bool is_later(const System::Plan& one, const System::Plan& other) noexcept {
  return one.at != other.at ? one.at > other.at : one.order > other.order;
}

}  // namespace

void System::plan(std::int64_t in_nanoseconds, Plan plan) {
  CORERING_ASSERT(in_nanoseconds >= 0 && plan.happens != nullptr, "something is planned for later");
  if (in_nanoseconds > INT64_MAX - epoch - now_) return;  // never
  plan.at = now_ + in_nanoseconds;
  plan.order = planned_++;
  plans_.push_back(std::move(plan));
  std::ranges::push_heap(plans_, is_later);
}

bool System::happen() {
  bool any = false;
  while (!plans_.empty() && plans_.front().at <= now_) {
    std::ranges::pop_heap(plans_, is_later);
    Plan due = std::move(plans_.back());
    plans_.pop_back();
    due.happens(*this, due);
    any = true;
  }
  return any;
}

std::optional<std::int64_t> System::next_plan() const noexcept {
  if (plans_.empty()) return std::nullopt;
  return plans_.front().at;
}

void System::jump_to(std::int64_t at) noexcept {
  CORERING_ASSERT(at >= now_, "time does not go back");
  if (at > now_) note(Happening::Kind::jump);
  now_ = at;
}

// ---- descriptors ----

int System::open(std::shared_ptr<Object> object) {
  while (lowest_free_ < table_.size() && table_[lowest_free_] != nullptr) ++lowest_free_;
  if (!may_open_ || lowest_free_ == numbers_of_a_world) return -EMFILE;
  if (lowest_free_ == table_.size()) table_.emplace_back();
  CORERING_ASSERT(object != nullptr, "a descriptor stands for something");
  const int fd = base_ + static_cast<int>(lowest_free_);
  object->number = fd;
  use(*object);
  table_[lowest_free_] = std::move(object);
  ++open_;
  return fd;
}

const std::shared_ptr<Object>* System::find(int fd) const noexcept {
  const auto at = static_cast<std::size_t>(fd - base_);
  return fd >= base_ && at < table_.size() && table_[at] != nullptr ? &table_[at] : nullptr;
}

void System::release(Object& object) noexcept {
  CORERING_ASSERT(object.uses > 0, "what is released was in use");
  if (--object.uses == 0) object.last_close(*this);
}

int System::close(int fd) noexcept {
  if (find(fd) == nullptr) return -EBADF;
  const auto at = static_cast<std::size_t>(fd - base_);
  const std::shared_ptr<Object> object = std::move(table_[at]);
  table_[at] = nullptr;
  lowest_free_ = std::min(lowest_free_, at);
  CORERING_ASSERT(open_ > 0, "what is closed was counted as open");
  --open_;
  release(*object);
  return 0;
}

int System::duplicate(int fd) {
  const std::shared_ptr<Object>* const object = find(fd);
  return object == nullptr ? -EBADF : open(*object);
}

int System::resolve(int directory, const char* path, Path& into) const {
  if (path == nullptr) return -EFAULT;
  if (*path == '/' || *path == '\0' || directory == AT_FDCWD) return files_.resolve("/", path, into);
  const std::shared_ptr<Object>* const object = find(directory);
  if (object == nullptr) return -EBADF;
  if ((*object)->kind != Object::Kind::file) return -ENOTDIR;
  const Inode& inode = *static_cast<const OpenFile&>(**object).inode;
  if (!inode.is_directory) return -ENOTDIR;
  const std::string where = files_.path_of(inode);
  return where.empty() ? -ENOENT : files_.resolve(where, path, into);
}

// ---- waiting ----

Watch& System::make_watch() {
  if (spare_watches_.empty()) {
    watches_.push_back(std::make_unique<Watch>());
    spare_watches_.push_back(watches_.back().get());
  }
  Watch& watch = *spare_watches_.back();
  spare_watches_.pop_back();
  CORERING_ASSERT(watch.state == Watch::State::idle && watch.call == nullptr, "a spare watch has no call");
  return watch;
}

void System::give_back(Watch& watch) noexcept {
  CORERING_ASSERT(watch.state != Watch::State::idle, "a watch is given back once");
  watch.unlink();
  for (const iovec& part : watch.buffers) kernel_memory::give_back(part.iov_base, part.iov_len);
  watch.buffers.clear();
  watch.state = Watch::State::idle;
  watch.is_edges = watch.is_late = false;
  watch.shown = 0;
  watch.call = nullptr;
  ++watch.round;
  if (const std::shared_ptr<Object> object = std::move(watch.object); object != nullptr) release(*object);
  watch.object = nullptr;
  spare_watches_.push_back(&watch);
}

void System::changed(Object& object) {
  object.notice_change(*this);
  const std::uint32_t shown = object.shown();
  told_.clear();
  object.watches.for_each([&](Watch& watch) {
    if ((shown & (watch.events | always_shown)) != 0) told_.push_back(&watch);
  });
  if (tells_newest_first_) std::ranges::reverse(told_);
  for (Watch* const watch : told_) watch->world->shows(*watch, shown & (watch->events | always_shown));
}

void System::wait_for(bool (*has_come)(const void*), const void* what) noexcept {
  CORERING_ASSERT(driver_ != nullptr, "a plain thread waits inside of run()");
  driver_->wait_for(has_come, what);
}

}  // namespace corering::sim
