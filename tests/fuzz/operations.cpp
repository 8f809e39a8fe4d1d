/// operations.cpp — any bytes are a script of SQEs for a simulated ring: every request ends exactly once, and
/// nothing is used after its end.
///
/// What a request points to is on the heap, and is freed when the request has ended, so AddressSanitizer sees
/// a kernel that writes there later.
#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <sys/uio.h>
#include <vector>

#include <corering/sim/disk.hpp>

#include "fuzz/bytes.hpp"
#include "sim/sim_kernel.hpp"

namespace corering::fuzz {
namespace {

/// What one request points to.
struct Memory {
  std::array<char, 300> buffer{};
  std::array<iovec, 2> parts{};
  sockaddr_in name{};
  socklen_t name_length = sizeof(sockaddr_in);
  msghdr message{};
  uapi::Timespec time{};
  open_how how{};
  struct statx status{};
  std::array<std::int32_t, 4> files{};
  std::string path, other_path;
};

struct Sent {
  std::unique_ptr<Memory> memory;
  bool may_be_silent = false;
  bool has_ended = false;
};

template <class T>
std::uint64_t address(const T* what) noexcept {
  return reinterpret_cast<std::uintptr_t>(what);
}

constexpr std::array sizes = {0U, 1U, 8U, 64U, 200U, 300U};
constexpr std::array paths = {"/a", "/d", "/d/b", "/tmp", "", "c", "/a/x", ".."};
constexpr std::uint64_t of_a_message = 1U << 20;  // the user data of what other rings are told

class Run {
 public:
  explicit Run(Bytes bytes) : bytes_(bytes), system_(1, faults(), disk_.files()), kernel_(system_) {
    RingParams params{.sq_entries = 16, .cq_entries = 32, .flags = uapi::setup_cqsize};
    must(kernel_.open_ring(params, ring_) == 0);
    open_descriptors();
    room_.fill(-1);  // no address and no length that could be used by mistake
    for (std::size_t i = 0; i < lent_.size(); ++i) give_buffer(static_cast<std::uint16_t>(i));
    if (bytes_.next() % 4 != 0) register_everything();
  }

  void go() {
    for (int step = 0; step < 60 && !bytes_.empty(); ++step) take_step();
    finish();
  }

 private:
  using Opcodes = std::array<std::uint8_t, 5>;

  sim::Faults faults() noexcept {
    const std::uint8_t seed = bytes_.next();
    return seed < 64 ? sim::Faults() : sim::Faults::swarm(seed);
  }

  void open_descriptors() {
    std::array<int, 2> pair{};
    again([&] { return system_.socket_pair(SOCK_STREAM, pair.data()); });
    fds_ = {-1, 3, AT_FDCWD, ring_->descriptor(), pair[0], pair[1]};
    again([&] { return system_.pipe(pair.data()); });
    fds_.insert(fds_.end(), pair.begin(), pair.end());
    for (const int type : {SOCK_STREAM, SOCK_DGRAM})
      fds_.push_back(again([&] { return system_.socket(AF_INET, type); }));
    bind(SOCK_DGRAM, 81);
    must(system_.listen(bind(SOCK_STREAM, 80), 4) == 0);
    fds_.push_back(again([&] { return kernel_.open_eventfd(); }));
  }

  /// Until the faults that may strike here have struck.
  template <class Call>
  static int again(Call&& call) {
    int result = -1;
    for (int i = 0; i < 1000 && result < 0; ++i) result = call();
    must(result >= 0);
    return result;
  }

