/// tracepoint_programs.cpp — the programs, instruction by instruction.
#include "tracepoint_programs.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace iotrace {
namespace {

using corering::Fd;
using corering::trace::Kind;

constexpr std::size_t page = 4096;
constexpr std::uint32_t most_processes = 1U << 15;  // and threads: a fork does not say which it is

int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

Fd make_map(std::uint32_t type, std::uint32_t key_bytes, std::uint32_t value_bytes, std::uint32_t entries) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = key_bytes;
  attributes.value_size = value_bytes;
  attributes.max_entries = entries;
  return Fd(bpf(BPF_MAP_CREATE, attributes));
}

enum Register : std::uint8_t { r0, r1, r2, r3, r4, r6 = 6, r7, r10 = 10 };  // r0: results, r1 on: arguments

/// Puts a program together. Registers from r6 on survive calls.
class Assembler {
 public:
  void move(Register to, Register from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void set(Register to, std::int32_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void add_number(Register to, std::int32_t value) { add(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
  void shift_right(Register to, std::int32_t bits) { add(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits); }
  /// Words on the stack, of four bytes; the first is 1.
  void store_word(int number, Register from) {
    store(r10, std::size_t{0} - 4U * static_cast<unsigned>(number), from, 4);
  }
  void address_of_word(Register to, int number) {
    move(to, r10);
    add_number(to, -4 * number);
  }
  void call(std::int32_t helper) { add(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void end() { add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  void store(Register base, std::size_t offset, Register from, std::size_t bytes = 8) {
    add(BPF_STX | BPF_MEM | size_bits(bytes), base, from, offset, 0);
  }
  void store_number(Register base, std::size_t offset, std::int32_t value) {
    add(BPF_ST | BPF_MEM | BPF_DW, base, 0, offset, value);
  }
  void load(Register to, Register base, const TracepointField& field) {
    add(BPF_LDX | BPF_MEM | size_bits(field.size), to, base, field.offset, 0);
  }
  void load_map(Register to, const Fd& map, std::uint8_t what) {
    add(BPF_LD | BPF_IMM | BPF_DW, to, what, 0, map.get());
    add(0, 0, 0, 0, 0);
  }
  void add_atomically(Register base, Register what) {
    add(BPF_STX | BPF_ATOMIC | BPF_DW, base, what, 0, BPF_ADD);
  }
  /// These jump forward, to where land() is called with their result.
  std::size_t jump_if_any_bit(Register value, std::int32_t bits) {
    return add(BPF_JMP | BPF_JSET | BPF_K, value, 0, 0, bits);
  }
  std::size_t jump_if_zero(Register value) { return add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0, 0); }
  /// The current process is then the first word on the stack.
  std::size_t jump_unless_ours(const Fd& processes) {
    call(BPF_FUNC_get_current_pid_tgid);
    shift_right(r0, 32);
    store_word(1, r0);
    load_map(r1, processes, BPF_PSEUDO_MAP_FD);
    address_of_word(r2, 1);
    call(BPF_FUNC_map_lookup_elem);
    return jump_if_zero(r0);
  }
  void land(std::size_t jump) { code_[jump].off = static_cast<std::int16_t>(code_.size() - jump - 1); }

  [[nodiscard]] const std::vector<bpf_insn>& code() const noexcept { return code_; }

 private:
  static int size_bits(std::size_t bytes) {
    return bytes == 8 ? BPF_DW : bytes == 4 ? BPF_W : bytes == 2 ? BPF_H : BPF_B;
  }
  std::size_t add(int opcode, std::uint8_t to, std::uint8_t from, std::size_t offset, std::int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(opcode);
    instruction.dst_reg = to & 0xf;
    instruction.src_reg = from & 0xf;
    instruction.off = static_cast<std::int16_t>(offset);
    instruction.imm = value;
    code_.push_back(instruction);
    return code_.size() - 1;
  }

  std::vector<bpf_insn> code_;
};

int load_program(const std::vector<bpf_insn>& code) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_TRACEPOINT;
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.license = reinterpret_cast<std::uintptr_t>("GPL");  // the helpers ask for it
  return bpf(BPF_PROG_LOAD, attributes);
}

// The event is never switched on: it only says where the program belongs, on all processors.
int open_event(std::uint64_t tracepoint) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = tracepoint;
  attributes.disabled = 1;
  return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, std::max(0, ::sched_getcpu()), -1,
                                    PERF_FLAG_FD_CLOEXEC));
}

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int TracepointPrograms::open(const KnownTracepoints& tracepoints, std::size_t buffer_bytes,
                             std::uint32_t rejected_bits) {
  int refused = make_buffer(std::bit_ceil(std::max(buffer_bytes, page)));
  if (refused == 0) refused = follow(tracepoints.fork);
  for (const Tracepoint& tracepoint : tracepoints.all) {
    if (refused == 0) refused = tell_of(tracepoint, rejected_bits);
  }
  clocks_ = read_clocks();
  if (refused != 0) close();
  return refused;
}

int TracepointPrograms::make_buffer(std::size_t bytes) {
  buffer_ = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, static_cast<std::uint32_t>(bytes));
  if (!buffer_.is_open()) return errno;
  lost_ = make_map(BPF_MAP_TYPE_ARRAY, sizeof(std::uint32_t), sizeof(std::uint64_t), 1);
  if (!lost_.is_open()) return errno;
  processes_ = make_map(BPF_MAP_TYPE_HASH, sizeof(std::int32_t), sizeof(std::int32_t), most_processes);
  if (!processes_.is_open()) return errno;
  bytes_ = bytes;
  void* const consumer = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, buffer_.get(), 0);
  if (consumer == MAP_FAILED) return errno;
  consumer_page_ = consumer;
  void* const memory =
      ::mmap(nullptr, page + 2 * bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, buffer_.get(), page);
  if (memory == MAP_FAILED) return errno;
  memory_ = static_cast<std::byte*>(memory);
  return 0;
}

