// Every call of a run with a window is, in turn, its last, or fails: what was durable is there, and so is every place
// that was pinned, to the last segment that may go; no file is left that nobody has a use for.
#include "store/file_names.h"
#include "store/recovery.h"
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

constexpr Tail kTails[] = {Tail::kLost, Tail::kKept, Tail::kTorn, Tail::kZeros, Tail::kGarbage};
constexpr Changes kChanges[] = {Changes::kLost, Changes::kKept, Changes::kSome};

// Session 1 is over, and 2 is made of it, of its own blocks, and of 3, which lives.
void first_script(ScriptedRun& run) {
  run.open({});
  run.begin(1);
  for (std::uint64_t number = 0; number < 12; ++number) run.put(1, number, 700 + number);
  run.commit(1);
  run.remove(1);
  run.begin(3);
  for (std::uint64_t number = 40; number < 46; ++number) run.put(3, number - 40, 800, 3);
  run.begin(2);
  run.pin(2, 3, 0, 0);
  run.put(2, 0, 100, 2);
  run.pin(2, 4, 0, 1);
  run.pin(2, 2, 3, 1);
  run.put(2, 1, 100, 2);
  run.commit(2);
  for (std::uint64_t number = 2; number < 8; ++number) run.put(2, number, 900, 2);
  run.pin(2, 2, 2, 8);
  run.pin(2, 11, 0, 9);
  run.put(2, 8, 100, 2);
  run.put(2, 9, 100, 2);
  run.commit(2);
  run.commit(3);
  run.checkpoint(2, 2, block_bytes(1, 300));
  run.remove(3);
  run.checkpoint(2, 5, block_bytes(1, 300));
  run.pin(2, 11, 0, 10);
  run.put(2, 10, 100, 2);
  run.checkpoint(2, 10, block_bytes(1, 300));
  run.checkpoint(2, 11, block_bytes(1, 300));
}

void second_script(ScriptedRun& run, const Model& model) {
  run.open(model);
  run.resume(2);
  run.resume(3);
  run.begin(4);
  for (std::uint64_t number = 0; number < 4; ++number) {
    for (std::uint64_t edition : {0, 2, 3}) run.pin(4, number + 2, edition, number);
    run.put(4, number, 300, 1);
    run.commit(4);
  }
  for (std::uint64_t number = 0; number < 12; ++number) {
    run.pin(2, number, 0, number);
    run.put(2, number, 650, 2);
  }
  run.commit(2);
  run.checkpoint(4, 2, {});
  run.remove(2);
}

class WindowCrashTest : public WindowSetting {
 protected:
  WindowCrashTest() { segment_bytes_ = 3000; }

  void end_at(std::uint64_t last) {
    disk_.fault = [last](std::uint64_t call, const std::string&) -> std::optional<Error> {
      if (call < last) return {};
      return Error{Fault::kStoreFailed, "this host has crashed", {}};
    };
  }
  std::uint64_t calls_of_first_script() {
    MemoryDisk disk;
    ScriptedRun run(disk, key_, settings(), random_);
    first_script(run);
    EXPECT_TRUE(run.alive());
    EXPECT_EQ(run.pins(), 6u);
    return disk.calls;
  }

  // Each file has somebody who knows it.
  void expect_no_leaks() {
    const auto keys = open_format(*folder_, key_, nullptr);
    ASSERT_TRUE(keys);
    auto files = list_files(*folder_, *keys);
    ASSERT_TRUE(files);
    std::map<PinnedSegment, bool> needed;
    for (const auto& [id, session] : files->sessions) {
      if (!session.journal_bytes) continue;
      auto content = recover_session(*folder_, *keys, id, *files);
      ASSERT_TRUE(content) << content.error().what;
      for (const auto& [number, facts] : content->segments()) needed[{id, number}] = true;
      for (const auto& [segment, pin] : content->pins()) needed[segment] = true;
    }
    for (const auto& [id, session] : files->sessions) {
      for (const auto& [number, bytes] : session.segment_bytes)
        EXPECT_TRUE(session.log_bytes.contains(number) || needed.contains({id, number})) << number;
      for (const auto& [number, bytes] : session.log_bytes) EXPECT_TRUE(session.segment_bytes.contains(number));
    }
    EXPECT_TRUE(names("new-").empty());
  }
  void expect_pins(const ModelPins& pins) {
    for (const ModelPin& pin : pins) {
      bool whole = false;
      for (std::uint64_t edition = 0; edition < 4; ++edition) whole = whole || reads(pin.place, edition);
      EXPECT_TRUE(whole) << reads(pin.place).message();
      ++places_;
    }
  }
  // Everything goes that may.
  void press() {
    auto session = store_->begin(session_id(9), "9");
    ASSERT_TRUE(session);
    for (std::uint64_t number = 0; (*session)->has_room(20000); ++number)
      ASSERT_TRUE(store::put(**session, number, 20000));
  }

