/// main.cpp — soak: loads the server, and compares what the program holds before and after.
///
/// soak PART [--long]: connections, posts, churn, hostile or waits. Each part loads the server once to warm
/// up, reads what the program holds, loads it again, and reads again. Exit code 1: something is not as
/// before.
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "soak/loads.hpp"
#include "soak/usage.hpp"
#include "support/story.hpp"

namespace corering::soak {
namespace {

using namespace std::chrono_literals;

constexpr int skipped = 77;

[[nodiscard]] int skip(const std::string& why) {
  std::printf("skipped: %s\n", why.c_str());
  return skipped;
}

double seconds_since(TimePoint begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Calls `load` with 0 to warm up, and then with 1; returns the exit code.
template <class Load>
int compare_around(Server& server, const Load& load) {
  load(0);
  const Usage before = settled_usage(server);
  const TimePoint begin = Clock::now();
  load(1);
  const double took = seconds_since(begin);
  const Usage after = settled_usage(server);
  const std::string different = difference(before, after);
  std::printf("before: %s\nafter:  %s\n%.1f s\n", in_words(before).c_str(), in_words(after).c_str(), took);
  if (different.empty()) return std::printf("everything is as before\n"), 0;
  return std::printf("FAILED: not as before: %s\n", different.c_str()), 1;
}

int hold_connections(bool is_long) {
  const std::uint64_t idle = is_long ? 10'000 : 300, active = is_long ? 500 : 50;
  const std::uint64_t wanted = idle + 2 * active + 100;
  if (!may_open(wanted))
    return skip("RLIMIT_NOFILE is below " + std::to_string(wanted) + ": raise the hard limit");
  IdlePeer peer;
  Server server;
  bool all_there = true;
  const int code = compare_around(server, [&](int) {
    all_there = all_there && peer.open(server, idle) == idle;
    const std::uint64_t echoed = talk_at_once(server, active, is_long ? 200 : 10);
    all_there = all_there && peer.talk() == idle;
    std::printf("%llu idle connections, %llu active ones, which sent %llu bytes\n",
                static_cast<unsigned long long>(idle), static_cast<unsigned long long>(active),
                static_cast<unsigned long long>(echoed));
    peer.close_all();
  });
  if (!all_there) return std::printf("FAILED: an idle connection was lost\n"), 1;
  return code;
}

int post_across(bool is_long) {
  Server server;
  const std::uint64_t posts = is_long ? 10'000'000 : 200'000;
  return compare_around(server, [&](int round) { hop(server, round == 0 ? posts / 10 : posts); });
}

int churn(bool is_long) {
  Server server;
  const std::uint64_t times = is_long ? 50'000 : 1'000;
  return compare_around(server,
                        [&](int round) { connect_and_disconnect(server, round == 0 ? times / 5 : times); });
}

int suffer(bool is_long) {
  Server server;
  const Duration time = is_long ? Duration(5min) : test::under_sanitizer ? Duration(1s) : Duration(700ms);
  Hostility sum;
  const int code = compare_around(server, [&](int round) {
    sum = be_hostile(server, round == 0 ? time / 5 : time, 42 + static_cast<std::uint64_t>(round));
    std::printf(
        "%llu resets, %llu half-closes, %llu dripped, %llu stalled, %llu closed at once, %llu cancelled\n",
        static_cast<unsigned long long>(sum.resets), static_cast<unsigned long long>(sum.half_closes),
        static_cast<unsigned long long>(sum.drips), static_cast<unsigned long long>(sum.stalls),
        static_cast<unsigned long long>(sum.quiet_closes), static_cast<unsigned long long>(sum.cancels));
  });
  if (!sum.has_been_everything()) return std::printf("FAILED: one kind of hostility did not happen\n"), 1;
  return code;
}

void print_lateness(Server& server) {
  WorkerStats sum;
  for (const WorkerStats& one : server.pool().stats()) sum += one;
  const auto us = [&](double share) {
    return static_cast<double>(sum.lateness.quantile(share).count()) / 1000;
  };
  std::printf(
      "%llu sleeps of the workers ended with a timer: half of them within %.1f us, 99%% within %.1f, the "
      "worst "
      "%.1f us late; %llu were 100 ms late or more\n",
      static_cast<unsigned long long>(sum.lateness.count()), us(0.5), us(0.99), us(1),
      static_cast<unsigned long long>(sum.late_waits));
}

// A machine may be busy once; a kernel that is wrong is so again and again.
int wait_on_time(bool is_long) {
  Server server;
  const std::uint64_t tasks = is_long ? 200 : 50, times = is_long ? 5'000 : 20;
  const int code = compare_around(
      server, [&](int round) { wait_beside_a_poll(server, tasks, round == 0 ? times / 10 : times); });
  std::printf("%llu waits of 10 ms beside a pending poll\n", static_cast<unsigned long long>(tasks * times));
  print_lateness(server);
  WorkerStats sum;
  for (const WorkerStats& one : server.pool().stats()) sum += one;
  if (sum.lateness.count() == 0) return std::printf("FAILED: no wait was counted\n"), 1;
  if (sum.lateness.quantile(0.5) < 100ms) return code;
  return std::printf("FAILED: most waits end late: this kernel is at fault\n"), 1;
}

struct Part {
  const char* name;
  int (*run)(bool is_long);
};
constexpr std::array parts = {Part{"connections", hold_connections}, Part{"posts", post_across},
                              Part{"churn", churn}, Part{"hostile", suffer}, Part{"waits", wait_on_time}};

}  // namespace
}  // namespace corering::soak

int main(int count, char** arguments) {
  const bool is_long = count == 3 && std::strcmp(arguments[2], "--long") == 0;
  for (const auto& part : corering::soak::parts) {
    if ((count == 2 || is_long) && std::strcmp(arguments[1], part.name) == 0) return part.run(is_long);
  }
  std::fprintf(stderr, "usage: soak connections|posts|churn|hostile|waits [--long]\n");
  return 2;
}
