/// multishot.hpp — one request that the kernel answers again and again.
///
/// The request stays armed between two awaits, so it belongs to no frame: it lies in its own block, and is
/// cancelled when the Multishot is destroyed. The block is freed when the kernel's last reply is there. If
/// nobody takes what a reply brought, the payload disposes of it. The typed streams of streams/streams.hpp
/// are built on this.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include <corering/base/backlog.hpp>
#include <corering/engine/completion.hpp>
#include <corering/engine/descriptor_use.hpp>
#include <corering/engine/queued_wait.hpp>

namespace corering {
namespace detail {

class MultishotBlock : public Completion, public DescriptorUse {
 public:
  /// Waits for the next reply, and arms the request if it is not armed. Only one coroutine at a time may
  /// wait.
  /// cancelled: fails, and the request stays armed · errors: fails for no other reason
  class [[nodiscard]] Awaiter final : public QueuedWait {
   public:
    explicit Awaiter(MultishotBlock& block) noexcept : block_(block) {}
    bool await_ready() const noexcept { return block_.has_reply(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
      CORERING_ASSERT(block_.line_.empty(), "only one coroutine at a time may await a stream's next()");
      wait_in(block_.line_, coroutine, promise_of(coroutine));
      if (is_linked()) block_.wanted();
    }
    [[nodiscard]] Result<Reply> await_resume() noexcept {
      if (is_suspended()) {
        if (const Result<void> waited = finish(); !waited) return std::unexpected(waited.error());
      }
      return block_.take();
    }
    void describe(std::string& text) const override {
      text += "a stream of ";
      static_cast<const Completion&>(block_).describe(text);
    }
    [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::stream; }

   private:
    MultishotBlock& block_;
  };

  [[nodiscard]] bool has_reply() const noexcept { return !replies_.empty() || lost_; }
  [[nodiscard]] bool is_armed() const noexcept { return !is_idle(); }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }

  void bind() noexcept;

  /// To be called before its descriptor is closed. It is not armed again, and whoever waits or comes later
  /// gets ECANCELED, after the replies that have come before.
  void close() noexcept;

  bool end_use_of(int fd) noexcept final {
    if (is_on(fd)) close();
    return false;  // what is armed is found by the kernel
  }
  void lose(int fd) noexcept final;

  /// To be called when its owner is gone: cancels what is armed, and frees the block when that has ended.
  void abandon() noexcept;

 protected:
  MultishotBlock(const Request& request, std::size_t limit) noexcept
      : Completion(request, true), request_(request), limit_(limit) {}

  Request request_;

  virtual void filed(Reply& reply) noexcept = 0;
  virtual void dispose(const Reply& reply) noexcept = 0;

 private:
  void wanted() noexcept;
  void arm() noexcept;
  [[nodiscard]] Reply take() noexcept;
  void received(const Reply& reply) noexcept final;
  void ended(const Reply& reply) noexcept;
  void keep(const Reply& reply) noexcept;
  void pause() noexcept;

  const std::size_t limit_;
  Loop* home_ = nullptr;  // from when it was first armed
  QueuedWait::Line line_;
  Backlog<Reply> replies_;
  bool lost_ = false;     // a reply, because there was no memory to keep it
  bool pausing_ = false;  // we have cancelled it ourselves, and may arm it again
  bool closed_ = false;
  bool abandoned_ = false;
};

template <class Payload>
class MultishotBlockOf final : public MultishotBlock {
 public:
  MultishotBlockOf(const Request& request, Payload&& with, std::size_t limit)
      : MultishotBlock(request, limit), payload(std::move(with)) {
    if constexpr (requires { payload.prepare(request_); }) payload.prepare(request_);
  }

  Payload payload;

 private:
  void filed(Reply& reply) noexcept override {
    if constexpr (requires { payload.filed(reply); }) payload.filed(reply);
  }
  void dispose(const Reply& reply) noexcept override {
    if (reply.res >= 0) {
      (void)payload.decode(reply);
    } else if constexpr (requires { payload.dispose(reply); }) {
      payload.dispose(reply);
    }
  }
};

}  // namespace detail

/// A request that is answered many times.
/// keep alive: what the request points to, until the kernel's last reply. So it may point only to what lies
///   in the payload
/// thread: make, use and destroy it on one worker, or destroy it after that worker has ended
template <class Payload>
class Multishot {
  using Block = detail::MultishotBlockOf<Payload>;

 public:
  /// When `limit` replies wait to be taken, the request is cancelled. It is armed again when they have been
  /// taken; what comes meanwhile stays with the kernel.
  explicit Multishot(const Request& request, Payload payload = Payload(), std::size_t limit = 64)
      : block_(new Block(request, std::move(payload), limit)) {}
  Multishot(Multishot&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Multishot& operator=(Multishot&& other) noexcept {
    Multishot taken(std::move(other));
    std::swap(block_, taken.block_);
    return *this;
  }
  ~Multishot() {
    if (block_ != nullptr) block_->abandon();
  }

  /// Waits for the next reply. See detail::MultishotBlock::Awaiter. A reply without F_MORE (Reply::is_last())
  /// was the last one; the next call arms the request again.
  [[nodiscard]] auto next() noexcept {
    return WaitOperation<detail::MultishotBlock::Awaiter, detail::MultishotBlock>(*block_);
  }

  [[nodiscard]] bool is_armed() const noexcept { return block_->is_armed(); }
  /// Says that it stands for a descriptor that is in use, although it has not been armed. Then is_closed()
  /// will tell.
  void bind() noexcept { block_->bind(); }
  /// Returns true if its descriptor has been closed in order (net/socket.hpp).
  [[nodiscard]] bool is_closed() const noexcept { return block_->is_closed(); }
  [[nodiscard]] Payload& payload() noexcept { return block_->payload; }

 private:
  Block* block_;
};

}  // namespace corering
