// wanlab-carrier: carries packets between two TUN devices in two network namespaces that are there already. Started by
// tools/wanlab/wanlab, which makes the namespaces and turns what people write into numbers. Prints "ready" when the
// devices are there.
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "carrier.h"

namespace {

constexpr int kUsage = 2;
constexpr int kFailed = 1;
constexpr int kNice = -10;

struct Arguments {
  std::string space_a, space_b, device = "wan0", control;
  std::uint64_t seed = 1;
  int leash = -1;
  char** when_orphaned = nullptr;  // what is run when the owner is gone
};

bool parse(int count, char** words, Arguments& out) {
  for (int index = 1; index < count; index += 2) {
    const std::string key = words[index];
    if (key == "--") {
      out.when_orphaned = words + index + 1;
      break;
    }
    if (index + 1 >= count) return false;
    const char* const value = words[index + 1];
    if (key == "--a") {
      out.space_a = value;
    } else if (key == "--b") {
      out.space_b = value;
    } else if (key == "--device") {
      out.device = value;
    } else if (key == "--control") {
      out.control = value;
    } else if (key == "--seed") {
      out.seed = std::strtoull(value, nullptr, 10);
    } else if (key == "--leash") {
      out.leash = std::atoi(value);
    } else {
      return false;
    }
  }
  return !out.space_a.empty() && !out.space_b.empty() && !out.control.empty();
}

}  // namespace

int main(int count, char** words) {
  using namespace zferry::wanlab;
  Arguments arguments;
  if (!parse(count, words, arguments)) {
    std::fputs(
        "wanlab-carrier --a FILE --b FILE --control PATH [--device NAME] [--seed N] [--leash FD] [-- COMMAND...]\n",
        stderr);
    return kUsage;
  }
  std::signal(SIGPIPE, SIG_IGN);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // lock and leash end with us, not with what is run after us
  ::setpriority(PRIO_PROCESS, 0, kNice);  // who ferries must not be kept waiting by who sends; refused without root
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // by default a timer may be 50 microseconds late
  std::string why;
  auto a = Tun::make(arguments.space_a, arguments.device, why);
  auto b = a ? Tun::make(arguments.space_b, arguments.device, why) : std::nullopt;
  auto control = b ? ControlSocket::listen(arguments.control, why) : std::nullopt;
  if (!control) {
    std::fprintf(stderr, "wanlab-carrier: %s\n", why.c_str());
    return kFailed;
  }
  Carrier::End end{};
  {
    Carrier carrier({std::move(*a), std::move(*b)}, std::move(*control), arguments.seed);
    std::puts("ready");
    std::fflush(stdout);
    end = carrier.run(arguments.leash);
  }
  if (end == Carrier::End::kOrphaned && arguments.when_orphaned != nullptr) {
    ::execvp(arguments.when_orphaned[0], arguments.when_orphaned);
    std::fprintf(stderr, "wanlab-carrier: %s: %s\n", arguments.when_orphaned[0], std::strerror(errno));
    return kFailed;
  }
  return 0;
}
