// The bytes of version 1 of a store's files, with each cipher: a change of one is a change of the format. A store of
// these files is also opened and read. To write a new version's files: ZFERRY_WRITE_GOLDEN=1 test_store
// --gtest_filter=*Golden*
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

class StoreGolden : public WindowSetting, public testing::WithParamInterface<seal::Cipher> {
 protected:
  std::string path(const std::string& name) const {
    const std::string cipher = std::to_string(static_cast<int>(GetParam()));
    return std::string(ZFERRY_TEST_DATA) + "/golden/store/" + (window_ ? "window-" : "") + "cipher-" + cipher + "/" +
           name + ".hex";
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The disk's files are those that are written down, and now are made of these.
  void compare() {
    for (auto& [name, file] : disk_.files) {
      if (std::getenv("ZFERRY_WRITE_GOLDEN") != nullptr) std::ofstream(path(name)) << to_hex(file->content) << "\n";
      const std::string hex = read(name);
      EXPECT_EQ(to_hex(file->content) + "\n", hex) << name;
      file->content.resize(hex.size() / 2);
      for (std::size_t i = 0; i < file->content.size(); ++i)
        file->content[i] = static_cast<std::byte>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
    }
  }
};

TEST_P(StoreGolden, BytesOfVersion1) {
  window_ = false;
  segment_bytes_ = 1000;
  StoreSettings fixed = settings();
  fixed.cipher = GetParam();
  Model model;
  {
    ScriptedRun run(disk_, key_, fixed, random_);
    run.open({});
    run.begin(1);
    for (std::uint64_t number : {0, 1, 3, 2}) run.put(1, number, 300);
    run.note(1, Note::kSession, "who, what, where to");
    run.commit(1);
    run.truncate(1, 3);
    run.put(1, 3, 200, 1);
    run.checkpoint(1, 1, block_bytes(9, 100));
    run.note(1, Note::kFinal, "the end");
    run.commit(1);
    ASSERT_TRUE(run.alive());
    model = run.durable();
  }
  ASSERT_EQ(disk_.files.size(), 4u);
  compare();
  ASSERT_TRUE(open());
  const auto found = read_back(*store_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found == model);
  EXPECT_EQ(found->at(1).blocks.size(), 3u);
}

TEST_P(StoreGolden, BytesOfAWindow) {
  segment_bytes_ = 1000;
  StoreSettings fixed = settings();
  fixed.cipher = GetParam();
  Model model;
  ModelPins pins;
  {
    ScriptedRun run(disk_, key_, fixed, random_);
    run.open({});
    run.begin(1);
    for (std::uint64_t number : {0, 1, 3, 2}) run.put(1, number, 300);
    run.commit(1);
    run.remove(1);
    run.begin(2);
    run.pin(2, 3, 0, 0);
    run.put(2, 0, 50, 1);
    run.pin(2, 3, 0, 1);
    run.put(2, 1, 50, 1);
    run.checkpoint(2, 1, block_bytes(9, 100));
    ASSERT_TRUE(run.alive());
    run.store()->add_savings({1000000, 300000, 2});
    model = run.durable();
    pins = run.pins_of(model);
  }
  ASSERT_EQ(pins.size(), 1u);
  ASSERT_EQ(names("chunks-").size(), 3u);
  ASSERT_EQ(disk_.files.size(), 9u);
  compare();
  ASSERT_TRUE(open());
  for (std::uint64_t number = 0; number < 4; ++number) EXPECT_TRUE(finds(number));
  EXPECT_TRUE(finds(1, 1));
  EXPECT_TRUE(reads(pins[0].place));
  EXPECT_EQ(store_->savings().found_bytes, 300000u);
  const auto found = read_back(*store_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found == model);
}

INSTANTIATE_TEST_SUITE_P(Each, StoreGolden, testing::ValuesIn(seal::ciphers_by_speed()),
                         [](const auto& cipher) { return "Cipher" + std::to_string(static_cast<int>(cipher.param)); });

}  // namespace
}  // namespace zferry::store
