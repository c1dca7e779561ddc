// The simulated disk under a store keeps its own promises: what was synced survives whatever comes, what was not meets
// every fate that a real disk could give it, and each of these fates does occur.
#include "folder_machine.h"

namespace zferry::io {
namespace {

constexpr SimCrash kProcessCrashes[] = {SimCrash::kKilled, SimCrash::kReset, SimCrash::kSilence};

TEST(SimFolder, AProcessThatDiesLeavesAllThatItWrote) {
  for (SimCrash how : kProcessCrashes) {
    Machine machine(1);
    machine.create("gone", "x");
    machine.create("old", "old");
    machine.create("new", "never synced");
    EXPECT_TRUE(machine.folder->rename("old", "renamed").ok());
    EXPECT_TRUE(machine.folder->remove("gone").ok());
    machine.crash(how);
    EXPECT_EQ(machine.all(), (Map{{"renamed", "old"}, {"new", "never synced"}}));
  }
}

TEST(SimFolder, WhatADeadProcessLeftUnsyncedTheNextOneCanSync) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const bool sync = seed % 2 == 0;
    Machine machine(seed);
    machine.create("one", letters('a', 500));
    machine.crash(SimCrash::kKilled);
    const auto file = machine.folder->open("one");
    ASSERT_TRUE(file.ok());
    if (sync) {
      EXPECT_TRUE((*file)->sync().ok());
      EXPECT_TRUE(machine.folder->sync().ok());
    }
    machine.crash();
    const bool there = machine.all() == Map{{"one", letters('a', 500)}};
    EXPECT_TRUE(there || !sync);
    lost += !sync && !there;
  }
  EXPECT_GT(lost, 50);
}

// What must be there after a loss of power, kept beside a random program.
struct Promise {
  std::string content;       // of the file, as written
  std::size_t synced = 0;    // bytes of it
  bool name_synced = false;  // under its present name, untouched since
};

TEST(SimFolder, WhatWasSyncedSurvivesWhatever) {
  std::uint64_t files_checked = 0;
  std::uint64_t bytes_checked = 0;
  std::uint64_t unsynced_gone = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Machine machine(seed);
    SeededRandom random(seed + 1'000'000);
    for (int crashes = 0; crashes < 3; ++crashes) {
      std::map<std::string, Promise> promises;
      std::map<std::string, std::unique_ptr<FolderFile>> open;
      for (const auto& [name, content] : machine.all()) promises[name] = {content, content.size(), true};
      for (std::uint64_t step = random.below(60); step > 0; --step) {
        const std::string name = "f" + std::to_string(random.below(6));
        const std::string other = "f" + std::to_string(random.below(6));
        Promise& promise = promises[name];
        const bool there = machine.disk().content(kPath, name) != nullptr;
        switch (random.below(8)) {
          case 0:
            if (there) break;
            open[name] = machine.create(name);
            promise = {};
            break;
          case 1:
            if (!there || name == other) break;
            ASSERT_TRUE(machine.folder->rename(name, other).ok());
            promises[other] = promise;
            promises[other].name_synced = false;
            promise = {};
            open[other] = std::move(open[name]);
            break;
          case 2:
            ASSERT_TRUE(machine.folder->remove(name).ok());
            promise = {};
            open[name].reset();
            break;
          case 3:
            ASSERT_TRUE(machine.folder->sync().ok());
            for (auto& [each, of] : promises) of.name_synced = machine.disk().content(kPath, each) != nullptr;
            break;
          case 4:
            if (!open[name]) break;
            ASSERT_TRUE(open[name]->sync().ok());
            promise.synced = promise.content.size();
            break;
          default:
            if (!open[name]) break;
            promise.content += letters(static_cast<char>('a' + random.below(26)), random.below(3000));
            ASSERT_TRUE(open[name]->append(as_bytes(promise.content).subspan(open[name]->bytes())).ok());
        }
      }
      machine.crash();
      const Map after = machine.all();
      for (const auto& [name, promise] : promises) {
        if (!promise.name_synced) continue;
        ASSERT_TRUE(after.contains(name)) << "seed " << seed;
        const std::string& content = after.at(name);
        ASSERT_EQ(content.substr(0, promise.synced), promise.content.substr(0, promise.synced)) << "seed " << seed;
        ASSERT_LE(content.size(), promise.content.size());
        files_checked += 1;
        bytes_checked += promise.synced;
        unsynced_gone += content != promise.content;
      }
    }
  }
  EXPECT_GT(files_checked, 1000u);
  EXPECT_GT(bytes_checked, 1'000'000u);
  EXPECT_GT(unsynced_gone, 100u);
}

