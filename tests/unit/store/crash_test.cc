// Every call of a run is, in turn, its last, or fails; with every kind of torn tail and lost change the store that is
// opened next must hold all that was committed and nothing else.
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

constexpr Tail kTails[] = {Tail::kLost, Tail::kKept, Tail::kTorn, Tail::kZeros, Tail::kGarbage};
constexpr Changes kChanges[] = {Changes::kLost, Changes::kKept, Changes::kSome};

void first_script(ScriptedRun& run) {
  run.open({});
  run.begin(1);
  for (std::uint64_t number = 0; number < 12; ++number) run.put(1, number, 700 + number);
  run.note(1, Note::kSession, "who and what");
  run.commit(1);
  run.begin(2);
  run.put(2, 0, 500);
  run.note(2, Note::kRun, "one");
  run.commit(2);
  for (std::uint64_t number : {13, 14, 12}) run.put(1, number, 900);
  run.put(2, 3, 600);
  run.commit(1);
  run.checkpoint(1, 9, block_bytes(1, 3000));
  run.truncate(1, 13);
  run.put(1, 13, 800, 1);
  run.put(1, 14, 800, 1);
  run.commit(1);
  run.note(1, Note::kFinal, "the end");
  run.commit(1);
  run.remove(2);
  run.checkpoint(1, 15, block_bytes(2, 100));
}

// What a host does that was started again.
void second_script(ScriptedRun& run, const Model& model) {
  run.open(model);
  run.resume(1);
  run.resume(2);
  for (std::uint64_t number = 0; number < 17; ++number) run.put(1, number, 650, 2);
  run.put(2, 0, 500, 2);
  run.put(2, 1, 500, 2);
  run.commit(2);
  run.note(1, Note::kRun, "two");
  run.commit(1);
  run.checkpoint(1, 16, block_bytes(3, 50));
  run.remove(2);
}

class CrashTest : public StoreSetting {
 protected:
  CrashTest() { segment_bytes_ = 4096; }

  // From the call `last` on, every call fails: the process is no more.
  void end_at(std::uint64_t last) {
    disk_.fault = [last](std::uint64_t call, const std::string&) -> std::optional<Error> {
      if (call < last) return {};
      return Error{Fault::kStoreFailed, "this host has crashed", {}};
    };
  }

  // Opens what a run has left. The model of what is there, or nothing after a failure.
  std::optional<Model> check(const ScriptedRun& run, const std::string& when) {
    SCOPED_TRACE(when);
    auto store = open();
    EXPECT_TRUE(store) << store.error().what;
    if (!store) return {};
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    auto found = read_back(*store_);
    if (!found) return {};
    EXPECT_TRUE(*found == run.durable() || *found == run.in_flight());
    EXPECT_EQ(names("new-").size(), 0u);
    ++checked_;
    store_.reset();
    return found;
  }

  std::uint64_t calls_of_first_script() {
    MemoryDisk disk;
    ScriptedRun run(disk, key_, settings(), random_);
    first_script(run);
    EXPECT_TRUE(run.alive());
    return disk.calls;
  }

  std::size_t checked_ = 0;
};

TEST_F(CrashTest, EveryCallMayBeTheLast) {
  const std::uint64_t calls = calls_of_first_script();
  ASSERT_GT(calls, 60u);
  std::size_t files = 0;
  SeededRandom fate(5);
  for (std::uint64_t last = 1; last <= calls + 1; ++last) {
    for (Tail tail : kTails) {
      for (Changes changes : kChanges) {
        disk_ = MemoryDisk();
        end_at(last);
        ScriptedRun run(disk_, key_, settings(), random_);
        first_script(run);
        disk_.crash(tail, changes, fate);
        if (!check(run, "call " + std::to_string(last))) return;
        files += keys_used_once(disk_);
      }
    }
  }
  EXPECT_EQ(checked_, 15 * (calls + 1));
  EXPECT_GT(files, 3000u);
  RecordProperty("crashes", static_cast<int>(checked_));
}

TEST_F(CrashTest, EveryCallOfTheNextRunMayBeTheLastToo) {
  const std::uint64_t calls = calls_of_first_script();
  SeededRandom fate(6);
  const auto tail = [&] { return kTails[fate.below(5)]; };
  const auto changes = [&] { return kChanges[fate.below(3)]; };
  for (std::uint64_t first = 1; first <= calls + 1; ++first) {
    for (std::uint64_t second = 1;; ++second) {
      disk_ = MemoryDisk();
      end_at(first);
      ScriptedRun run(disk_, key_, settings(), random_);
      first_script(run);
      disk_.crash(tail(), changes(), fate);
      const auto model = check(run, "call " + std::to_string(first));
      if (!model) return;
      disk_.calls = 0;
      end_at(second);
      ScriptedRun next(disk_, key_, settings(), random_);
      second_script(next, *model);
      const bool done = next.alive();
      disk_.crash(tail(), changes(), fate);
      if (!check(next, "calls " + std::to_string(first) + " and " + std::to_string(second))) return;
      keys_used_once(disk_);
      if (done) break;
    }
  }
  EXPECT_GT(checked_, 1000u);
}