  int bind(int type, std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int made = again([&] { return system_.socket(AF_INET, type); });
    must(system_.bind(made, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    fds_.push_back(made);
    return made;
  }

  // ---- steps ----

  void take_step() {
    switch (bytes_.next() % 16) {
      case 0:
        enter(0);
        return;
      case 1:
        pass_time();
        return;
      case 2:
        return (void)kernel_.wake(fds_.back());
      case 3:
        return register_something();
      case 4:
        return give_buffer(static_cast<std::uint16_t>(bytes_.next() % lent_.size()));
      case 5:
        return (void)system_.close(fds_[4 + bytes_.next() % (fds_.size() - 5)]);
      default:
        return push();
    }
  }

  /// `fill` may use everything of an Sqe but its user data.
  void push() {
    const RingMemory& memory = ring_->memory();
    if (*memory.sq_tail - *memory.sq_head == memory.sq_entries) enter(0);
    if (*memory.sq_tail - *memory.sq_head == memory.sq_entries) return;  // the kernel takes nothing now
    const std::uint64_t user_data = sent_.size() + 8;
    const std::uint32_t at = *memory.sq_tail & (memory.sq_entries - 1);
    Sqe& sqe = memory.sqes[at];
    sqe = {};
    Sent sent{.memory = std::make_unique<Memory>()};
    fill(sqe, *sent.memory);
    sqe.user_data = user_data;
    // A link's success or failure decides who speaks, so only a chain without the flag has to.
    skips_ = skips_ || (sqe.flags & uapi::sqe_cqe_skip_success) != 0;
    sent.may_be_silent = skips_;
    if ((sqe.flags & (uapi::sqe_io_link | uapi::sqe_io_hardlink)) == 0) skips_ = false;
    memory.sq_array[at] = at;
    sent_.push_back(std::move(sent));
    ++*memory.sq_tail;
  }

  void enter(unsigned wanted) {
    const RingMemory& memory = ring_->memory();
    (void)ring_->enter(*memory.sq_tail - *memory.sq_head, wanted, uapi::enter_getevents, nullptr);
    reap();
  }

  void reap() {
    const RingMemory& memory = ring_->memory();
    for (; *memory.cq_head != *memory.cq_tail; ++*memory.cq_head)
      take(memory.cqes[*memory.cq_head & (memory.cq_entries - 1)]);
  }

  void take(const Cqe& cqe) {
    if (cqe.user_data == of_a_message) return;
    const std::uint64_t index = cqe.user_data - 8;
    must(index < sent_.size());
    must(!sent_[index].has_ended);
    if ((cqe.flags & uapi::cqe_buffer) != 0) must(cqe.flags >> uapi::cqe_buffer_shift < lent_.size());
    if ((cqe.flags & uapi::cqe_more) != 0) return;
    sent_[index].has_ended = true;
    sent_[index].memory.reset();
  }

  bool pass_time() {
    std::int64_t next = system_.next_plan().value_or(INT64_MAX);
    if (const auto due = ring_->until_due(); due && due->count() < INT64_MAX / 2)
      next = std::min<std::int64_t>(next, system_.since_begin() + std::max<std::int64_t>(due->count(), 0));
    if (next == INT64_MAX) return false;
    system_.jump_to(std::max(next, system_.since_begin()));
    (void)system_.happen();
    enter(0);
    return true;
  }

  // ---- requests ----

  std::uint64_t number() noexcept {
    return bytes_.one_of(std::array<std::uint64_t, 6>{0, 1, 7, 300, 4096, ~0ULL});
  }
  std::uint64_t target() noexcept { return 8 + bytes_.next() % 32; }

  void fill(Sqe& sqe, Memory& memory) {
    sqe.opcode = static_cast<std::uint8_t>(bytes_.next() % (opcode_names.size() + 2));
    sqe.flags = static_cast<std::uint8_t>(
        bytes_.one_of(std::array{0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 36, 68, 33, 255}));
    sqe.ioprio = bytes_.next() % 2 == 0 ? 0 : bytes_.next() % 128;
    sqe.fd = (sqe.flags & uapi::sqe_fixed_file) != 0 ? bytes_.next() % 6 : bytes_.one_of(fds_);
    sqe.buf_index = bytes_.next() % 3;
    sqe.file_index = bytes_.one_of(std::array{0U, 0U, 0U, 1U, 4U, 9U, uapi::file_index_alloc});
    sqe.op_flags = bytes_.one_of(std::array<std::uint32_t, 14>{0, 0, 0, 1, 2, 4, 8, 16, 32, 64, MSG_WAITALL,
                                                               MSG_DONTWAIT, MSG_PEEK | MSG_TRUNC, ~0U});
    fill_memory(memory);
    sqe.addr = address(memory.buffer.data());
    sqe.len = bytes_.one_of(sizes);
    sqe.off = number();
    sqe.addr3 = address(memory.buffer.data());
    fill_as(static_cast<Opcode>(sqe.opcode), sqe, memory);
  }

  void fill_memory(Memory& memory) {
    std::uint8_t value = bytes_.next();
    memory.buffer.fill(static_cast<char>(value));
    memory.parts[0] = {memory.buffer.data(), value % 100U};
    memory.parts[1] = {memory.buffer.data() + 100, value % 200U};
    memory.name = {.sin_family = AF_INET,
                   .sin_port = htons(value % 2 == 0 ? 80 : 81),
                   .sin_addr = {htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    memory.message = {.msg_name = value % 3 == 0 ? &memory.name : nullptr,
                      .msg_namelen = value % 3 == 0 ? memory.name_length : 0,
                      .msg_iov = memory.parts.data(),
                      .msg_iovlen = value % 3U,
                      .msg_control = nullptr,
                      .msg_controllen = 0,
                      .msg_flags = 0};
    memory.time = {.seconds = value % 3, .nanoseconds = value * 1000};
    memory.how = {.flags = value % 2 == 0 ? std::uint64_t{O_RDWR | O_CREAT} : std::uint64_t{O_DIRECTORY},
                  .mode = value % 2 == 0 ? 0600U : 0U,
                  .resolve = 0};
    memory.files = {fds_[value % fds_.size()], -1, fds_[4], -2};
    memory.path = paths[value % paths.size()];
    memory.other_path = paths[value / 8 % paths.size()];
  }

  /// Where an opcode has something else than a buffer, a length and an offset.
  void fill_as(Opcode opcode, Sqe& sqe, Memory& memory) {
    switch (opcode) {
      case Opcode::readv:
      case Opcode::writev:
      case Opcode::readv_fixed:
      case Opcode::writev_fixed:
        return point(sqe, memory.parts.data(), sqe.len % 3);
      case Opcode::sendmsg:
      case Opcode::recvmsg:
      case Opcode::sendmsg_zc:
        return point(sqe, &memory.message, 1);
      case Opcode::send:
      case Opcode::send_zc:
        sqe.off = 0;
        sqe.file_index = 0;
        if ((sqe.ioprio & uapi::send_vectorized) != 0) point(sqe, memory.parts.data(), sqe.len % 3);
        return;
      case Opcode::timeout:
      case Opcode::link_timeout:
        return point(sqe, &memory.time, sqe.len < 8 ? 1 : sqe.len);
      case Opcode::timeout_remove:
        sqe.addr = target();
        sqe.off = address(&memory.time);
        return;
      case Opcode::poll_remove:
      case Opcode::async_cancel:
        sqe.addr = target();
        if (opcode == Opcode::async_cancel && sqe.len > 8) sqe.len = bytes_.next() % 64;
        sqe.off = sqe.addr;  // a poll keeps its name
        return;
      case Opcode::poll_add:
        sqe.op_flags = bytes_.one_of(std::array{POLLIN, POLLOUT, POLLIN | POLLOUT, 0});
        sqe.len %= 2;
        return;
      default:
        return fill_as_other(opcode, sqe, memory);
    }
  }

  void fill_as_other(Opcode opcode, Sqe& sqe, Memory& memory) {
    switch (opcode) {
      case Opcode::accept:
        sqe.addr = address(&memory.name);
        sqe.off = address(&memory.name_length);
        return;
      case Opcode::connect:
      case Opcode::bind:
        sqe.addr = address(&memory.name);
        sqe.off = sizeof memory.name;
        return;
      case Opcode::openat:
        return point(sqe, memory.path.c_str(), 0600);
      case Opcode::openat2:
        sqe.off = address(&memory.how);
        return point(sqe, memory.path.c_str(), sizeof memory.how);
      case Opcode::statx:
        sqe.off = address(&memory.status);
        return point(sqe, memory.path.c_str(), STATX_BASIC_STATS);
      case Opcode::unlinkat:
      case Opcode::mkdirat:
        return point(sqe, memory.path.c_str(), 0700);
      case Opcode::renameat:
      case Opcode::linkat:
      case Opcode::symlinkat:
        sqe.off = address(memory.other_path.c_str());
        return point(sqe, memory.path.c_str(), static_cast<std::uint32_t>(AT_FDCWD));
      case Opcode::files_update:
        sqe.off = sqe.off == ~0ULL ? uapi::file_index_alloc : sqe.off;
        return point(sqe, memory.files.data(), sqe.len % 5);
      case Opcode::pipe:
        return point(sqe, memory.files.data(), 0);
      case Opcode::socket:
        sqe.fd = sqe.buf_index == 0 ? AF_UNIX : AF_INET;
        sqe.off = bytes_.one_of(std::array{SOCK_STREAM, SOCK_DGRAM, SOCK_RAW});
        return;
      case Opcode::msg_ring:
        sqe.addr = sqe.addr3 = sqe.buf_index;
        sqe.off = of_a_message;
        return;
      case Opcode::fallocate:
        sqe.addr = number();
        sqe.len %= 2;
        return;
      case Opcode::uring_cmd:
        sqe.off = sqe.len % 5;
        sqe.addr = SOL_SOCKET | std::uint64_t{bytes_.next()} << 32;
        sqe.file_index = bytes_.one_of(std::array{0U, 4U, 8U, 300U});
        return;
      default:
        return;
    }
  }

  template <class T>
  static void point(Sqe& sqe, const T* what, std::size_t count) noexcept {
    sqe.addr = address(what);
    sqe.len = static_cast<std::uint32_t>(count);
  }

  // ---- resources ----

  /// Files, buffers and one group of buffers. Few inputs would come this far by themselves.
  void register_everything() {
    for (int kind = 0; kind < 6; kind += 2) register_one(kind, 0);
  }

  void register_something() {
    const auto group = static_cast<std::uint16_t>(bytes_.next() % 2);
    register_one(bytes_.next() % 6, group);
  }

  void register_one(int kind, std::uint16_t buffer_group) {
    std::array<std::int32_t, 4> files = {fds_[4], fds_[8], -1, fds_[5]};
    uapi::RsrcRegister wish{.count = 4, .data = address(files.data())};
    const std::array<iovec, 2> fixed = {iovec{room_.data(), 300}, iovec{room_.data() + 300, 200}};
    uapi::RsrcRegister buffers{.count = 2, .data = address(fixed.data())};
    uapi::BufferRingRegister group{.address = address(lent_.data()),
                                   .entries = static_cast<std::uint32_t>(lent_.size()),
                                   .group = buffer_group,
                                   .flags = 0};
    switch (kind) {
      case 0:
        return (void)ring_->register_resource(uapi::register_files2, &wish, sizeof wish);
      case 1:
        return (void)ring_->register_resource(uapi::unregister_files, nullptr, 0);
      case 2:
        return (void)ring_->register_resource(uapi::register_buffers2, &buffers, sizeof buffers);
      case 3:
        return (void)ring_->register_resource(uapi::unregister_buffers, nullptr, 0);
      case 4:
        return (void)ring_->register_resource(uapi::register_pbuf_ring, &group, 1);
      default:
        return (void)ring_->register_resource(uapi::unregister_pbuf_ring, &group, 1);
    }
  }

  /// Each buffer is 60 bytes of the room that lives as long as the run.
  void give_buffer(std::uint16_t id) noexcept {
    uapi::RingBuffer& entry = lent_[tail_ % lent_.size()];
    entry.address = address(room_.data() + id * 60);
    entry.length = 60;
    entry.id = id;
    lent_[0].tail = ++tail_;
  }

  // ---- the end ----

  bool all_have_ended() const noexcept {
    for (const Sent& sent : sent_) {
      if (!sent.has_ended && !sent.may_be_silent) return false;
    }
    return true;
  }

  void cancel_everything() {
    const RingMemory& memory = ring_->memory();
    const std::uint32_t at = *memory.sq_tail & (memory.sq_entries - 1);
    memory.sqes[at] = {.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
                       .op_flags = uapi::cancel_any | uapi::cancel_all,
                       .user_data = of_a_message};
    memory.sq_array[at] = at;
    ++*memory.sq_tail;
  }

  /// Without faults, and with everything cancelled, every request ends.
  void finish() {
    system_.end_faults();
    for (int round = 0; round < 5000; ++round) {
      enter(0);
      if (round % 8 == 0) cancel_everything();
      enter(0);
      if (all_have_ended() && round > 2) break;
      (void)pass_time();
    }
    must(all_have_ended());
    ring_.reset();
  }

  Bytes bytes_;
  sim::Disk disk_;
  sim::System system_;
  sim::SimKernel kernel_;
  std::unique_ptr<KernelRing> ring_;
  std::vector<int> fds_;
  std::vector<Sent> sent_;
  bool skips_ = false;  // the chain that is being pushed
  std::array<char, 500> room_{};
  alignas(4096) std::array<uapi::RingBuffer, 8> lent_{};
  std::uint16_t tail_ = 0;
};

}  // namespace
}  // namespace corering::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  corering::fuzz::Run(corering::fuzz::Bytes(data, size)).go();
  return 0;
}
