// For tests of the simulated disk under a store: a machine with a folder, and what stands in it after crashes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "io/folder.h"
#include "io/sim_world.h"

namespace zferry::io {

using Kind = SimFolderCallKind;
using Moment = SimFolderCall::Moment;
using Map = std::map<std::string, std::string>;  // files: name and content

inline const std::string kPath = "/store";

// Text of one letter: what a byte was is then seen from it.
inline std::string letters(char letter, std::size_t count) { return std::string(count, letter); }

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

inline std::string names(const Map& files) {
  std::string text;
  for (const auto& [name, content] : files) text += name + "=" + content + " ";
  return text;
}

// How often each set of files stood after the loss of power, over seeds.
inline std::map<std::string, int> outcomes(int seeds, const std::function<void(Machine&)>& program) {
  std::map<std::string, int> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    Machine machine(static_cast<std::uint64_t>(seed));
    program(machine);
    machine.crash();
    seen[names(machine.all())] += 1;
  }
  return seen;
}

inline void expect_each(const std::map<std::string, int>& seen, const std::set<std::string>& expected, int at_least) {
  for (const auto& [what, count] : seen) EXPECT_TRUE(expected.contains(what)) << what << ": " << count;
  for (const std::string& what : expected) {
    EXPECT_GE(seen.contains(what) ? seen.at(what) : 0, at_least) << what;
  }
}

inline void make_synced(Machine& machine, const std::string& name, const std::string& text) {
  ASSERT_TRUE(machine.create(name, text)->sync().ok());
  ASSERT_TRUE(machine.folder->sync().ok());
}

}  // namespace zferry::io