// A process is killed, and what it wrote is seen by the next, synced or not. What that one has resumed is durable, and
// what it has opened is sound, even if power is lost at once.
TEST_F(CrashTest, WhatTheNextProcessSawSurvivesALossOfPower) {
  const std::uint64_t calls = calls_of_first_script();
  SeededRandom fate(9);
  for (std::uint64_t last = 1; last <= calls + 1; ++last) {
    for (bool resumed : {true, false}) {
      for (int again = 0; again < 12; ++again) {
        const Changes changes = again < 2 ? kChanges[again] : Changes::kSome;
        disk_ = MemoryDisk();
        end_at(last);
        ScriptedRun run(disk_, key_, settings(), random_);
        first_script(run);
        disk_.fault = nullptr;
        ASSERT_TRUE(open());
        const auto seen = resumed ? read_back(*store_) : Model();
        ASSERT_TRUE(seen);
        store_.reset();
        disk_.crash(kTails[fate.below(5)], changes, fate);
        const auto found = check(run, "call " + std::to_string(last));
        ASSERT_TRUE(found);
        EXPECT_TRUE(!resumed || *found == *seen) << last;
      }
    }
  }
  EXPECT_EQ(checked_, 24 * (calls + 1));
}

// A call fails once. A full disk that append() meets is told and survived; all else ends the store.
TEST_F(CrashTest, EveryCallMayFail) {
  const std::uint64_t calls = calls_of_first_script();
  SeededRandom fate(7);
  std::uint64_t full = 0, survived = 0;
  for (Fault fault : {Fault::kStoreFull, Fault::kStoreFailed}) {
    for (std::uint64_t failing = 1; failing <= calls; ++failing) {
      for (bool crash : {false, true}) {
        disk_ = MemoryDisk();
        disk_.fault = [=](std::uint64_t call, const std::string& what) -> std::optional<Error> {
          if (call != failing) return {};
          return Error{fault, what + ": failed", {}};
        };
        ScriptedRun run(disk_, key_, settings(), random_);
        first_script(run);
        full += run.full();
        survived += run.alive();
        disk_.fault = nullptr;
        if (crash) disk_.crash(kTails[fate.below(5)], kChanges[fate.below(3)], fate);
        if (!check(run, "call " + std::to_string(failing))) return;
        keys_used_once(disk_);
      }
    }
  }
  EXPECT_GT(full, 20u);
  EXPECT_GE(survived, full);
  EXPECT_EQ(checked_, 4 * calls);
}

// States so long that the journal is written anew within the run.
TEST_F(CrashTest, JournalsWrittenAnewInTheRun) {
  capacity_bytes_ = 256 * limits::MiB;
  const auto script = [](ScriptedRun& run) {
    run.open({});
    run.begin(1);
    for (std::uint64_t round = 0; round < 6; ++round) {
      for (std::uint64_t number = 3 * round; number < 3 * round + 3; ++number) run.put(1, number, 800);
      run.checkpoint(1, 3 * round + 1, block_bytes(round, 500 * limits::KiB));
      run.put(1, 100 + round, 100);
    }
    run.commit(1);
  };
  std::uint64_t calls = 0;
  {
    ScriptedRun run(disk_, key_, settings(), random_);
    script(run);
    ASSERT_TRUE(run.alive());
    calls = disk_.calls;
    std::size_t journals = 0;
    for (const std::string& call : disk_.log) journals += call.starts_with("create new-journal");
    EXPECT_EQ(journals, 2u);
  }
  SeededRandom fate(8);
  for (std::uint64_t last = 1; last <= calls + 1; ++last) {
    disk_ = MemoryDisk();
    end_at(last);
    ScriptedRun run(disk_, key_, settings(), random_);
    script(run);
    disk_.crash(kTails[fate.below(5)], kChanges[fate.below(3)], fate);
    if (!check(run, "call " + std::to_string(last))) return;
  }
  EXPECT_EQ(checked_, calls + 1);
}

}  // namespace
}  // namespace zferry::store
