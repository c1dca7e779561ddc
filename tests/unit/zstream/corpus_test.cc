// The fuzz corpora of the walker, and of what it saves, are made, not found: this test makes them, and holds the
// folders to them. With ZFERRY_WRITE_CORPUS set it writes the files instead. Files that a fuzzer found lie beside them
// under other names.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "unit/zstream/sample_streams.h"
#include "zstream/walker.h"

namespace zferry::zstream {
namespace {

std::map<std::string, std::vector<std::byte>> corpus() {
  std::map<std::string, std::vector<std::byte>> inputs{{"made-empty", {}}, {"made-zeros", std::vector<std::byte>(700)}};
  std::byte pieces{0};
  auto add = [&](const std::string& name, ConstBytes stream) {
    std::vector<std::byte>& input = inputs["made-" + name];
    input.push_back(pieces);
    input.insert(input.end(), stream.begin(), stream.end());
    pieces = static_cast<std::byte>(std::to_integer<unsigned>(pieces) + 37);
  };
  for (const testing::Sample& sample : testing::sample_streams()) {
    if (sample.bytes.size() > 16000 && sample.name.ends_with("-swapped")) continue;  // the corpus stays small
    add(sample.name, sample.bytes);
    if (sample.name != "all-types") continue;
    add("cut", ConstBytes(sample.bytes).first(sample.bytes.size() / 2));
    std::vector<std::byte> other = sample.bytes;
    other[kRecordBytes] = std::byte{11};
    add("unknown-type", other);
    other[kRecordBytes] = std::byte{0};
    add("begin-in-substream", other);
    other = sample.bytes;
    other.insert(other.end(), sample.bytes.begin(), sample.bytes.end());
    other.resize(other.size() + 50, std::byte{'x'});
    add("twice-and-more", other);
  }
  return inputs;
}

// As fuzz_saved_walker.cc takes them apart: streams cut in two, the first part walked and saved.
std::map<std::string, std::vector<std::byte>> saved_corpus() {
  std::map<std::string, std::vector<std::byte>> inputs;
  SeededRandom random(1);
  for (const testing::Sample& sample : testing::sample_streams()) {
    if (sample.name.starts_with("no-checksums") || sample.name.ends_with("without-list-swapped")) continue;
    const ConstBytes stream(sample.bytes);
    for (const std::size_t cut : {std::size_t{0}, std::size_t{100}, 3000 + random.below(500), stream.size() - 100}) {
      if (cut < 200 && sample.name != "all-types") continue;
      RecordWalker walker;
      if (!walker.walk(stream.first(cut))) continue;
      const std::vector<std::byte> saved = walker.save();
      std::vector<std::byte>& input = inputs["made-" + sample.name + "-" + std::to_string(cut)];
      input.resize(5);
      input[0] = static_cast<std::byte>(inputs.size());
      store_at(Bytes(input), 1, static_cast<std::uint32_t>(saved.size()));
      input.insert(input.end(), saved.begin(), saved.end());
      const ConstBytes rest = stream.subspan(cut).first(std::min<std::size_t>(stream.size() - cut, 2000));
      input.insert(input.end(), rest.begin(), rest.end());
    }
  }
  return inputs;
}

void hold(const std::string& folder_name, const std::map<std::string, std::vector<std::byte>>& inputs) {
  const std::filesystem::path folder = std::filesystem::path(ZFERRY_TEST_DATA) / "fuzz" / "corpus" / folder_name;
  const bool write = std::getenv("ZFERRY_WRITE_CORPUS") != nullptr;
  if (write) std::filesystem::create_directories(folder);
  std::size_t files = 0, bytes = 0;
  for (const auto& [name, input] : inputs) {
    const std::string_view text = as_text(input);
    if (write)
      std::ofstream(folder / name, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
    std::ifstream file(folder / name, std::ios::binary);
    const std::string kept{std::istreambuf_iterator<char>(file), {}};
    EXPECT_TRUE(file.is_open() && kept == text) << name << " differs: run this test with ZFERRY_WRITE_CORPUS=1";
    bytes += input.size();
    ++files;
  }
  EXPECT_GE(files, 14u);
  EXPECT_LT(bytes, 200u * 1024);
}

TEST(WalkerCorpus, IsWhatTheWriterMakes) { hold("walker", corpus()); }
TEST(WalkerCorpus, OfSavedWalksIsWhatIsSaved) { hold("saved_walker", saved_corpus()); }

}  // namespace
}  // namespace zferry::zstream