TEST(SimFolder, UnsyncedBytesMeetEveryFate) {
  std::map<std::string, int> seen;
  constexpr int kSeeds = 2000;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    machine.create("earlier", letters('o', 1000));
    ASSERT_TRUE(machine.folder->remove("earlier").ok());
    const auto file = machine.create("one", letters('s', 300));
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(machine.folder->sync().ok());
    for (char letter : {'a', 'b', 'c'}) ASSERT_TRUE(file->append(as_bytes(letters(letter, 100))).ok());
    machine.crash();
    const Map files = machine.all();
    ASSERT_TRUE(files.contains("one"));
    const std::string content = files.at("one");
    ASSERT_GE(content.size(), 300u);
    ASSERT_EQ(content.substr(0, 300), letters('s', 300));
    const std::string tail = content.substr(300);
    const auto part = [&](std::size_t index) { return tail.substr(std::min(tail.size(), index * 100), 100); };
    const auto whole = [&](std::size_t index) { return part(index) == letters(static_cast<char>('a' + index), 100); };
    const auto holds = [&](char letter) { return tail.find(letter) != std::string::npos; };
    const bool hole = tail.size() == 300 && !whole(0) && whole(1) && whole(2);
    seen["all survives"] += whole(0) && whole(1) && whole(2);
    seen["all is gone"] += tail.empty();
    seen["cut between appends"] += (tail.size() == 100 && whole(0)) || (tail.size() == 200 && whole(0) && whole(1));
    seen["cut inside an append"] += tail.size() % 100 != 0 && tail.find_first_not_of("abc") == std::string::npos;
    seen["the first lost, later ones there"] += hole;
    seen["the middle lost"] += tail.size() == 300 && whole(0) && !whole(1) && whole(2);
    seen["zeros under the whole length"] += tail == std::string(300, '\0');
    seen["old bytes under the whole length"] += tail.size() == 300 && holds('o') && !holds('a') && !holds('b');
    seen["torn at some byte"] += part(1).size() == 100 && !whole(1) && part(1).find('b') != std::string::npos;
    seen["begins with garbage, ends right"] += part(1).size() == 100 && part(1)[0] != 'b' && part(1)[99] == 'b';
    ASSERT_EQ(tail.find_first_not_of(std::string("abco\0", 5)), std::string::npos);
  }
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [fate, count] : seen) EXPECT_GT(count, kSeeds / 200) << fate;
}

TEST(SimFolder, FilesAreNotWrittenInTheOrderOfTheProgram) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Machine machine(seed);
    const auto first = machine.create("first");
    const auto second = machine.create("second");
    ASSERT_TRUE(machine.folder->sync().ok());
    ASSERT_TRUE(first->append(as_bytes("1")).ok());
    ASSERT_TRUE(second->append(as_bytes("2")).ok());
    machine.crash();
    Map files = machine.all();
    seen[(files["first"] == "1" ? "first " : "") + std::string(files["second"] == "2" ? "second" : "")] += 1;
  }
  EXPECT_EQ(seen.size(), 4u);
  for (const auto& [what, count] : seen) EXPECT_GT(count, 50) << what;
}

