// The simulated disk under a store fails where a test says, and crashes at any moment of any call.
#include "folder_machine.h"

namespace zferry::io {
namespace {

TEST(SimFolderFaults, CallsFailWhereTheTestSays) {
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

TEST(SimFolderFaults, AFailedAppendMayHaveWrittenAnyPart) {
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

TEST(SimFolderFaults, AProcessMayDieAmidAnAppend) {
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

TEST(SimFolderFaults, TheDiskHoldsSoMuch) {
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

TEST(SimFolderFaults, AfterACrashTheOldProcessCanDoNothing) {
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

TEST(SimFolderFaults, ACrashAtAnyMomentOfAnyCallIsSurvivedByTheRules) {
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

}  // namespace
}  // namespace zferry::io
