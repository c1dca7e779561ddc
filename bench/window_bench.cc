// The store's window at scale, on a folder in memory (/dev/shm, or $TMPDIR where there is none): what its index takes,
// and how long a store takes to open that was killed, for each TiB of the streams' bytes in chunks of 128 KiB. Blocks
// are short, for the index sees only their chunks: 512 a segment, as many as 64 MiB have.
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "base/limits.h"
#include "base/random.h"
#include "io/posix_folder.h"
#include "store/store.h"

namespace zferry::store {
namespace {

constexpr std::uint64_t kChunkBytes = 128 * limits::KiB, kChunksABlock = 8, kBlocksASegment = 64;
constexpr std::uint64_t kGiB = 1024 * limits::MiB;
constexpr std::size_t kPackedBytes = 16;

struct Place {
  std::filesystem::path path;
  Place() {
    const std::filesystem::path memory = "/dev/shm";
    const auto root = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    path = root / ("zferry-window-bench-" + std::to_string(::getpid()));
    std::filesystem::remove_all(path);
  }
  ~Place() { std::filesystem::remove_all(path); }
};

StoreSettings settings() {
  StoreSettings settings;
  settings.capacity_bytes = std::uint64_t{16} << 30;
  settings.segment_bytes = 64 + kBlocksASegment * (kPackedBytes + seal::kTagBytes);
  settings.window = true;
  return settings;
}

std::vector<ChunkFacts> chunks(SeededRandom& random, std::uint32_t units) {
  std::vector<ChunkFacts> all(kChunksABlock);
  std::uint32_t offset = 0;
  for (ChunkFacts& chunk : all) {
    random.fill(chunk.id.emplace());
    for (std::uint32_t unit = 0; unit < units; ++unit) {
      const auto bytes = static_cast<std::uint32_t>(kChunkBytes / units);
      ChunkFacts::Unit& one = chunk.units.emplace_back();
      random.fill(one.id);
      one.runs.push_back({offset, bytes});
      offset += bytes;
    }
  }
  return all;
}

// As much of a store as so many bytes of a stream leave, by a process that is killed.
bool fill(const Place& place, std::uint64_t bytes, std::uint32_t units) {
  const pid_t child = ::fork();
  if (child == 0) {
    io::PosixFolder folder(place.path);
    auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
    auto session = store ? (*store)->begin({}, "bench") : Result<std::unique_ptr<Session>>(store.take_error());
    if (!session) ::_exit(1);
    (*session)->set_scope({});
    SeededRandom random(1);
    const std::vector<std::byte> packed(kPackedBytes);
    const std::uint64_t blocks = bytes / (kChunksABlock * kChunkBytes);
    for (std::uint64_t number = 0; number < blocks; ++number) {
      const BlockFacts facts{number, number << 20, 1 << 20, kPackedBytes, 0};
      Status status = (*session)->append(facts, packed, chunks(random, units));
      if (status && number % 4096 == 4095) status = (*session)->checkpoint(number, {});
      if (!status) ::_exit(1);
    }
    ::_exit((*session)->checkpoint(blocks, {}) ? 0 : 1);
  }
  int state = 1;
  return child > 0 && ::waitpid(child, &state, 0) == child && state == 0;
}

void BM_WindowOpen(benchmark::State& state) {
  const auto gib = static_cast<std::uint64_t>(state.range(0));
  const auto units = static_cast<std::uint32_t>(state.range(1));
  const Place place;
  if (!fill(place, gib * kGiB, units)) return state.SkipWithError("cannot fill it");
  const double tib = static_cast<double>(gib) / 1024;
  for (auto _ : state) {
    io::PosixFolder folder(place.path);
    auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
    if (!store) return state.SkipWithError(store.error().what.c_str());
    state.PauseTiming();
    const WindowFacts facts = (*store)->window();
    if (facts.chunks < gib * kGiB / kChunkBytes) return state.SkipWithError("not all is there");
    state.counters["index_MiB_a_TiB"] = static_cast<double>(facts.index_bytes) / static_cast<double>(limits::MiB) / tib;
    store->reset();
    state.ResumeTiming();
  }
  state.counters["s_a_TiB"] =
      benchmark::Counter(tib * static_cast<double>(state.iterations()),
                         benchmark::Counter::Flags(benchmark::Counter::kIsRate | benchmark::Counter::kInvert));
}

// One after the other, as a stream that comes again asks: and at random, as one that has nothing in common.
void BM_WindowFind(benchmark::State& state) {
  const bool there = state.range(0) == 1;
  const Place place;
  if (!fill(place, 64 * kGiB, 1)) return state.SkipWithError("cannot fill it");
  io::PosixFolder folder(place.path);
  auto store = Store::open(folder, seal::SecretBytes(), settings(), system_random());
  if (!store) return state.SkipWithError(store.error().what.c_str());
  SeededRandom random(there ? 1 : 2);
  std::vector<chunk::Id> ids;
  for (std::uint64_t i = 0; i < 64 * kGiB / kChunkBytes / kChunksABlock; ++i)
    for (const ChunkFacts& chunk : chunks(random, 1)) ids.push_back(*chunk.id);
  std::size_t next = 0;
  for (auto _ : state) {
    if ((*store)->find({}, ids[next], kChunkBytes).has_value() != there) return state.SkipWithError("found wrongly");
    next = next + 1 == ids.size() ? 0 : next + 1;
  }
}

BENCHMARK(BM_WindowOpen)
    ->ArgNames({"GiB", "units"})
    ->Args({256, 1})
    ->Args({1024, 1})
    ->Args({256, 16})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK(BM_WindowFind)->ArgName("there")->Arg(1)->Arg(0);

}  // namespace
}  // namespace zferry::store
