// The simulated disk under a store keeps its own promises: what was synced survives whatever comes, what was not meets
// every fate that a real disk could give it, and each of these fates does occur.
#include "io/folder.h"

#include <gtest/gtest.h>

#include <set>

#include "sim_traffic.h"

namespace zferry::io {
namespace {

using Kind = SimFolderCallKind;
using Moment = SimFolderCall::Moment;
using Map = std::map<std::string, std::string>;

constexpr SimCrash kProcessCrashes[] = {SimCrash::kKilled, SimCrash::kReset, SimCrash::kSilence};
const std::string kPath = "/store";

// Text of one letter: what a byte was is then seen from it.
std::string letters(char letter, std::size_t count) { return std::string(count, letter); }

struct Machine {
  explicit Machine(std::uint64_t seed) : world(seed), host(world.add_host("host")) { begin(); }
  // A new process, with the lock.
  void begin() {
    folder = host.files().folder(kPath);
    ASSERT_TRUE(folder->lock().ok());
  }
  void restart() {
    folder.reset();
    host.restart();
    begin();
  }
  void crash(SimCrash how = SimCrash::kPowerLoss) {
    host.crash(how);
    restart();
  }
  std::unique_ptr<FolderFile> create(const std::string& name, const std::string& text = "") {
    auto file = folder->create(name);
    EXPECT_TRUE(file.ok());
    EXPECT_TRUE((*file)->append(as_bytes(text)).ok());
    return std::move(*file);
  }
  // All there is, read by the interface.
  Map all() {
    Map files;
    const auto entries = folder->list();
    EXPECT_TRUE(entries.ok());
    for (const FolderEntry& entry : *entries) {
      const auto file = folder->open(entry.name);
      EXPECT_TRUE(file.ok());
      std::vector<std::byte> bytes(entry.bytes);
      EXPECT_EQ(*(*file)->read(0, bytes), entry.bytes);
      files[entry.name] = as_text(bytes);
    }
    return files;
  }
  SimFolderDisk& disk() { return host.disk().folders; }

