/// multishot.hpp — one request that the kernel answers again and again.
///
/// The request stays armed between two awaits, so it belongs to no frame: it lies in a block of its own, and
/// is cancelled when the Multishot is destroyed. The block goes when the kernel's last reply is there. What a
/// reply brought and nobody took is disposed of by its kind. The typed streams of streams/streams.hpp stand
/// on this.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include <corering/base/backlog.hpp>
#include <corering/engine/completion.hpp>
#include <corering/engine/queued_wait.hpp>

namespace corering {
namespace detail {

/// A worker knows its streams.
class StreamNode : public ListNode {
 protected:
  ~StreamNode() = default;
};

class MultishotBlock : public Completion, public StreamNode {
 public:
  /// Waits for the next reply, and arms the request if it is not. Fails only if the wait is cancelled; then
  /// the request stays armed. One at a time.
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
    Result<Reply> await_resume() noexcept {
      if (is_suspended()) {
        if (const Result<void> waited = finish(); !waited) return std::unexpected(waited.error());
      }
      return block_.take();
    }
    void describe(std::string& text) const override {
      text += "a stream of ";
      static_cast<const Completion&>(block_).describe(text);
    }

   private:
    MultishotBlock& block_;
  };

  [[nodiscard]] bool has_reply() const noexcept { return !replies_.empty(); }
  [[nodiscard]] bool is_armed() const noexcept { return !is_idle(); }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }

  void bind() noexcept;

  /// Its descriptor is about to be closed: it is not armed again, and whoever waits or comes later is told
  /// ECANCELED, behind what has come before.
  void close() noexcept;

  /// Its owner is gone: cancels what is armed and goes itself when that has ended.
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
  [[nodiscard]] Reply take() noexcept { return replies_.take(); }
  void received(const Reply& reply) noexcept final;
  void ended(const Reply& reply) noexcept;
  void keep(const Reply& reply) noexcept;
  void pause() noexcept;

  const std::size_t limit_;
  Loop* home_ = nullptr;  // since it was armed first
  QueuedWait::Line line_;
  Backlog<Reply> replies_;
  bool pausing_ = false;  // we have cancelled it ourselves, for now
  bool closed_ = false;
  bool abandoned_ = false;
};

/// Closes, in the sense above, every stream of the current worker on this descriptor.
void close_streams_on(int fd) noexcept;

template <class Payload>
class MultishotBlockOf final : public MultishotBlock {
 public:
  MultishotBlockOf(const Request& request, Payload&& payload, std::size_t limit)
      : MultishotBlock(request, limit), payload(std::move(payload)) {
    if constexpr (requires { this->payload.prepare(request_); }) this->payload.prepare(request_);
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

/// A request that is answered many times. Made, used and destroyed on one worker, or destroyed after that one
/// has ended. What the request points to must live until the kernel's last reply, so only what lies in the
/// payload does.
template <class Payload>
class Multishot {
  using Block = detail::MultishotBlockOf<Payload>;

 public:
  /// `limit`: when so many replies wait to be taken, the request is cancelled, and armed again when they have
  /// been: what comes meanwhile stays with the kernel.
  explicit Multishot(const Request& request, Payload payload = Payload(), std::size_t limit = 64)
      : block_(new Block(request, std::move(payload), limit)) {}
  Multishot(Multishot&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Multishot& operator=(Multishot&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Multishot() {
    if (block_ != nullptr) block_->abandon();
  }

  /// See detail::MultishotBlock::Awaiter. A reply without F_MORE (Reply::is_last()) was the last; the next
  /// call arms anew.
  [[nodiscard]] auto next() noexcept {
    return WaitOperation<detail::MultishotBlock::Awaiter, detail::MultishotBlock>(*block_);
  }

  [[nodiscard]] bool is_armed() const noexcept { return block_->is_armed(); }
  /// It stands for a descriptor that is used, though it has not been armed: is_closed() will tell.
  void bind() noexcept { block_->bind(); }
  /// Its descriptor has been closed in order (net/socket.hpp).
  [[nodiscard]] bool is_closed() const noexcept { return block_->is_closed(); }
  [[nodiscard]] Payload& payload() noexcept { return block_->payload; }

 private:
  Block* block_;
};

}  // namespace corering
