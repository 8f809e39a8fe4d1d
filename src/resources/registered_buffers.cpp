/// registered_buffers.cpp — a ring's table of buffers.
#include <cerrno>
#include <memory>
#include <sys/uio.h>
#include <vector>

#include <corering/base/assert.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/resources/registered_buffers.hpp>
#include <corering/resources/size_error.hpp>

#include "resources/memory.hpp"

namespace corering {
namespace detail {

class BufferTable final : public RingResource {
 public:
  explicit BufferTable(const RegisteredBuffersOptions& options) : count_(options.count), size_(options.size) {
    free_.reserve(count_);
  }
  BufferTable(BufferTable&&) = delete;
  ~BufferTable() = default;

  Result<void> open(bool huge_pages) {
    if (!memory_.map(count_ * size_, huge_pages)) return failure(ENOMEM);
    std::vector<iovec> buffers;
    for (std::uint16_t i = 0; i < count_; ++i) buffers.push_back({bytes_of(i).data(), size_});
    uapi::RsrcRegister wish{.count = count_, .data = reinterpret_cast<std::uintptr_t>(buffers.data())};
    const int registered = here::register_resource(uapi::register_buffers2, &wish, sizeof wish);
    if (registered < 0) return failure(-registered);
    for (std::uint16_t i = count_; i > 0; --i) free_.push_back(static_cast<std::uint16_t>(i - 1));
    home_ = here::loop();
    here::buffer_table() = this;
    here::attach_resource(*this);
    return {};
  }

  [[nodiscard]] std::uint16_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint16_t lent() const noexcept {
    return static_cast<std::uint16_t>(count_ - free_.size());
  }
  [[nodiscard]] bool uses_huge_pages() const noexcept { return memory_.is_huge(); }

  FixedBuffer lend() noexcept {
    check_thread();
    if (free_.empty()) return {};
    const std::uint16_t index = free_.back();
    free_.pop_back();
    return FixedBuffer(*this, index, bytes_of(index));
  }

  void take_back(std::uint16_t index) noexcept {
    check_thread();
    free_.push_back(index);
  }

  void close() noexcept {
    CORERING_ASSERT(lent() == 0, "RegisteredBuffers were destroyed while one of them was still lent");
    check_thread();
    if (home_ != nullptr) {
      here::register_resource(uapi::unregister_buffers, nullptr, 0);
      here::buffer_table() = nullptr;
      unlink();
    }
    delete this;
  }

  void ring_closes() noexcept override { home_ = nullptr; }

 private:
  [[nodiscard]] std::span<std::byte> bytes_of(std::uint16_t index) const noexcept {
    return {static_cast<std::byte*>(memory_.address()) + index * size_, size_};
  }
  void check_thread() const noexcept {
    CORERING_ASSERT(home_ == nullptr || here::loop() == home_,
                    "registered buffers must be used and destroyed on their worker, or after it has ended");
  }

  const std::uint16_t count_;
  const std::size_t size_;
  Memory memory_;
  Loop* home_ = nullptr;  // null when its ring has been closed
  std::vector<std::uint16_t> free_;
};

}  // namespace detail

FixedBuffer::~FixedBuffer() {
  if (table_ != nullptr) table_->take_back(index_);
}

Result<RegisteredBuffers> RegisteredBuffers::create(RegisteredBuffersOptions options,
                                                    std::source_location where) {
  here::require_worker("buffers must be registered on the worker that uses them: hop there first", where);
  constexpr std::size_t largest = std::size_t{1} << 30;
  if (options.count == 0) return std::unexpected(make_error_code(SizeErrc::buffer_count));
  if (options.size == 0 || options.size > largest)
    return std::unexpected(make_error_code(SizeErrc::buffer_size));
  if (here::buffer_table() != nullptr) return failure(EBUSY);
  auto table = std::make_unique<detail::BufferTable>(options);
  if (const Result<void> opened = table->open(options.huge_pages); !opened)
    return std::unexpected(opened.error());
  return RegisteredBuffers(table.release());
}

RegisteredBuffers::~RegisteredBuffers() {
  if (table_ != nullptr) table_->close();
}

FixedBuffer RegisteredBuffers::lend() noexcept { return table_->lend(); }
std::uint16_t RegisteredBuffers::capacity() const noexcept { return table_->count(); }
std::uint16_t RegisteredBuffers::lent() const noexcept { return table_->lent(); }
bool RegisteredBuffers::uses_huge_pages() const noexcept { return table_->uses_huge_pages(); }

}  // namespace corering
