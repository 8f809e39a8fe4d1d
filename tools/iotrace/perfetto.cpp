/// perfetto.cpp — the few messages of Perfetto's format that we need, written by hand.
#include "perfetto.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "slices.hpp"

namespace iotrace {
namespace {

/// A protobuf message while it is written.
class Message {
 public:
  Message& number(std::uint32_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& text(std::uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(std::uint32_t field, const Message& inner) { return text(field, inner.bytes_); }
  Message& fixed(std::uint32_t field, std::uint64_t value) {
    varint(field << 3 | 1);
    for (int shift = 0; shift < 64; shift += 8) bytes_ += static_cast<char>(value >> shift);
    return *this;
  }

  void clear() { bytes_.clear(); }
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// The numbers of the fields, each under the message that has it.
namespace trace_field {
constexpr std::uint32_t packet = 1;
}
namespace packet_field {
constexpr std::uint32_t clock_snapshot = 6, timestamp = 8, sequence = 10, event = 11, interned = 12,
                        flags = 13, clock = 58, defaults = 59, descriptor = 60;
constexpr std::uint64_t state_cleared = 1, needs_state = 2;  // bits of `flags`
}  // namespace packet_field
namespace track_field {
constexpr std::uint32_t uuid = 1, name = 2, process = 3, thread = 4, parent = 5, counter = 8, ordering = 11,
                        rank = 12;
constexpr std::uint64_t explicit_ordering = 3;
}  // namespace track_field
namespace event_field {
constexpr std::uint32_t annotation = 4, type = 9, name_iid = 10, track = 11, counter_value = 30,
                        place_iid = 34, flow = 47, flow_end = 48;
constexpr std::uint64_t begins = 1, ends = 2, instant = 3, counter = 4;  // values of `type`
}  // namespace event_field
namespace annotation_field {
constexpr std::uint32_t name_iid = 1, integer = 4, text = 6;
}
namespace interned_field {
constexpr std::uint32_t event_names = 2, annotation_names = 3, places = 4;
}

constexpr std::uint64_t realtime_clock = 1, raw_clock = 5;
constexpr std::uint64_t our_sequence = 1;

/// Gives each name a number. New ones are told in the packet that uses them first.
class Names {
 public:
  explicit Names(std::uint32_t field) : field_(field) {}

  std::uint64_t number_of(std::string_view name, Message& news) {
    const auto [found, is_new] = numbers_.try_emplace(std::string(name), numbers_.size() + 1);
    if (is_new) news.message(field_, Message().number(1, found->second).text(2, name));
    return found->second;
  }

 private:
  std::uint32_t field_;
  std::map<std::string, std::uint64_t, std::less<>> numbers_;
};

/// Numbers the tracks: of the process, and of each thread its own, its counter, and its rows of operations.
/// The numbers are small, because each event has one.
class Tracks {
 public:
  static constexpr std::uint64_t process = 1;

  explicit Tracks(std::size_t threads) : threads_(threads) {}

  [[nodiscard]] std::uint64_t own(std::uint64_t thread) const noexcept { return 2 + thread; }
  [[nodiscard]] std::uint64_t counter(std::uint64_t thread) const noexcept { return own(thread) + threads_; }
  [[nodiscard]] std::uint64_t group(std::uint64_t thread) const noexcept {
    return own(thread) + 2 * threads_;
  }
  [[nodiscard]] std::uint64_t row(std::uint64_t thread, std::uint64_t row) const noexcept {
    return own(thread) + (3 + row) * threads_;
  }

 private:
  std::uint64_t threads_;
};

class Writer {
 public:
  Writer(const Trace& trace, Output& out)
      : trace_(trace),
        out_(out),
        tracks_(trace.recording.threads.size() + 1),
        extent_(extent_of(trace)),
        rows_(rows_of(trace, extent_)),
        arrows_(arrows_of(trace)) {}

  void write() {
    write_clocks();
    write_process();
    for (std::uint32_t i = 0; i < trace_.recording.threads.size(); ++i) write_thread(i);
    write_group(unknown_thread());
    write_rows();
    write_counters();
    for (const Operation& operation : trace_.operations) write_operation(operation);
  }

 private:
  [[nodiscard]] std::uint32_t unknown_thread() const {
    return static_cast<std::uint32_t>(trace_.recording.threads.size());
  }
  [[nodiscard]] std::uint32_t thread_of(const Operation& operation) const {
    return std::min(home_of(operation), unknown_thread());
  }

  void write_packet(const Message& packet) {
    whole_.clear();
    out_.add(whole_.message(trace_field::packet, packet).bytes());
  }

  // The first packet of the sequence: it says which clock the others have.
  void write_clocks() {
    const auto& recording = trace_.recording;
    const auto clock = [](std::uint64_t id, std::int64_t ns) {
      return Message().number(1, id).number(2, static_cast<std::uint64_t>(ns));
    };
    write_packet(Message()
                     .number(packet_field::sequence, our_sequence)
                     .number(packet_field::flags, packet_field::state_cleared)
                     .message(packet_field::defaults, Message().number(packet_field::clock, raw_clock)));
    write_packet(Message()
                     .number(packet_field::sequence, our_sequence)
                     .message(packet_field::clock_snapshot,
                              Message()
                                  .message(1, clock(raw_clock, recording.started_ns))
                                  .message(1, clock(realtime_clock, recording.started_unix))
                                  .number(2, raw_clock)));
  }

  void write_track(const Message& track) {
    write_packet(
        Message().number(packet_field::sequence, our_sequence).message(packet_field::descriptor, track));
  }

  void write_process() {
    const auto pid = static_cast<std::uint64_t>(trace_.recording.pid);
    write_track(Message()
                    .number(track_field::uuid, Tracks::process)
                    .message(track_field::process, Message().number(1, pid).text(6, trace_.recording.program))
                    .number(track_field::ordering, track_field::explicit_ordering));
  }

  void write_thread(std::uint32_t thread) {
    const auto pid = static_cast<std::uint64_t>(trace_.recording.pid);
    const auto tid = static_cast<std::uint64_t>(trace_.recording.threads[thread].tid);
    write_track(Message()
                    .number(track_field::uuid, tracks_.own(thread))
                    .number(track_field::parent, Tracks::process)
                    .message(track_field::thread,
                             Message().number(1, pid).number(2, tid).text(5, name_of_thread(trace_, thread)))
                    .number(track_field::rank, thread));
    write_group(thread);
    write_spans(thread);
  }

  /// The counter of a thread, and what its rows are below.
  void write_group(std::uint32_t thread) {
    const std::uint64_t parent = thread == unknown_thread() ? Tracks::process : tracks_.own(thread);
    const std::string name = name_of_thread(trace_, thread);
    write_track(Message()
                    .number(track_field::uuid, tracks_.counter(thread))
                    .number(track_field::parent, parent)
                    .text(track_field::name, "in flight, " + name)
                    .message(track_field::counter, Message().number(3, 2)));  // a count
    write_track(Message()
                    .number(track_field::uuid, tracks_.group(thread))
                    .number(track_field::parent, parent)
                    .text(track_field::name, "operations, " + name)
                    .number(track_field::ordering, track_field::explicit_ordering));
  }

  void write_rows() {
    std::vector<std::uint32_t> counts(trace_.recording.threads.size() + 1);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::uint32_t& count = counts[thread_of(trace_.operations[i])];
      count = std::max(count, rows_[i] + 1);
    }
    for (std::uint32_t thread = 0; thread < counts.size(); ++thread) {
      for (std::uint32_t row = 0; row < counts[thread]; ++row)
        write_track(Message()
                        .number(track_field::uuid, tracks_.row(thread, row))
                        .number(track_field::parent, tracks_.group(thread))
                        .text(track_field::name, "operation")
                        .number(track_field::rank, row));
    }
  }

  // ---- events ----

  /// Begins an event. What it needs besides is added to event_, and write_event() ends it.
  Message& event(std::uint64_t type, std::uint64_t track) {
    event_.clear();
    news_.clear();
    return event_.number(event_field::type, type).number(event_field::track, track);
  }

  void write_event(Ns at) {
    packet_.clear();
    packet_.number(packet_field::timestamp, static_cast<std::uint64_t>(at))
        .number(packet_field::sequence, our_sequence)
        .number(packet_field::flags, packet_field::needs_state);
    if (!news_.bytes().empty()) packet_.message(packet_field::interned, news_);
    write_packet(packet_.message(packet_field::event, event_));
  }

  Message& named_event(std::uint64_t type, std::uint64_t track, std::string_view name) {
    event(type, track);
    return event_.number(event_field::name_iid, event_names_.number_of(name, news_));
  }

  void write_end(std::uint64_t track, Ns at) {
    event(event_field::ends, track);
    write_event(at);
  }

  /// Begins an annotation: its name.
  Message& annotation(std::string_view name) {
    annotation_.clear();
    return annotation_.number(annotation_field::name_iid, annotation_names_.number_of(name, news_));
  }
  void annotate(std::string_view name, std::int64_t value) {
    annotation(name).number(annotation_field::integer, static_cast<std::uint64_t>(value));
    event_.message(event_field::annotation, annotation_);
  }
  void annotate(std::string_view name, std::string_view value) {
    annotation(name).text(annotation_field::text, value);
    event_.message(event_field::annotation, annotation_);
  }

  void add_place(std::uint64_t key) {
    const corering::trace::Place* const place = trace_.recording.place(key);
    if (place == nullptr) return;
    const auto [found, is_new] = places_.try_emplace(key, places_.size() + 1);
    if (is_new)
      news_.message(interned_field::places, Message()
                                                .number(1, found->second)
                                                .text(2, place->file)
                                                .text(3, place->function)
                                                .number(4, place->line));
    event_.number(event_field::place_iid, found->second);
    annotate("place", trace_.name_of_place(key));
  }

  // ---- a thread ----

  void write_spans(std::uint32_t thread) {
    const std::uint64_t track = tracks_.own(thread);
    auto from = arrows_.from[thread].begin();
    auto to = arrows_.to[thread].begin();
    const bool has_loop = thread < trace_.spans.size() && !trace_.spans[thread].empty();
    if (!has_loop) return write_awaits(thread);
    for (const Span& span : trace_.spans[thread]) {
      named_event(event_field::begins, track, name_of_span(span.what));
      if (span.what == Span::What::run) {
        if (span.task != 0) annotate("task", static_cast<std::int64_t>(Trace::shown_task(span.task)));
        if (const std::string name = trace_.given_name(span.task); !name.empty()) annotate("task name", name);
        add_place(span.place);
        // An operation is awaited until a run ends, and a coroutine goes on when one begins.
        add_arrows(from, arrows_.from[thread].end(), span.begin + 1, span.end + 1, event_field::flow);
        add_arrows(to, arrows_.to[thread].end(), span.begin, std::max(span.end, span.begin + 1),
                   event_field::flow_end);
      }
      write_event(span.begin);
      write_end(track, span.end);
    }
  }

  /// Adds the arrows that have an end from `begin` to before `end`. Those before are passed over.
  template <class Iterator>
  void add_arrows(Iterator& at, Iterator last, Ns begin, Ns end, std::uint32_t field) {
    while (at != last && at->at < begin) ++at;
    for (; at != last && at->at < end; ++at) event_.fixed(field, at->operation);
  }

  /// A thread without a loop, such as main(), has only the moments when it awaits.
  void write_awaits(std::uint32_t thread) {
    for (const ArrowEnd& from : arrows_.from[thread]) {
      named_event(event_field::instant, tracks_.own(thread), "await")
          .fixed(event_field::flow, from.operation);
      write_event(from.at);
    }
  }

  void write_counters() {
    const std::vector<std::vector<InFlight>> all = in_flight(trace_);
    for (std::size_t thread = 0; thread < all.size(); ++thread) {
      for (const InFlight& one : all[thread]) {
        event(event_field::counter, tracks_.counter(thread)).number(event_field::counter_value, one.count);
        write_event(one.at);
      }
    }
  }

  // ---- an operation ----

  void write_operation(const Operation& operation) {
    const std::uint64_t track = tracks_.row(thread_of(operation), rows_[next_row_++]);
    named_event(event_field::begins, track, name_of_operation(operation));
    if (operation.time(At::resumed) != unseen) event_.fixed(event_field::flow, operation.number);
    describe(operation);
    write_event(operation.begin());
    for_each_edge(
        operation,
        [this, track](Stage stage, Ns at) {
          named_event(event_field::begins, track, stage_names[static_cast<std::size_t>(stage)]);
          write_event(at);
        },
        [this, track](Ns at) { write_end(track, at); });
    write_end(track, drawn_end(operation, extent_));
  }

  void describe(const Operation& operation) {
    annotate("number", static_cast<std::int64_t>(operation.number));
    if (operation.fd >= 0) annotate("fd", operation.fd);
    if (operation.length > 0) annotate("length", operation.length);
    if (operation.offset > 0) annotate("offset", static_cast<std::int64_t>(operation.offset));
    if (operation.has_ended) {
      annotate("result", operation.result);
    } else {
      annotate("state", "in flight when the recording ended");
    }
    if (operation.completions > 1) annotate("completions", operation.completions);
    add_place(operation.place);
  }

  const Trace& trace_;
  Output& out_;
  Tracks tracks_;
  Extent extent_;
  std::vector<std::uint32_t> rows_;
  Arrows arrows_;
  std::size_t next_row_ = 0;
  Names event_names_{interned_field::event_names};
  Names annotation_names_{interned_field::annotation_names};
  std::map<std::uint64_t, std::uint64_t> places_;
  // They keep their memory from one event to the next.
  Message whole_, packet_, event_, news_, annotation_;
};

}  // namespace

void write_perfetto(const Trace& trace, Output& out) { Writer(trace, out).write(); }

}  // namespace iotrace
