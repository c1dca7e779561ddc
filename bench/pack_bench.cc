// Packing and unpacking 1 MiB blocks: GB/s of raw bytes, by content and setting. "ratio" is packed over raw; 1 where it
// is carried as it is.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random.h"
#include "pack/pack.h"

namespace zferry::pack {
namespace {

enum class Content : int { kRandom, kText, kZeros };

// Words of Zipf-like frequency: zstd -3 packs them to about a third, as it does prose.
std::vector<std::byte> make_text(std::size_t bytes) {
  SeededRandom random(7);
  std::vector<std::string> words(4096);
  for (std::string& word : words)
    for (std::uint64_t left = 2 + random.below(9); left > 0; --left) word += "etaoinshrdlucmfwypvbgk"[random.below(22)];
  std::vector<std::byte> text;
  while (text.size() < bytes) {
    const std::string& word = words[random.below(1 + random.below(1 + random.below(words.size())))];
    for (char c : word + ' ') text.push_back(static_cast<std::byte>(c));
  }
  text.resize(bytes);
  return text;
}

std::vector<std::byte> make_block(Content content) {
  std::vector<std::byte> raw(limits::kBlockBytesMax);
  if (content == Content::kRandom) SeededRandom(1).fill(raw);
  if (content == Content::kText) raw = make_text(raw.size());
  return raw;
}

// Arguments: content, mode, level.
void BM_Pack(benchmark::State& state) {
  const auto raw = make_block(static_cast<Content>(state.range(0)));
  const PackSettings settings{static_cast<Mode>(state.range(1)), static_cast<int>(state.range(2))};
  std::vector<std::byte> out(raw.size());
  std::size_t packed_bytes = 0;
  for (auto _ : state) benchmark::DoNotOptimize(packed_bytes = pack(settings, Hint::kUnknown, raw, out));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
  state.counters["ratio"] =
      packed_bytes == 0 ? 1.0 : static_cast<double>(packed_bytes) / static_cast<double>(raw.size());
}

void BM_Unpack(benchmark::State& state) {
  auto raw = make_block(static_cast<Content>(state.range(0)));
  std::vector<std::byte> out(raw.size());
  const std::size_t packed_bytes = pack({Mode::kAlways, kLevelAuto}, Hint::kUnknown, raw, out);
  for (auto _ : state)
    if (!unpack(ConstBytes(out).first(packed_bytes), raw)) state.SkipWithError("does not unpack");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
}

constexpr int kOff = static_cast<int>(Mode::kOff);
constexpr int kProbe = static_cast<int>(Mode::kProbe);
constexpr int kAlways = static_cast<int>(Mode::kAlways);
constexpr int kText = static_cast<int>(Content::kText);
constexpr int kZeros = static_cast<int>(Content::kZeros);

BENCHMARK(BM_Pack)
    ->ArgNames({"content", "mode", "level"})
    ->ArgsProduct({{0, kText, kZeros}, {kOff, kProbe}, {kLevelAuto}})
    ->ArgsProduct({{0, kText, kZeros}, {kAlways}, {1, 3, 6}});
BENCHMARK(BM_Unpack)->ArgName("content")->Arg(kText)->Arg(kZeros);

}  // namespace
}  // namespace zferry::pack
