// Damage of what is only there to be found: an opening goes on, and sessions have all that they had.
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

class WindowDamageTest : public WindowSetting {
 protected:
  WindowDamageTest() {
    segment_bytes_ = 4096;
    {
      ScriptedRun run(disk_, key_, settings(), random_);
      run.open({});
      run.begin(1);
      for (std::uint64_t number = 0; number < 5; ++number) run.put(1, number, 900);
      run.commit(1);
      run.remove(1);
      run.begin(2);
      for (std::uint64_t number = 0; number < 5; ++number) {
        run.pin(2, number, 0, number);
        run.put(2, number, 900, 1);
      }
      run.commit(2);
      model_ = run.durable();
      pins_ = run.pins_of(model_);
    }
    for (const auto& [name, file] : disk_.files) before_[name] = file->content;
    EXPECT_EQ(pins_.size(), 5u);
  }
  void restore() {
    store_.reset();
    disk_ = MemoryDisk();
    for (const auto& [name, content] : before_) {
      disk_.files[name] = std::make_shared<MemoryFile>();
      disk_.files[name]->content = content;
    }
  }
  // Sessions as they were; how many chunks can be found.
  std::size_t expect_sessions(const std::string& when) {
    SCOPED_TRACE(when);
    auto store = open();
    EXPECT_TRUE(store) << store.error().what;
    if (!store) return 0;
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    std::size_t found = 0;
    for (std::uint64_t number = 0; number < 5; ++number)
      for (std::uint64_t edition : {0, 1}) found += static_cast<bool>(finds(number, edition));
    for (const ModelPin& pin : pins_) EXPECT_TRUE(reads(pin.place));
    const auto sessions = read_back(*store_);
    EXPECT_TRUE(sessions && *sessions == model_);
    return found;
  }

  Model model_;
  ModelPins pins_;
  std::map<std::string, std::vector<std::byte>> before_;
};

TEST_F(WindowDamageTest, AnyByteOfItsFiles) {
  EXPECT_EQ(expect_sessions("whole"), 10u);
  std::size_t least = 10, flips = 0;
  for (const auto& [name, content] : before_) {
    if (!name.starts_with("chunks-") && name != "window") continue;
    for (std::size_t at = 0; at < content.size(); ++at, ++flips) {
      restore();
      disk_.files.at(name)->content[at] ^= std::byte{0x10};
      const std::size_t found = expect_sessions(name + " at " + std::to_string(at));
      EXPECT_TRUE(name != "window" || found == 10u);
      least = std::min(least, found);
    }
  }
  EXPECT_GT(flips, 500u);
  EXPECT_LT(least, 10u);
}

TEST_F(WindowDamageTest, ItsFilesCutAnywhereOrGone) {
  for (const auto& [name, content] : before_) {
    if (!name.starts_with("chunks-") && name != "window") continue;
    for (std::size_t bytes = 0; bytes <= content.size(); bytes += 3) {
      restore();
      disk_.files.at(name)->content.resize(bytes);
      expect_sessions(name + " of " + std::to_string(bytes));
    }
    restore();
    disk_.files.erase(name);
    expect_sessions(name + " gone");
  }
}

// Of another segment, or of an earlier one of the same name: read as what they are not, they find what cannot be read.
TEST_F(WindowDamageTest, ItsFilesExchanged) {
  const auto chunks = names("chunks-");
  ASSERT_GE(chunks.size(), 2u);
  std::swap(disk_.files.at(chunks[0])->content, disk_.files.at(chunks[1])->content);
  expect_sessions("exchanged");
}

TEST_F(WindowDamageTest, DamagedBlocksAreFoundOnceAndForgotten) {
  for (const std::string& name : names("segment-")) disk_.files.at(name)->content[100] ^= std::byte{1};
  ASSERT_TRUE(open());
  std::size_t damaged = 0;
  for (std::uint64_t number = 0; number < 5; ++number) {
    const auto found = find(number);
    ASSERT_TRUE(found);
    if (reads(found->place)) continue;
    ++damaged;
    store_->forget(found->place);
    EXPECT_FALSE(find(number));
  }
  EXPECT_GT(damaged, 0u);
  EXPECT_LT(damaged, 5u);
}

}  // namespace
}  // namespace zferry::store
