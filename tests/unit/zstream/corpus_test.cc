// The walker's fuzz corpus is made, not found: this test makes it, and holds the folder to it. With ZFERRY_WRITE_CORPUS
// set it writes the files instead. Files that a fuzzer found lie beside them under other names.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "unit/zstream/sample_streams.h"

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

TEST(WalkerCorpus, IsWhatTheWriterMakes) {
  const std::filesystem::path folder = std::filesystem::path(ZFERRY_TEST_DATA) / "fuzz" / "corpus" / "walker";
  const bool write = std::getenv("ZFERRY_WRITE_CORPUS") != nullptr;
  if (write) std::filesystem::create_directories(folder);
  std::size_t files = 0, bytes = 0;
  for (const auto& [name, input] : corpus()) {
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

}  // namespace
}  // namespace zferry::zstream
