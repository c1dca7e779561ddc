#include "io/sim_host.h"

#include <csignal>

namespace zferry::io {
namespace {

class SimChild final : public Child {
 public:
  explicit SimChild(SimProcess& process)
      : process_(process), life_(process.life()), pipe_(std::make_unique<SimPipe>(process)) {}
  ~SimChild() override {
    pipe_.reset();
    if (!life_->alive) return;
    process_.forget_exit();
    process_.send_signal(SIGTERM);
  }
  ByteStream& pipe() override {
    ZF_ASSERT(pipe_ != nullptr);
    return *pipe_;
  }
  void close_pipe() override { pipe_.reset(); }
  void on_exit(std::function<void(ExitStatus)> done) override {
    if (life_->alive) process_.on_exit(std::move(done));
  }
  void send_signal(int signal_number) override {
    if (life_->alive) process_.send_signal(signal_number);
  }

 private:
  SimProcess& process_;
  SimLifeRef life_;
  std::unique_ptr<SimPipe> pipe_;
};

Error cannot_run(const std::string& name, const char* why) {
  return Error{Fault::kCannotRun, "run " + escaped(name) + ": " + why, ""};
}

}  // namespace

class SimHost::Children final : public Processes {
 public:
  Children(SimHost& host, SimLifeRef life) : host_(host), life_(std::move(life)) {}
  Result<std::unique_ptr<Child>> spawn(const std::vector<std::string>& argv, PipeEnd end) override {
    return host_.spawn(life_, argv, end);
  }

 private:
  SimHost& host_;
  SimLifeRef life_;
};

struct SimHost::Run {
  Run(SimHost& host, const SimLifeRef& life)
      : loop(host.core_, life),
        network(host.fabric_, life),
        processes(host, life),
        files(host.core_, life, host.disk_, [&host, life](bool input) { return host.open_standard(life, input); }) {}
  SimLoop loop;
  SimNetwork network;
  Children processes;
  SimFiles files;
};

SimHost::SimHost(SimCore& core, SimFabric& fabric, std::size_t site, std::string name)
    : core_(core), fabric_(fabric), site_(site), name_(std::move(name)) {
  start();
}

SimHost::~SimHost() { life_->alive = false; }

void SimHost::start() {
  life_ = std::make_shared<SimLife>(SimLife{true, site_, name_});
  runs_.push_back(std::make_unique<Run>(*this, life_));
  fabric_.set_up(site_, true);
}

Loop& SimHost::loop() { return runs_.back()->loop; }
Network& SimHost::network() { return runs_.back()->network; }
Processes& SimHost::processes() { return runs_.back()->processes; }
Files& SimHost::files() { return runs_.back()->files; }

void SimHost::crash(SimCrash how) {
  if (!life_->alive) return;
  core_.trace("%s crashes", name_.c_str());
  life_->alive = false;
  fabric_.set_up(site_, how == SimCrash::kKilled || how == SimCrash::kReset);
  fabric_.crash(*life_, how);
  for (auto* group : {&children_, &standard_inputs_, &standard_outputs_}) {
    for (auto& process : *group) {
      if (process->life() == life_) process->crash(how);
    }
  }
  if (how == SimCrash::kPowerLoss) disk_.folders.lose_power(core_.random());
  core_.cancel_all_of(*life_);
  core_.bury(std::exchange(interrupt_, nullptr));
}

void SimHost::restart() {
  ZF_ASSERT(!life_->alive);
  core_.trace("%s restarts", name_.c_str());
  start();
}

void SimHost::interrupt(int signal_number) {
  if (!life_->alive) return;
  core_.after(core_.io_delay(), life_.get(), [this, signal_number] {
    core_.trace("%s: signal %d", name_.c_str(), signal_number);
    // A copy: the handler may put another in its place.
    auto handler = interrupt_;
    handler ? handler(signal_number) : crash(SimCrash::kKilled);
  });
}

void SimHost::add_program(const std::string& name, SimProgram program) {
  add_program(name, [program = std::move(program)](const std::vector<std::string>&) { return program; });
}

void SimHost::add_program(const std::string& name, SimProgramMaker maker) {
  programs_.push_back({name, std::move(maker)});
}

Result<std::unique_ptr<Child>> SimHost::spawn(const SimLifeRef& life, const std::vector<std::string>& argv,
                                              PipeEnd end) {
  if (argv.empty() || argv[0].empty()) return Error{Fault::kCannotRun, "no command to run", ""};
  if (!life->alive) return cannot_run(argv[0], "this host has crashed");
  for (std::size_t index = programs_.size(); index-- > 0;) {
    if (programs_[index].name != argv[0]) continue;
    SimProgram program = programs_[index].maker(argv);
    bool takes = std::holds_alternative<SimConsumer>(program);
    if (takes != (end == PipeEnd::kItsInput)) return cannot_run(argv[0], "scripted for the other end of a pipe");
    children_.push_back(std::make_unique<SimProcess>(
        core_, life, (takes ? "the input of " : "the output of ") + escaped(argv[0]), argv, std::move(program)));
    return Result<std::unique_ptr<Child>>(std::make_unique<SimChild>(*children_.back()));
  }
  return cannot_run(argv[0], "No such file or directory");
}

std::unique_ptr<ByteStream> SimHost::open_standard(const SimLifeRef& life, bool input) {
  auto& processes = input ? standard_inputs_ : standard_outputs_;
  SimProgram program = input ? SimProgram(standard_input_) : SimProgram(standard_output_);
  const char* name = input ? "standard input" : "standard output";
  processes.push_back(
      std::make_unique<SimProcess>(core_, life, name, std::vector<std::string>{name}, std::move(program)));
  return std::make_unique<SimPipe>(*processes.back());
}

const SimChildRecord& SimHost::last_child() const {
  ZF_ASSERT(!children_.empty());
  return children_.back()->record();
}

const SimChildRecord& SimHost::standard_input() const {
  ZF_ASSERT(!standard_inputs_.empty());
  return standard_inputs_.back()->record();
}

const SimChildRecord& SimHost::standard_output() const {
  ZF_ASSERT(!standard_outputs_.empty());
  return standard_outputs_.back()->record();
}

}  // namespace zferry::io