void TracepointPrograms::close() noexcept {
  events_.clear();
  programs_.clear();
  if (consumer_page_ != nullptr) ::munmap(consumer_page_, page);
  if (memory_ != nullptr) ::munmap(memory_, page + 2 * bytes_);
  consumer_page_ = nullptr;
  memory_ = nullptr;
  buffer_.reset();
  lost_.reset();
  processes_.reset();
}

void TracepointPrograms::add_process(std::int32_t process) noexcept {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(processes_.get());
  attributes.key = reinterpret_cast<std::uintptr_t>(&process);
  attributes.value = reinterpret_cast<std::uintptr_t>(&process);
  attributes.flags = BPF_ANY;
  (void)bpf(BPF_MAP_UPDATE_ELEM, attributes);
}

int TracepointPrograms::attach(const std::vector<bpf_insn>& program, std::uint64_t tracepoint) {
  Fd loaded(load_program(program));
  if (!loaded.is_open()) return errno;
  Fd event(open_event(tracepoint));
  if (!event.is_open() || ::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, loaded.get()) != 0) return errno;
  programs_.push_back(std::move(loaded));
  events_.push_back(std::move(event));
  return 0;
}

int TracepointPrograms::follow(const ForkTracepoint& fork) {
  if (fork.id == 0 || fork.child.size != sizeof(std::int32_t)) return ENOENT;
  Assembler program;
  program.move(r6, r1);
  const std::size_t not_ours = program.jump_unless_ours(processes_);
  program.load(r1, r6, fork.child);
  program.store_word(2, r1);
  program.load_map(r1, processes_, BPF_PSEUDO_MAP_FD);
  program.address_of_word(r2, 2);
  program.address_of_word(r3, 1);
  program.set(r4, BPF_ANY);
  program.call(BPF_FUNC_map_update_elem);
  program.land(not_ours);
  program.set(r0, 1);
  program.end();
  return attach(program.code(), fork.id);
}

