// SimProcess: one scripted child with the pipe between it and the program. It belongs to the world, so it outlives the
// program's crash and sees the end of its pipe as a real child would. Single-threaded.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/byte_stream.h"
#include "io/sim_child.h"
#include "io/sim_core.h"
#include "io/sim_fault.h"
#include "io/sim_ring.h"

namespace zferry::io {

class SimProcess {
 public:
  // Starts at once. `name` is for streams and traces.
  SimProcess(SimCore& core, SimLifeRef life, std::string name, std::vector<std::string> argv, SimProgram program);

  const SimChildRecord& record() const { return record_; }
  const SimLifeRef& life() const { return life_; }
  const std::string& name() const { return name_; }

  // Our end of the pipe.
  void read(Bytes into, SizeDone done);
  void write(ConstBytes from, SizeDone done);
  std::size_t unread() const { return ring_.size(); }
  void close_pipe();

  void on_exit(std::function<void(ExitStatus)> done);
  // After this on_exit's callback is never called.
  void forget_exit();
  void send_signal(int number);
  void crash(SimCrash how);

 private:
  SimProducer& producer() { return std::get<SimProducer>(program_); }
  SimConsumer& consumer() { return std::get<SimConsumer>(program_); }
  bool ignores_sigterm() const;
  void plan_step(Duration delay);
  void step();
  void produce();
  void consume();
  void finish_input();
  Duration pace(std::size_t bytes, std::uint64_t bytes_per_second, double pause_chance, Duration pause_max);
  void exit(ExitStatus status);
  void announce_exit();
  void wake();
  void serve();
  void serve_read();
  void serve_write();
  void complete(Result<std::size_t> result);

  SimCore& core_;
  SimLifeRef life_;
  std::string name_;
  SimProgram program_;
  SimChildRecord record_;
  SimRing ring_;
  bool step_planned_ = false;
  bool stalled_ = false;   // the one stall has begun
  bool exiting_ = false;   // only the exit is left
  bool pipe_open_ = true;  // our end
  bool waking_ = false;
  std::uint64_t transferred_ = 0;  // bytes that we read or wrote
  SizeDone done_;                  // of the one operation of ours: a pipe goes one way
  Bytes into_;
  ConstBytes from_;
  std::size_t written_ = 0;
  std::function<void(ExitStatus)> on_exit_;
};

// Our end of a process's pipe, as the program holds it.
class SimPipe final : public ByteStream {
 public:
  SimPipe(SimProcess& process) : process_(process), life_(process.life()) {}  // NOLINT(google-explicit-constructor)
  ~SimPipe() override {
    if (life_->alive) process_.close_pipe();
  }
  void read(Bytes into, SizeDone done) override {
    if (life_->alive) process_.read(into, std::move(done));
  }
  void write(ConstBytes from, SizeDone done) override {
    if (life_->alive) process_.write(from, std::move(done));
  }
  void shutdown_write() override {}
  std::size_t unread() const override { return life_->alive ? process_.unread() : 0; }
  std::string name() const override { return process_.name(); }

 private:
  SimProcess& process_;
  SimLifeRef life_;
};

}  // namespace zferry::io