  SimWorld world;
  SimHost& host;
  std::unique_ptr<Folder> folder;
};

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

std::string names(const Map& files) {
  std::string text;
  for (const auto& [name, content] : files) text += name + "=" + content + " ";
  return text;
}

// How often each set of files stood after the loss of power, over seeds.
std::map<std::string, int> outcomes(int seeds, const std::function<void(Machine&)>& program) {
  std::map<std::string, int> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    Machine machine(static_cast<std::uint64_t>(seed));
    program(machine);
    machine.crash();
    seen[names(machine.all())] += 1;
  }
  return seen;
}

void expect_each(const std::map<std::string, int>& seen, const std::set<std::string>& expected, int at_least) {
  for (const auto& [what, count] : seen) EXPECT_TRUE(expected.contains(what)) << what << ": " << count;
  for (const std::string& what : expected) {
    EXPECT_GE(seen.contains(what) ? seen.at(what) : 0, at_least) << what;
  }
}

void make_synced(Machine& machine, const std::string& name, const std::string& text) {
  ASSERT_TRUE(machine.create(name, text)->sync().ok());
  ASSERT_TRUE(machine.folder->sync().ok());
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

TEST(SimFolder, CallsFailWhereTheTestSays) {
  Machine machine(9);
  SimFolderDisk& disk = machine.disk();
  auto file = machine.create("a", "1");
  // Of any kind.
  disk.faults = {{.number = disk.calls() + 2, .full = true}};
  EXPECT_TRUE(machine.folder->list().ok());
  const Status full = machine.folder->rename("a", "b");
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().fault, Fault::kStoreFull);
  EXPECT_EQ(full.error().what, "rename /store/a: No space left on device");
  EXPECT_EQ(names(machine.all()), "a=1 ");
  // Of each kind, once, and nothing of it happens.
  const std::vector<std::pair<Kind, std::function<bool()>>> calls = {
      {Kind::kList, [&] { return machine.folder->list().ok(); }},
      {Kind::kCreate, [&] { return machine.folder->create("b").ok(); }},
      {Kind::kOpen, [&] { return machine.folder->open("a").ok(); }},
      {Kind::kRead,
       [&] {
         std::byte byte{};
         return file->read(0, {&byte, 1}).ok();
       }},
      {Kind::kRename, [&] { return machine.folder->rename("b", "c").ok(); }},
      {Kind::kRemove, [&] { return machine.folder->remove("c").ok(); }},
      {Kind::kFreeBytes, [&] { return machine.folder->free_bytes().ok(); }},
      {Kind::kAppend, [&] { return machine.create("d")->append(as_bytes("x")).ok(); }},
      {Kind::kSyncFile, [&] { return (*machine.folder->open("a"))->sync().ok(); }},
  };
  for (const auto& [kind, call] : calls) {
    const std::uint64_t skip = kind == Kind::kAppend ? 2 : 1;  // create() of ours appends nothing first
    disk.faults = {{.kind = kind, .number = disk.calls(kind) + skip}};
    EXPECT_FALSE(call()) << name_of(kind);
    if (kind == Kind::kAppend) {
      EXPECT_TRUE(machine.folder->remove("d").ok());
    }
    EXPECT_TRUE(call()) << name_of(kind);
  }
  // For good: a disk that is dead.
  disk.faults = {{.number = disk.calls() + 1, .count = ~std::uint64_t{0}}};
  for (int count = 0; count < 5; ++count) EXPECT_FALSE(machine.folder->list().ok());
  EXPECT_EQ(machine.folder->sync().error().what, "sync folder /store: Input/output error");
  disk.faults.clear();
  EXPECT_FALSE(machine.folder->sync().ok());  // never again for this process
  machine.crash(SimCrash::kKilled);
  EXPECT_TRUE(machine.folder->sync().ok());
}

TEST(SimFolder, AFailedAppendMayHaveWrittenAnyPart) {
  std::map<std::size_t, int> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Machine machine(seed);
    const auto file = machine.create("a", "12");
    machine.disk().faults = {
        {.kind = Kind::kAppend, .number = machine.disk().calls(Kind::kAppend) + 1, .full = seed % 2 == 0}};
    const Status failed = file->append(as_bytes("345"));
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().fault, seed % 2 == 0 ? Fault::kStoreFull : Fault::kStoreFailed);
    EXPECT_FALSE(file->append(as_bytes("345")).ok());
    EXPECT_EQ(file->bytes(), 2u);
    EXPECT_TRUE(file->sync().ok());
    EXPECT_TRUE(machine.folder->sync().ok());
    machine.crash();
    const std::string content = machine.all()["a"];
    ASSERT_EQ(content, std::string("12345").substr(0, content.size()));
    ASSERT_GE(content.size(), 2u);
    seen[content.size()] += 1;
  }
  EXPECT_EQ(seen.size(), 4u);
  for (const auto& [bytes, count] : seen) EXPECT_GT(count, 50) << bytes;
}

TEST(SimFolder, AProcessMayDieAmidAnAppend) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Machine machine(seed);
    const auto file = machine.create("a", "12");
    machine.disk().on_call = [&](const SimFolderCall& call) {
      EXPECT_EQ(call.name, "a");
      if (call.kind == Kind::kAppend && call.moment == Moment::kAmid) machine.host.crash(SimCrash::kKilled);
    };
    EXPECT_FALSE(file->append(as_bytes("345")).ok());
    machine.disk().on_call = nullptr;
    machine.restart();
    seen[names(machine.all())] += 1;
  }
  expect_each(seen, {"a=12 ", "a=123 ", "a=1234 ", "a=12345 "}, 30);
}

TEST(SimFolder, TheDiskHoldsSoMuch) {
  Machine machine(10);
  machine.disk().capacity_bytes = 1000;
  const auto first = machine.create("a", letters('a', 600));
  EXPECT_EQ(*machine.folder->free_bytes(), 400u);
  const auto second = machine.create("b", letters('b', 100));
  const Status failed = second->append(as_bytes(letters('b', 301)));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().fault, Fault::kStoreFull);
  EXPECT_EQ(*machine.folder->free_bytes(), 0u);
  EXPECT_EQ(machine.all()["b"], letters('b', 400));
  EXPECT_TRUE(machine.folder->remove("a").ok());
  EXPECT_EQ(*machine.folder->free_bytes(), 600u);
  const auto third = machine.create("c", letters('c', 600));
  EXPECT_EQ(machine.disk().used_bytes(), 1000u);
}

