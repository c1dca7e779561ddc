// Stages of the stream layer, GB/s of stream on one core.
#include <benchmark/benchmark.h>

#include "base/limits.h"
#include "base/random.h"
#include "zstream/checksum_plan.h"
#include "zstream/walker.h"
#include "zstream/writer.h"

namespace zferry::zstream {
namespace {

// A substream of WRITE records of `payload_bytes` each, about 64 MiB.
std::vector<std::byte> stream_of(std::size_t payload_bytes) {
  StreamWriter writer;
  SeededRandom random(1);
  std::vector<std::byte> payload(payload_bytes);
  random.fill(payload);
  writer.begin({.toguid = 1, .toname = "tank/vm@monday"});
  for (std::size_t i = 0; i < 64 * limits::MiB / (payload_bytes + kRecordBytes); ++i) {
    writer.write(1, i * payload_bytes, payload_bytes, payload);
  }
  writer.end();
  return writer.take();
}

std::vector<ConstBytes> blocks_of(ConstBytes stream) {
  std::vector<ConstBytes> blocks;
  for (; !stream.empty(); stream = stream.subspan(blocks.back().size())) {
    blocks.push_back(stream.first(std::min(stream.size(), limits::kBlockBytesMax)));
  }
  return blocks;
}

void bm_fletcher4(benchmark::State& state) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  SeededRandom(1).fill(bytes);
  for (auto _ : state) benchmark::DoNotOptimize(fletcher4(bytes, state.range(1) != 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(bm_fletcher4)->ArgNames({"bytes", "swapped"})->Args({280, 0})->Args({131072, 0})->Args({131072, 1});

void bm_walk(benchmark::State& state) {
  const auto stream = stream_of(static_cast<std::size_t>(state.range(0)));
  const auto blocks = blocks_of(stream);
  for (auto _ : state) {
    RecordWalker walker;
    for (ConstBytes block : blocks) {
      auto plan = walker.walk(block);
      ZF_ASSERT(plan.ok());
      benchmark::DoNotOptimize(plan->steps.data());
    }
    ZF_ASSERT(walker.finish().ok());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}
BENCHMARK(bm_walk)->ArgName("payload")->Arg(131072)->Arg(4096)->Arg(512)->Unit(benchmark::kMicrosecond);

// What a worker does with a block (compute), and with it what follows in order (fold).
void bm_compute_and_fold(benchmark::State& state) {
  const auto stream = stream_of(static_cast<std::size_t>(state.range(0)));
  const auto blocks = blocks_of(stream);
  RecordWalker walker;
  std::vector<ChecksumPlan> plans;
  for (ConstBytes block : blocks) {
    auto plan = walker.walk(block);
    ZF_ASSERT(plan.ok());
    plans.push_back(std::move(*plan));
  }
  for (auto _ : state) {
    ChecksumVerifier verifier;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      ZF_ASSERT(verifier.fold(plans[i], compute(plans[i], blocks[i])).ok());
    }
    ZF_ASSERT(verifier.compared() > 0);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}
BENCHMARK(bm_compute_and_fold)->ArgName("payload")->Arg(131072)->Arg(4096)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace zferry::zstream