  // Opens what a run has left. The model of what is there, or nothing after a failure. Changes the disk.
  std::optional<Model> check(const ScriptedRun& run, const std::string& when, bool pressed) {
    SCOPED_TRACE(when);
    capacity_bytes_ = pressed ? 100 * limits::KiB : 64 * limits::MiB;
    auto store = open();
    capacity_bytes_ = 64 * limits::MiB;
    EXPECT_TRUE(store) << store.error().what;
    if (!store) return {};
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    for (std::uint64_t number = 0; number < 12; ++number) {
      for (std::uint64_t edition : {0, 2, 3}) {
        const auto found = find(number, 0, edition);
        found_ += found && reads(found->place, edition);
      }
    }
    if (pressed) press();
    auto found = read_back(*store_);
    if (!found) return {};
    found->erase(9);
    EXPECT_TRUE(*found == run.durable() || *found == run.in_flight());
    expect_pins(run.pins_of(*found));
    expect_no_leaks();
    ++checked_;
    store_.reset();
    return found;
  }

  std::size_t checked_ = 0, places_ = 0, found_ = 0;
};

TEST_F(WindowCrashTest, EveryCallMayBeTheLast) {
  const std::uint64_t calls = calls_of_first_script();
  ASSERT_GT(calls, 80u);
  SeededRandom fate(5);
  for (std::uint64_t last = 1; last <= calls + 1; ++last) {
    for (Tail tail : kTails) {
      for (Changes changes : kChanges) {
        disk_ = MemoryDisk();
        end_at(last);
        ScriptedRun run(disk_, key_, settings(), random_);
        first_script(run);
        disk_.crash(tail, changes, fate);
        if (!check(run, "call " + std::to_string(last), fate.chance(0.5))) return;
        keys_used_once(disk_);
      }
    }
  }
  EXPECT_EQ(checked_, 15 * (calls + 1));
  EXPECT_GT(places_, checked_);
  EXPECT_GT(found_, checked_);
}

// The first process is killed, or the machine crashes; the second goes on with what it sees, and then the power is
// lost.
TEST_F(WindowCrashTest, EveryCallOfTheNextRunMayBeTheLastToo) {
  const std::uint64_t calls = calls_of_first_script();
  SeededRandom fate(6);
  for (std::uint64_t first = 1; first <= calls + 1; ++first) {
    for (std::uint64_t second = 1;; second += 1 + fate.below(2)) {
      disk_ = MemoryDisk();
      end_at(first);
      ScriptedRun run(disk_, key_, settings(), random_);
      first_script(run);
      if (fate.chance(0.4)) disk_.crash(kTails[fate.below(5)], kChanges[fate.below(3)], fate);
      disk_.fault = nullptr;
      const auto model = check(run, "call " + std::to_string(first), false);
      if (!model) return;
      disk_.calls = 0;
      end_at(second);
      ScriptedRun next(disk_, key_, settings(), random_);
      next.inherit(run.pins_of(*model));
      second_script(next, *model);
      const bool done = next.alive();
      disk_.crash(kTails[fate.below(5)], kChanges[fate.below(3)], fate);
      const std::string when = "calls " + std::to_string(first) + " and " + std::to_string(second);
      if (!check(next, when, fate.chance(0.5))) return;
      if (done) break;
    }
  }
  EXPECT_GT(checked_, 1000u);
  EXPECT_GT(places_, checked_);
}

// A call fails once. What is only there to be found stops nobody.
TEST_F(WindowCrashTest, EveryCallMayFail) {
  const std::uint64_t calls = calls_of_first_script();
  SeededRandom fate(7);
  std::uint64_t survived = 0, chunks = 0;
  for (Fault fault : {Fault::kStoreFull, Fault::kStoreFailed}) {
    for (std::uint64_t failing = 1; failing <= calls; ++failing) {
      for (bool crash : {false, true}) {
        disk_ = MemoryDisk();
        bool of_chunks = false;
        disk_.fault = [&](std::uint64_t call, const std::string& what) -> std::optional<Error> {
          if (call != failing) return {};
          of_chunks = what.find(" chunks-") != std::string::npos && !what.starts_with("remove");
          return Error{fault, what + ": failed", {}};
        };
        ScriptedRun run(disk_, key_, settings(), random_);
        first_script(run);
        EXPECT_TRUE(run.alive() || !of_chunks);
        survived += run.alive();
        chunks += of_chunks;
        disk_.fault = nullptr;
        if (crash) disk_.crash(kTails[fate.below(5)], kChanges[fate.below(3)], fate);
        if (!check(run, "call " + std::to_string(failing), fate.chance(0.5))) return;
      }
    }
  }
  EXPECT_GE(survived, chunks);
  EXPECT_GT(chunks, 50u);
  EXPECT_EQ(checked_, 4 * calls);
}

}  // namespace
}  // namespace zferry::store