TEST(SimFolder, AfterACrashTheOldProcessCanDoNothing) {
  for (SimCrash how : {SimCrash::kKilled, SimCrash::kPowerLoss}) {
    Machine machine(11);
    auto file = machine.create("a", "1");
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(machine.folder->sync().ok());
    machine.host.crash(how);
    auto old = std::move(machine.folder);
    machine.host.restart();
    machine.begin();  // the lock went with the process
    EXPECT_FALSE(file->append(as_bytes("2")).ok());
    EXPECT_FALSE(file->sync().ok());
    EXPECT_FALSE(old->create("b").ok());
    EXPECT_FALSE(old->rename("a", "b").ok());
    EXPECT_FALSE(old->remove("a").ok());
    EXPECT_FALSE(old->list().ok());
    EXPECT_FALSE(old->open("a").ok());
    EXPECT_FALSE(old->sync().ok());
    EXPECT_FALSE(old->free_bytes().ok());
    old.reset();  // and does not take the new one's lock with it
    EXPECT_EQ(machine.host.files().folder(kPath)->lock().error().fault, Fault::kBusy);
    EXPECT_EQ(names(machine.all()), "a=1 ");
  }
}

// A record in two files, replaced by the rules. Whether it was told that the new one stands.
bool replace_record(Folder& folder, const std::string& text, bool sync_file, bool sync_folder) {
  if (!folder.remove("new").ok()) return false;
  auto file = folder.create("new");
  if (!file.ok() || !(*file)->append(as_bytes(text)).ok()) return false;
  if (sync_file && !(*file)->sync().ok()) return false;
  if (!folder.rename("new", "record").ok()) return false;
  return !sync_folder || folder.sync().ok();
}

struct Replacing {
  std::uint64_t runs = 0;
  std::uint64_t old_stands = 0;
  std::uint64_t new_stands = 0;
  std::uint64_t broken = 0;
};

// Crashes at each moment of each call of it.
Replacing replace_everywhere(std::uint64_t seeds, SimCrash how, bool sync_file, bool sync_folder) {
  Replacing result;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    bool crashed = true;
    for (std::uint64_t at = 1; crashed; ++at) {
      crashed = false;
      for (const Moment moment : {Moment::kBefore, Moment::kAmid, Moment::kAfter}) {
        Machine machine(seed);
        make_synced(machine, "record", "old!");
        const std::uint64_t before = machine.disk().calls();
        machine.disk().on_call = [&](const SimFolderCall& call) {
          if (call.number == before + at && call.moment == moment) machine.host.crash(how);
        };
        const bool told = replace_record(*machine.folder, "new!", sync_file, sync_folder);
        crashed |= !machine.host.up();
        machine.disk().on_call = nullptr;
        machine.host.crash(how);
        machine.restart();
        const std::string record = machine.all()["record"];
        result.runs += 1;
        result.old_stands += record == "old!";
        result.new_stands += record == "new!";
        result.broken += record != "new!" && (record != "old!" || told);
      }
    }
  }
  return result;
}

TEST(SimFolder, ACrashAtAnyMomentOfAnyCallIsSurvivedByTheRules) {
  const Replacing right = replace_everywhere(40, SimCrash::kPowerLoss, true, true);
  EXPECT_EQ(right.runs, 40u * (6 + 1) * 3);  // remove, create, append, sync, rename, sync; and none
  EXPECT_EQ(right.broken, 0u);
  EXPECT_GT(right.old_stands, 100u);
  EXPECT_GT(right.new_stands, 100u);
  // And whoever breaks a rule is found.
  EXPECT_GT(replace_everywhere(40, SimCrash::kPowerLoss, false, true).broken, 50u);
  EXPECT_GT(replace_everywhere(40, SimCrash::kPowerLoss, true, false).broken, 20u);
  // Where only the process dies, no sync is missed.
  const Replacing killed = replace_everywhere(40, SimCrash::kKilled, false, false);
  EXPECT_EQ(killed.runs, 40u * (4 + 1) * 3);
  EXPECT_EQ(killed.broken, 0u);
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
