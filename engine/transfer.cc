#include "transfer.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/lifeline.h"
#include "io/posix_host.h"
#include "pipeline/source.h"
#include "pipeline/target.h"

namespace zferry {
namespace {

io::Backend backend_of(IoChoice choice) {
  switch (choice) {
    case IoChoice::kUring: return io::Backend::kUring;
    case IoChoice::kPoll: return io::Backend::kPoll;
    default: return io::Backend::kAuto;
  }
}

std::size_t worker_count(int wanted) {
  std::size_t count = wanted > 0 ? static_cast<std::size_t>(wanted) : std::max(1U, std::thread::hardware_concurrency());
  return std::min(count, limits::kWorkersMax);
}

// Threads may be refused (a limit on processes); that is the one thing here that the standard library tells by an
// exception.
Result<std::unique_ptr<flow::ThreadWorkers>> make_workers(std::size_t count, io::Loop& loop) {
  try {
    return std::make_unique<flow::ThreadWorkers>(count,
                                                 [&loop](std::function<void()> task) { loop.post(std::move(task)); });
  } catch (const std::system_error& error) {
    return Error{Fault::kCannotRun, std::string("start threads: ") + error.what(), "fewer of them: --workers 1"};
  }
}

// One end on this machine: End is Source or Target, which have the same shape.
template <class End, class Settings>
Result<RunResult> run_end(Settings settings, const RunSettings& run) {
  auto made = io::PosixHost::create({backend_of(run.io), run.state_folder});
  if (!made) return made.take_error();
  io::PosixHost& machine = **made;
  if (run.on_backend) run.on_backend(machine.backend_name());
  settings.lane.ciphers = seal::ciphers_by_speed();
#ifdef M_MMAP_THRESHOLD
  // What a pool lets go of is the kernel's again at once, rather than a hole in the heap.
  ::mallopt(M_MMAP_THRESHOLD, limits::kShortBlockBytes);
#endif

  io::Loop& loop = machine.loop();
  auto made_workers = make_workers(worker_count(run.workers), loop);
  if (!made_workers) return made_workers.take_error();
  flow::ThreadWorkers& workers = **made_workers;
  auto made_disk = make_workers(1, loop);
  if (!made_disk) return made_disk.take_error();
  pipeline::Host host{loop,    machine.network(), machine.processes(), machine.files(),
                      workers, **made_disk,       system_random(),     seal::x25519()};
  TimePoint started = loop.now();
  std::optional<RunResult> result;
  End end(host, settings, [&](const Report& report) {
    result = RunResult{report, loop.now() - started};
    machine.stop();
  });
  bool interrupted = false;
  machine.on_interrupt([&](int signal_number) {
    if (!std::exchange(interrupted, true)) return end.interrupt(signal_number);
    result = RunResult{end.abandoned(), loop.now() - started};  // asked twice: no more waiting
    machine.stop();
  });

  Lifeline lifeline;
  std::function<void()> tick = [&] {
    run.on_progress(end.progress(), loop.now() - started);
    loop.after(run.progress_every, lifeline.guard(std::ref(tick)));
  };
  if (run.on_progress) loop.after(run.progress_every, lifeline.guard(std::ref(tick)));
  end.start();
  machine.run();
  ZF_ASSERT(result);
  return std::move(*result);
}

}  // namespace

Result<RunResult> run_source(SourceSettings settings, const RunSettings& run) {
  return run_end<pipeline::Source>(std::move(settings), run);
}

Result<RunResult> run_target(TargetSettings settings, const RunSettings& run) {
  return run_end<pipeline::Target>(std::move(settings), run);
}

}  // namespace zferry
