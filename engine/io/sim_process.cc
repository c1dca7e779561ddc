#include "io/sim_process.h"

#include <algorithm>
#include <array>
#include <csignal>

namespace zferry::io {
namespace {

std::size_t pipe_bytes(const SimProgram& program) {
  return std::visit([](const auto& script) { return script.pipe_bytes; }, program);
}

std::uint64_t bytes_before(std::optional<std::uint64_t> stop, std::uint64_t done) {
  if (!stop) return ~std::uint64_t{0};
  return *stop > done ? *stop - done : 0;
}

}  // namespace

SimSource sim_source(std::vector<std::byte> bytes) {
  auto shared = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return [shared](std::uint64_t offset, Bytes into) -> std::size_t {
    if (offset >= shared->size()) return 0;
    ConstBytes rest = ConstBytes(*shared).subspan(offset);
    std::size_t count = std::min(rest.size(), into.size());
    if (count != 0) std::memcpy(into.data(), rest.data(), count);
    return count;
  };
}

SimProcess::SimProcess(SimCore& core, SimLifeRef life, std::string name, std::vector<std::string> argv,
                       SimProgram program)
    : core_(core),
      life_(std::move(life)),
      name_(std::move(name)),
      program_(std::move(program)),
      ring_(pipe_bytes(program_)) {
  record_.argv = std::move(argv);
  record_.is_consumer = std::holds_alternative<SimConsumer>(program_);
  record_.started = core_.now();
  core_.trace("%s starts %s", life_->host.c_str(), name_.c_str());
  plan_step(core_.io_delay());
}

bool SimProcess::ignores_sigterm() const {
  return std::visit([](const auto& script) { return script.ignores_sigterm; }, program_);
}

void SimProcess::plan_step(Duration delay) {
  if (step_planned_ || record_.exited || exiting_) return;
  step_planned_ = true;
  core_.after(delay, nullptr, [this] { step(); });
}

void SimProcess::step() {
  step_planned_ = false;
  if (record_.exited || exiting_) return;
  record_.is_consumer ? consume() : produce();
}

Duration SimProcess::pace(std::size_t bytes, std::uint64_t bytes_per_second, double pause_chance, Duration pause_max) {
  Duration delay = core_.io_delay();
  if (bytes_per_second != 0) delay += Duration(static_cast<std::int64_t>(bytes * 1'000'000'000ull / bytes_per_second));
  if (pause_chance > 0 && core_.random().chance(pause_chance)) delay += core_.random_below(pause_max);
  return delay;
}

void SimProcess::produce() {
  SimProducer& script = producer();
  std::uint64_t before_stop = bytes_before(script.stop_after_bytes, record_.bytes);
  if (before_stop == 0) return exit(script.stop_exit);
  std::array<std::byte, std::size_t{64} * 1024> chunk;
  std::size_t most = 1 + core_.random().below(std::min(script.chunk_bytes_max, chunk.size()));
  // A closed pipe takes nothing, but the producer learns it only by writing.
  if (pipe_open_) most = std::min(most, ring_.room());
  if (most == 0) return;  // woken when we have read
  most = static_cast<std::size_t>(std::min<std::uint64_t>(most, before_stop));
  std::size_t count = script.source ? script.source(record_.bytes, Bytes(chunk).first(most)) : 0;
  if (count == 0) {
    record_.saw_end = true;
    exiting_ = true;
    core_.after(script.exit_delay, nullptr, [this] { exit(producer().exit); });
    return;
  }
  ZF_ASSERT(count <= most);
  if (!pipe_open_) return exit({true, SIGPIPE});
  ring_.put(Bytes(chunk).first(count));
  core_.trace("%s makes %zu", name_.c_str(), count);
  record_.bytes += count;
  wake();
  plan_step(pace(count, script.bytes_per_second, script.pause_chance, script.pause_max));
}

void SimProcess::consume() {
  SimConsumer& script = consumer();
  if (script.stall_after_bytes && !stalled_ && record_.bytes >= *script.stall_after_bytes) {
    stalled_ = true;
    core_.trace("%s stalls at %llu", name_.c_str(), static_cast<unsigned long long>(record_.bytes));
    return plan_step(script.stall);
  }
  std::uint64_t before_stop = bytes_before(script.stop_after_bytes, record_.bytes);
  if (before_stop == 0) return exit(script.stop_exit);
  if (ring_.size() == 0) return pipe_open_ ? void() : finish_input();  // woken by our next write
  std::array<std::byte, std::size_t{64} * 1024> chunk;
  std::uint64_t most = 1 + core_.random().below(std::min(script.chunk_bytes_max, chunk.size()));
  if (script.stall_after_bytes && !stalled_) most = std::min(most, *script.stall_after_bytes - record_.bytes);
  Bytes taken =
      Bytes(chunk).first(static_cast<std::size_t>(std::min({most, before_stop, std::uint64_t{ring_.size()}})));
  ring_.get(taken);
  core_.trace("%s takes %zu", name_.c_str(), taken.size());
  if (script.on_bytes) script.on_bytes(record_.bytes, taken);
  if (script.collect) record_.content.insert(record_.content.end(), taken.begin(), taken.end());
  record_.bytes += taken.size();
  wake();
  if (std::optional<ExitStatus> status = script.exit_when ? script.exit_when(record_) : std::nullopt)
    return exit(*status);
  plan_step(pace(taken.size(), script.bytes_per_second, script.pause_chance, script.pause_max));
}

void SimProcess::finish_input() {
  record_.saw_end = true;
  exiting_ = true;
  core_.trace("%s: end of input after %llu", name_.c_str(), static_cast<unsigned long long>(record_.bytes));
  core_.after(consumer().exit_delay, nullptr, [this] {
    SimConsumer& script = consumer();
    exit(script.exit_after_end ? script.exit_after_end(record_) : script.exit);
  });
}

void SimProcess::exit(ExitStatus status) {
  if (record_.exited) return;
  record_.exited = true;
  record_.status = status;
  record_.ended = core_.now();
  record_.unread_at_exit = record_.is_consumer ? ring_.size() : 0;
  core_.trace("%s: %s after %llu", name_.c_str(), status.text().c_str(),
              static_cast<unsigned long long>(record_.bytes));
  wake();
  announce_exit();
}

void SimProcess::announce_exit() {
  if (!record_.exited || !on_exit_) return;
  core_.after(core_.io_delay(), life_.get(), [this] {
    if (auto done = std::exchange(on_exit_, nullptr)) done(record_.status);
  });
}

void SimProcess::on_exit(std::function<void(ExitStatus)> done) {
  on_exit_ = std::move(done);
  announce_exit();
}

void SimProcess::forget_exit() { core_.bury(std::exchange(on_exit_, nullptr)); }

void SimProcess::send_signal(int number) {
  if (number == 0) return;
  core_.after(core_.io_delay(), nullptr, [this, number] {
    if (record_.exited) return;
    record_.signals.push_back(number);
    if (number == SIGTERM && ignores_sigterm()) return;
    exit({true, number});
  });
}

void SimProcess::crash(SimCrash how) {
  core_.bury(std::exchange(done_, nullptr));
  forget_exit();
  if (how == SimCrash::kPowerLoss) {
    record_.powered_off = !record_.exited;
    if (!record_.exited) record_.status = {true, SIGKILL};
    record_.exited = true;
    record_.ended = core_.now();
  }
  close_pipe();
}

void SimProcess::read(Bytes into, SizeDone done) {
  ZF_ASSERT(!record_.is_consumer && !into.empty() && !done_ && pipe_open_);
  into_ = into;
  done_ = std::move(done);
  wake();
}

void SimProcess::write(ConstBytes from, SizeDone done) {
  ZF_ASSERT(record_.is_consumer && !done_ && pipe_open_);
  from_ = from;
  written_ = 0;
  done_ = std::move(done);
  wake();
}

void SimProcess::close_pipe() {
  if (!pipe_open_) return;
  pipe_open_ = false;
  if (record_.is_consumer) {
    core_.abandon_write(life_, from_, std::exchange(done_, nullptr));
  } else {
    core_.abandon_read(life_, into_, std::exchange(done_, nullptr));
    ring_.clear();
  }
  plan_step(core_.io_delay());
}

// Something about the pipe changed: our operation may go on.
void SimProcess::wake() {
  if (!done_ || waking_) return;
  waking_ = true;
  core_.after(core_.io_delay(), life_.get(), [this] { serve(); });
}

void SimProcess::serve() {
  waking_ = false;
  if (!done_) return;
  record_.is_consumer ? serve_write() : serve_read();
}

void SimProcess::serve_read() {
  std::optional<std::uint64_t> fails = producer().stream_fails_after_bytes;
  std::uint64_t before_failure = bytes_before(fails, transferred_);
  if (before_failure == 0)
    return complete(Error{Fault::kInputFailed, "read from " + name_ + ": Input/output error", ""});
  std::size_t there =
      static_cast<std::size_t>(std::min({before_failure, std::uint64_t{ring_.size()}, std::uint64_t{into_.size()}}));
  if (there == 0 && !record_.exited) return;
  std::size_t count = there == 0 || core_.random().below(4) != 0 ? there : 1 + core_.random().below(there);
  ring_.get(into_.first(count));
  transferred_ += count;
  plan_step(core_.io_delay());
  complete(count);
}

void SimProcess::serve_write() {
  if (bytes_before(consumer().stream_fails_after_bytes, transferred_) == 0 && written_ < from_.size()) {
    return complete(Error{Fault::kOutputFailed, "write to " + name_ + ": No space left on device", ""});
  }
  if (record_.exited && written_ < from_.size()) {
    return complete(Error{Fault::kOutputFailed, "write to " + name_ + ": Broken pipe", ""});
  }
  std::uint64_t most = bytes_before(consumer().stream_fails_after_bytes, transferred_);
  std::size_t count =
      static_cast<std::size_t>(std::min({most, std::uint64_t{ring_.room()}, std::uint64_t{from_.size() - written_}}));
  ring_.put(from_.subspan(written_, count));
  written_ += count;
  transferred_ += count;
  if (count != 0) plan_step(core_.io_delay());
  if (written_ == from_.size()) return complete(written_);
  if (bytes_before(consumer().stream_fails_after_bytes, transferred_) == 0) wake();
}

void SimProcess::complete(Result<std::size_t> result) {
  core_.trace("%s %s %zd", name_.c_str(), record_.is_consumer ? "was written" : "gave",
              result.ok() ? static_cast<ssize_t>(*result) : -1);
  SizeDone done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace zferry::io
