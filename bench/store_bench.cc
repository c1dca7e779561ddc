// The store on a folder in memory (/dev/shm, or $TMPDIR where there is none): blocks in and committed by size, blocks
// out, and what opening costs for a million of them.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "base/limits.h"
#include "base/random.h"
#include "io/posix_folder.h"
#include "store/store.h"

namespace zferry::store {
namespace {

// A folder that goes when this object goes.
struct Place {
  std::filesystem::path path;
  Place() {
    const std::filesystem::path memory = "/dev/shm";
    const auto root = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    path = root / ("zferry-store-bench-" + std::to_string(::getpid()));
    std::filesystem::remove_all(path);
  }
  ~Place() { std::filesystem::remove_all(path); }
};

StoreSettings settings() {
  StoreSettings settings;
  settings.capacity_bytes = std::uint64_t{4} << 30;
  return settings;
}

BlockFacts facts(std::uint64_t number, std::size_t bytes) {
  return {number, number * bytes, static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(bytes), 0};
}

// Commits every 64 MiB, checkpoints every 512.
void BM_StoreAppend(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const Place place;
  io::PosixFolder folder(place.path);
  auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
  if (!store) return state.SkipWithError(store.error().what.c_str());
  auto session = (*store)->begin({}, "bench");
  std::vector<std::byte> packed(bytes);
  SeededRandom(1).fill(packed);
  const std::uint64_t each = 64 * limits::MiB / bytes;
  std::uint64_t number = 0;
  for (auto _ : state) {
    Status status = (*session)->append(facts(number++, bytes), packed);
    if (status && number % each == 0) status = (*session)->commit();
    if (status && number % (8 * each) == 0) status = (*session)->checkpoint(number, packed);
    if (!status) return state.SkipWithError(status.error().what.c_str());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void BM_StoreRead(benchmark::State& state) {
  constexpr std::size_t kBytes = limits::kBlockBytesMax, kBlocks = 256;
  const Place place;
  io::PosixFolder folder(place.path);
  auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
  if (!store) return state.SkipWithError(store.error().what.c_str());
  auto session = (*store)->begin({}, "bench");
  std::vector<std::byte> packed(kBytes);
  for (std::uint64_t number = 0; number < kBlocks; ++number)
    if (!(*session)->append(facts(number, kBytes), packed)) return state.SkipWithError("append failed");
  std::uint64_t number = 0;
  for (auto _ : state)
    if (!(*session)->read(number++ % kBlocks, packed)) return state.SkipWithError("read failed");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBytes));
}

// Of `range` blocks: what a store of as many MiB costs when it is opened, and when its session is resumed.
void BM_StoreOpen(benchmark::State& state) {
  const auto blocks = static_cast<std::uint64_t>(state.range(0));
  const Place place;
  const std::vector<std::byte> packed(16);
  {
    io::PosixFolder folder(place.path);
    auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
    if (!store) return state.SkipWithError(store.error().what.c_str());
    auto session = (*store)->begin({}, "bench");
    for (std::uint64_t number = 0; number < blocks; ++number) {
      Status status = (*session)->append(facts(number, packed.size()), packed);
      if (status && number % 64 == 63) status = (*session)->commit();
      if (!status) return state.SkipWithError(status.error().what.c_str());
    }
  }
  for (auto _ : state) {
    io::PosixFolder folder(place.path);
    auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
    if (!store || (*store)->sessions()[0].blocks < blocks / 64 * 64) return state.SkipWithError("not all is there");
    if (state.range(1) == 1 && !(*store)->resume({})) return state.SkipWithError("resume failed");
  }
}

BENCHMARK(BM_StoreAppend)->ArgName("bytes")->Arg(4096)->Arg(65536)->Arg(262144)->Arg(1048576);
BENCHMARK(BM_StoreRead);
BENCHMARK(BM_StoreOpen)
    ->ArgNames({"blocks", "resume"})
    ->Args({1 << 20, 0})
    ->Args({1 << 20, 1})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);

}  // namespace
}  // namespace zferry::store
