/// file_table.cpp — a ring's table of files.
#include <cerrno>
#include <memory>

#include <corering/base/assert.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/resources/file_table.hpp>
#include <corering/resources/size_error.hpp>

namespace corering {
namespace detail {

class FileSlots final : public RingResource {
 public:
  explicit FileSlots(std::uint32_t count) noexcept : count_(count) {}
  FileSlots(FileSlots&&) = delete;
  ~FileSlots() = default;

  Result<void> open() {
    uapi::RsrcRegister wish{.count = count_, .flags = uapi::rsrc_register_sparse};
    const int registered = here::register_resource(uapi::register_files2, &wish, sizeof wish);
    if (registered < 0) return failure(-registered);
    home_ = here::loop();
    here::file_table() = this;
    here::attach_resource(*this);
    return {};
  }

  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t used() const noexcept { return used_; }

  FixedFile take(std::uint32_t number) noexcept {
    ++used_;
    return FixedFile(*this, number);
  }

  void release(std::uint32_t number) noexcept {
    --used_;
    if (home_ == nullptr) return;
    check_thread("a FixedFile was destroyed on a thread that is not its worker's, before that worker ended");
    std::int32_t nothing = -1;
    uapi::RsrcUpdate update{.offset = number, .data = reinterpret_cast<std::uintptr_t>(&nothing)};
    here::register_resource(uapi::register_files_update, &update, 1);
  }

  void forget() noexcept { --used_; }

  void hold() noexcept { ++holders_; }
  void let_go() noexcept {
    if (--holders_ == 0 && abandoned_) destroy();
  }

  void abandon() noexcept {
    CORERING_ASSERT(used_ == 0, "a FileTable was destroyed while one of its files was still in use");
    if (home_ != nullptr) {
      check_thread(
          "a FileTable was destroyed on a thread that is not its worker's, before that worker ended");
    }
    abandoned_ = true;
    if (holders_ == 0) destroy();
  }

  void ring_closes() noexcept override { home_ = nullptr; }

 private:
  void destroy() noexcept {
    if (home_ != nullptr) {
      here::register_resource(uapi::unregister_files, nullptr, 0);
      here::file_table() = nullptr;
      unlink();
    }
    delete this;
  }

  void check_thread(const char* message) const noexcept { CORERING_ASSERT(here::loop() == home_, message); }

  const std::uint32_t count_;
  Loop* home_ = nullptr;  // null when its ring has been closed
  std::uint32_t used_ = 0;
  std::uint32_t holders_ = 0;
  bool abandoned_ = false;
};

FixedFile SlotAnswer::decode(const Reply& reply) const noexcept {
  return slots_->take(static_cast<std::uint32_t>(reply.res));
}

HeldSlots::HeldSlots(FileSlots& slots) noexcept : slots_(&slots) { slots.hold(); }
HeldSlots::~HeldSlots() {
  if (slots_ != nullptr) slots_->let_go();
}

}  // namespace detail

void FixedFile::reset() noexcept {
  if (slots_ != nullptr) std::exchange(slots_, nullptr)->release(number_);
}

void FixedFile::release() noexcept {
  if (slots_ != nullptr) std::exchange(slots_, nullptr)->forget();
}

Result<FileTable> FileTable::create(std::uint32_t slots, std::source_location where) {
  here::require_worker("a FileTable must be made on the worker that uses it: hop there first", where);
  constexpr std::uint32_t most = 1U << 20;
  if (slots == 0 || slots > most) return std::unexpected(make_error_code(SizeErrc::slot_count));
  if (here::file_table() != nullptr) return failure(EBUSY);
  auto made = std::make_unique<detail::FileSlots>(slots);
  if (const Result<void> opened = made->open(); !opened) return std::unexpected(opened.error());
  return FileTable(made.release());
}

FileTable::~FileTable() {
  if (slots_ != nullptr) slots_->abandon();
}

std::uint32_t FileTable::capacity() const noexcept { return slots_->count(); }
std::uint32_t FileTable::used() const noexcept { return slots_->used(); }

}  // namespace corering
