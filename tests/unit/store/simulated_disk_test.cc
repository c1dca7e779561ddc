// Random runs over the simulator's disk, which knows nothing of the store: power is lost and processes are killed
// before, amid and after any call, calls fail, and after each run the store holds what was committed.
#include <set>

#include "io/sim_world.h"
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

constexpr int kSeeds = 400, kRuns = 5;
const std::string kPath = "/store";

class SimulatedDisk : public StoreSetting {
 protected:
  SimulatedDisk() {
    segment_bytes_ = 3000;
    capacity_bytes_ = 400 * limits::KiB;
  }

  // Something of everything, until the run ends.
  void act(ScriptedRun& run, SeededRandom& random, const Model& model) {
    run.open(model);
    for (int which = 1; which <= 2; ++which)
      if (model.contains(which)) run.resume(which);
    for (std::uint64_t steps = random.below(60); steps > 0 && run.alive(); --steps) {
      const int which = 1 + static_cast<int>(random.below(2));
      if (!run.has(which)) {
        if (run.durable().contains(which)) {
          run.remove(which);
        } else {
          run.begin(which);
        }
        continue;
      }
      const std::uint64_t near = next_[which] + random.below(4);
      switch (random.below(12)) {
        case 0: run.truncate(which, near); break;
        case 1: run.note(which, Note::kRun, std::to_string(random.next())); break;
        case 2: run.commit(which); break;
        case 3: run.checkpoint(which, near - random.below(near + 1), block_bytes(near, random.below(20000))); break;
        case 4:
          if (random.chance(0.1)) run.leave(which);
          break;
        default: run.put(which, near, 1 + random.below(900), random.below(4)); ++next_[which];
      }
    }
  }

  // Where the run ends, if it ends before it is through, and what fails in it.
  void draw_fate(io::SimHost& host, SeededRandom& random) {
    io::SimFolderDisk& disk = host.disk().folders;
    disk.faults.clear();
    if (random.chance(0.3))
      disk.faults = {{.number = disk.calls() + 1 + random.below(120), .full = random.chance(0.5)}};
    const std::uint64_t last = disk.calls() + 1 + random.below(150);
    const auto moment = static_cast<io::SimFolderCall::Moment>(random.below(3));
    const auto how = random.chance(0.7) ? io::SimCrash::kPowerLoss : io::SimCrash::kKilled;
    disk.on_call = [&host, this, last, moment, how](const io::SimFolderCall& call) {
      see(host.disk().folders, call);
      if (call.number < last || (call.moment != moment && call.number == last)) return;
      ++crashes_;
      host.crash(how);
    };
  }

  // Each file's first bytes, once they are there: no salt may come twice.
  void see(io::SimFolderDisk& disk, const io::SimFolderCall& call) {
    if (call.moment != io::SimFolderCall::Moment::kAfter) return;
    if (call.kind == io::SimFolderCallKind::kCreate) created_ = call.name;
    if (call.kind != io::SimFolderCallKind::kAppend || std::exchange(created_, {}) != call.name) return;
    const auto* content = disk.content(kPath, call.name);
    if (content == nullptr || content->size() != 64) return;
    EXPECT_TRUE(salts_.insert(std::string(as_text(ConstBytes(*content).subspan(16, 32)))).second);
  }

  std::uint64_t crashes_ = 0, full_ = 0, checked_ = 0, blocks_ = 0;
  std::map<int, std::uint64_t> next_;
  std::set<std::string> salts_;
  std::string created_;  // and nothing is in it yet
};

TEST_F(SimulatedDisk, EndsOfRandomRuns) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(static_cast<std::uint64_t>(seed));
    io::SimWorld world(static_cast<std::uint64_t>(seed));
    io::SimHost& host = world.add_host("host");
    next_.clear();
    Model model;
    for (int round = 0; round < kRuns; ++round) {
      draw_fate(host, random);
      auto run = std::make_unique<ScriptedRun>(host.files().folder(kPath), key_, settings(), random_);
      act(*run, random, model);
      full_ += run->full();
      host.disk().folders.on_call = nullptr;
      host.disk().folders.faults.clear();
      const Model durable = run->durable(), in_flight = run->in_flight();
      if (host.up()) host.crash(io::SimCrash::kKilled);
      run.reset();
      host.restart();
      const auto folder = host.files().folder(kPath);
      auto store = Store::open(*folder, key_, settings(), random_);
      ASSERT_TRUE(store) << store.error().what;
      const auto found = read_back(**store);
      ASSERT_TRUE(found);
      ASSERT_TRUE(*found == durable || *found == in_flight);
      ASSERT_EQ((*store)->used_bytes(), host.disk().folders.used_bytes());
      model = *found;
      ++checked_;
      for (const auto& [which, session] : model) blocks_ += session.blocks.size();
      store->reset();
      host.crash(io::SimCrash::kKilled);
      host.restart();
    }
  }
  EXPECT_EQ(checked_, std::uint64_t{kSeeds} * kRuns);
  EXPECT_GT(crashes_, checked_ / 3);
  EXPECT_GT(blocks_, checked_);
  EXPECT_GT(full_, 10u);
  EXPECT_GT(salts_.size(), checked_);
}

}  // namespace
}  // namespace zferry::store