int TracepointPrograms::tell_of(const Tracepoint& tracepoint, std::uint32_t rejected_bits) {
  Assembler program;
  std::vector<std::size_t> to_the_end;
  program.move(r6, r1);
  if (rejected_bits != 0) {
    program.load(r1, r6, tracepoint.user_data);
    to_the_end.push_back(program.jump_if_any_bit(r1, static_cast<std::int32_t>(rejected_bits)));
  }
  if (tracepoint.kind != Kind::kernel_ready) to_the_end.push_back(program.jump_unless_ours(processes_));
  program.load_map(r1, buffer_, BPF_PSEUDO_MAP_FD);
  program.set(r2, sizeof(Report));
  program.set(r3, 0);
  program.call(BPF_FUNC_ringbuf_reserve);
  const std::size_t no_room = program.jump_if_zero(r0);
  program.move(r7, r0);
  program.call(BPF_FUNC_ktime_get_ns);
  program.store(r7, offsetof(Report, monotonic_ns), r0);
  program.call(BPF_FUNC_get_current_pid_tgid);
  program.store(r7, offsetof(Report, process_and_thread), r0);
  const auto copy = [&](const TracepointField& field, std::size_t to, std::size_t bytes) {
    program.set(r1, 0);
    if (field.is_there()) program.load(r1, r6, field);
    program.store(r7, to, r1, bytes);
  };
  copy(tracepoint.ring, offsetof(Report, ring), 8);
  copy(tracepoint.request, offsetof(Report, request), 8);
  copy(tracepoint.user_data, offsetof(Report, user_data), 8);
  const bool has_result = tracepoint.result.is_there();
  copy(has_result ? tracepoint.result : tracepoint.opcode, offsetof(Report, result_or_opcode), 4);
  copy(has_result ? tracepoint.cqe_flags : tracepoint.flags, offsetof(Report, flags), 4);
  program.store_number(r7, offsetof(Report, kind), static_cast<std::int32_t>(tracepoint.kind));
  program.move(r1, r7);
  program.set(r2, BPF_RB_NO_WAKEUP);  // we look often enough
  program.call(BPF_FUNC_ringbuf_submit);
  for (const std::size_t jump : to_the_end) program.land(jump);
  program.set(r0, 1);  // 0 would hide the event from others who watch it
  program.end();
  program.land(no_room);
  program.load_map(r1, lost_, BPF_PSEUDO_MAP_VALUE);
  program.set(r2, 1);
  program.add_atomically(r1, r2);
  program.set(r0, 1);
  program.end();
  return attach(program.code(), tracepoint.id);
}

TracepointPrograms::Clocks TracepointPrograms::read_clocks() noexcept {
  const std::int64_t before = clock_ns(CLOCK_MONOTONIC);
  const std::int64_t raw = clock_ns(CLOCK_MONOTONIC_RAW);
  return {.monotonic_ns = before + (clock_ns(CLOCK_MONOTONIC) - before) / 2, .raw_ns = raw};
}

LaneEvent TracepointPrograms::as_event(const Report& report, const Clocks& now) const noexcept {
  const auto raw_passed = static_cast<double>(now.raw_ns - clocks_.raw_ns);
  const auto passed = static_cast<double>(std::max<std::int64_t>(1, now.monotonic_ns - clocks_.monotonic_ns));
  const auto since = static_cast<double>(report.monotonic_ns - clocks_.monotonic_ns);
  LaneEvent event{.ns = clocks_.raw_ns + static_cast<std::int64_t>(since * (raw_passed / passed)),
                  .ring = report.ring,
                  .request = report.request,
                  .user_data = report.user_data,
                  .tid = static_cast<std::int32_t>(report.process_and_thread),
                  .kind = static_cast<Kind>(report.kind)};
  if (event.kind == Kind::kernel_ended || event.kind == Kind::kernel_overflow) {
    event.result = static_cast<std::int32_t>(report.result_or_opcode);
    event.cqe_flags = report.flags;
  } else {
    event.opcode = static_cast<std::uint8_t>(report.result_or_opcode);
    event.sqe_flags = static_cast<std::uint8_t>(report.flags);
  }
  return event;
}

std::uint64_t TracepointPrograms::lost() const {
  if (!is_open()) return 0;
  const std::uint32_t key = 0;
  std::uint64_t value = 0;
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(lost_.get());
  attributes.key = reinterpret_cast<std::uintptr_t>(&key);
  attributes.value = reinterpret_cast<std::uintptr_t>(&value);
  return bpf(BPF_MAP_LOOKUP_ELEM, attributes) == 0 ? value : 0;
}

std::uint64_t TracepointPrograms::position() const noexcept {
  if (memory_ == nullptr) return 0;
  return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(memory_)).load(std::memory_order_acquire);
}

std::atomic_ref<std::uint64_t> TracepointPrograms::consumer() const noexcept {
  return std::atomic_ref(*static_cast<std::uint64_t*>(consumer_page_));
}

// Each record begins with eight bytes: its length, with a bit that is set until it is complete.
const TracepointPrograms::Report* TracepointPrograms::next() const noexcept {
  std::byte* const record = memory_ + page + consumer().load(std::memory_order_relaxed) % bytes_;
  const std::uint32_t length =
      std::atomic_ref(*reinterpret_cast<std::uint32_t*>(record)).load(std::memory_order_acquire);
  if ((length & BPF_RINGBUF_BUSY_BIT) != 0) return nullptr;
  return reinterpret_cast<const Report*>(record + BPF_RINGBUF_HDR_SZ);
}

void TracepointPrograms::release() noexcept {
  consumer().fetch_add(BPF_RINGBUF_HDR_SZ + sizeof(Report), std::memory_order_release);
}

}  // namespace iotrace
