#include "io/posix_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "io/fd_stream.h"

namespace zferry::io {

namespace {

// posix_spawn's two option objects, freed whatever happens.
struct SpawnPlan {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  SpawnPlan() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

int start(const std::vector<std::string>& argv, PipeEnd end, int its_end, pid_t* pid) {
  SpawnPlan plan;
  if (end == PipeEnd::kItsOutput) {
    // The pipe first: its descriptor could be 0 itself.
    posix_spawn_file_actions_adddup2(&plan.files, its_end, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&plan.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  } else {
    // What a consumer says goes to our standard error: our standard output is for streams and reports.
    posix_spawn_file_actions_adddup2(&plan.files, its_end, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&plan.files, STDERR_FILENO, STDOUT_FILENO);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  return ::posix_spawnp(pid, arguments[0], &plan.files, &plan.attributes, arguments.data(), environ);
}

}  // namespace

Result<std::unique_ptr<Child>> PosixProcesses::spawn(const std::vector<std::string>& argv, PipeEnd end) {
  std::erase_if(*abandoned_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
  if (argv.empty() || argv[0].empty()) return Error{Fault::kCannotRun, "no command to run", "write it behind --"};
  const std::string what = "run " + escaped(argv[0]);
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return errno_error(Fault::kCannotRun, what + ": pipe", errno);
  UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  // Before the child starts, as growing a pipe that holds data can deadlock; past the user's quota it stays as it is.
  ::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(1 * limits::MiB));

  const bool reads = end == PipeEnd::kItsOutput;
  UniqueFd& ours = reads ? read_end : write_end;
  UniqueFd& its = reads ? write_end : read_end;
  pid_t pid = 0;
  if (const int error_number = start(argv, end, its.get(), &pid); error_number != 0) {
    Error error = errno_error(Fault::kCannotRun, what, error_number);
    error.next = "check the command's path: command -v " + escaped(argv[0]);
    return error;
  }
  its.reset();
  ::fcntl(ours.get(), F_SETFL, ::fcntl(ours.get(), F_GETFL) | O_NONBLOCK);  // the ends are two descriptions
  StreamTraits traits{FdKind::kOwnPipe, false, true, (reads ? "the output of " : "the input of ") + escaped(argv[0])};
  auto pipe = std::make_unique<FdStream>(loop_, std::move(ours), std::move(traits));
  return std::unique_ptr<Child>(std::make_unique<PosixChild>(loop_, pid, std::move(pipe), abandoned_));
}

}  // namespace zferry::io