TEST(SimFolder, UnsyncedNamesMayBeThereOrNot) {
  expect_each(outcomes(300, [](Machine& m) { ASSERT_TRUE(m.create("a", "1")->sync().ok()); }), {"", "a=1 "}, 50);
  expect_each(outcomes(300,
                       [](Machine& m) {
                         make_synced(m, "a", "1");
                         ASSERT_TRUE(m.folder->remove("a").ok());
                       }),
              {"", "a=1 "}, 50);
  // A rename is whole or not at all; what it replaces stands until then.
  expect_each(outcomes(300,
                       [](Machine& m) {
                         make_synced(m, "a", "1");
                         make_synced(m, "b", "2");
                         ASSERT_TRUE(m.folder->rename("b", "a").ok());
                       }),
              {"a=1 b=2 ", "a=2 "}, 50);
  // A new file under another's name: each step may be missing, but not one before another of the same name.
  expect_each(outcomes(600,
                       [](Machine& m) {
                         make_synced(m, "a", "1");
                         ASSERT_TRUE(m.create("b", "2")->sync().ok());
                         ASSERT_TRUE(m.folder->rename("b", "a").ok());
                       }),
              {"a=1 ", "a=1 b=2 ", "a=2 "}, 30);
  // Different names: in any order.
  expect_each(outcomes(1000,
                       [](Machine& m) {
                         make_synced(m, "a", "1");
                         ASSERT_TRUE(m.create("b", "2")->sync().ok());
                         ASSERT_TRUE(m.folder->remove("a").ok());
                       }),
              {"", "a=1 ", "a=1 b=2 ", "b=2 "}, 50);
  // Removed, and made again.
  expect_each(outcomes(600,
                       [](Machine& m) {
                         make_synced(m, "a", "1");
                         ASSERT_TRUE(m.folder->remove("a").ok());
                         ASSERT_TRUE(m.create("a", "2")->sync().ok());
                       }),
              {"", "a=1 ", "a=2 "}, 30);
}

TEST(SimFolder, ANameKnowsNothingOfItsContent) {
  const auto seen = outcomes(600, [](Machine& machine) {
    const auto file = machine.create("a");
    ASSERT_TRUE(file->append(as_bytes("1")).ok());
  });
  const std::string zero("a=\0 ", 4);
  expect_each(seen, {"", "a= ", "a=1 ", zero}, 20);
}

TEST(SimFolder, AfterAFailedSyncTheContentIsLostWhateverIsSaidLater) {
  int unread_at_once = 0;
  int lost = 0;
  constexpr int kSeeds = 300;
  const std::string text = letters('s', 100) + letters('a', 100) + letters('b', 100);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    make_synced(machine, "unused", "x");
    const auto file = machine.create("one", letters('s', 100));
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(machine.folder->sync().ok());
    for (char letter : {'a', 'b'}) ASSERT_TRUE(file->append(as_bytes(letters(letter, 100))).ok());
    machine.disk().faults = {{.kind = Kind::kSyncFile, .number = machine.disk().calls(Kind::kSyncFile) + 1}};
    const Status failed = file->sync();
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().what, "sync /store/one: Input/output error");
    EXPECT_EQ(file->sync().error().what, failed.error().what);
    EXPECT_EQ(file->append(as_bytes("c")).error().what, failed.error().what);
    EXPECT_EQ(file->bytes(), 300u);
    unread_at_once += machine.all()["one"] != text;
    machine.crash(SimCrash::kKilled);
    EXPECT_TRUE((*machine.folder->open("one"))->sync().ok());  // nothing is left that could fail
    machine.crash();
    const std::string content = machine.all()["one"];
    ASSERT_EQ(content.size(), 300u);
    ASSERT_EQ(content.substr(0, 100), letters('s', 100));
    lost += content != text;
  }
  EXPECT_GT(unread_at_once, kSeeds / 4);
  EXPECT_LT(unread_at_once, kSeeds);
  EXPECT_GT(lost, kSeeds * 3 / 4);
}

TEST(SimFolder, OneSeedIsOneRun) {
  const auto run = [](std::uint64_t seed) {
    Machine machine(seed);
    for (int index = 0; index < 20; ++index) machine.create("f" + std::to_string(index), letters('x', 100));
    machine.crash();
    return machine.all();
  };
  std::set<std::string> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(run(seed), run(seed));
    different.insert(names(run(seed)));
  }
  EXPECT_GT(different.size(), 10u);
}

}  // namespace
}  // namespace zferry::io
