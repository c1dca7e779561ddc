// Runs of a source that die anywhere, one after the other, against one target: whatever each was cut into, what was
// lost, came twice or late, bytes out are bytes in, each of them once.
#include <gtest/gtest.h>
#include <zstd.h>

#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "unit/pipeline/stages.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

// Runs of a source that end anywhere, one after the other, against one target.
class Relay {
 public:
  Relay(OneMachine& one, std::vector<std::byte> bytes, std::size_t leaf_bytes)
      : one_(one), bytes_(std::move(bytes)), leaf_bytes_(leaf_bytes), to_(one.machine, key_, leaf_bytes, 7) {}

  void run() {
    for (int left = static_cast<int>(random().below(6)); left > 0; --left) ASSERT_NO_FATAL_FAILURE(a_run_that_dies());
    ASSERT_NO_FATAL_FAILURE(the_run_that_lives());
  }
  int rewinds = 0;
  int mid_leaf = 0;
  std::uint64_t forgotten = 0;  // blocks that had arrived
  std::uint64_t copies = 0;
  int finals_void = 0;

 private:
  SeededRandom& random() { return one_.machine.random; }

  struct Copy {
    wire::Block header;
    std::vector<std::byte> packed;
  };
  void start_run() {
    pack::PackSettings packings[] = {{pack::Mode::kOff, 0}, {}, {pack::Mode::kAlways, 2}};
    from_.emplace(one_.machine, bytes_, leaf_bytes_, packings[random().below(3)], 8 + 2 * random().below(6));
    from_->input->read_bytes_max = 1 + random().below(2 * leaf_bytes_);
    from_->input->ended = true;
    ASSERT_TRUE(one_.world.run_until([&] { return from_->identified; }, hours(1)));
    if (random().chance(0.3)) one_.world.run_for(milliseconds(1));
    ResumePoint point = to_.pipeline.resume_point();
    ResumePoint expected = point_at(key_, leaf_bytes_, bytes_, point.offset, point.next_number);
    ASSERT_EQ(point.marks, expected.marks);
    ASSERT_TRUE(point.check().ok());
    mid_leaf += point.offset % leaf_bytes_ != 0;
    from_->pipeline->begin(key_.copy(), std::move(point));
  }
  // Some blocks go in any order and more than once, others are lost.
  void step(double loss) {
    while (auto block = from_->pipeline->next_block(to_.pipeline.credit())) under_way_.push_back(std::move(*block));
    from_->pipeline->pull();
    if (under_way_.empty()) return;
    one_.host().loop.after(microseconds(random().below(50)), [] {});  // the world asks again
    if (random().chance(0.3)) return;
    auto which = under_way_.begin() + static_cast<std::ptrdiff_t>(random().below(under_way_.size()));
    if (!random().chance(loss)) {
      const ConstBytes packed = which->packed.bytes;
      deliver(which->header, packed);
      copies_.push_back({which->header, {packed.begin(), packed.end()}});
    }
    under_way_.erase(which);
    if (random().chance(0.2) && !copies_.empty()) {
      const Copy& copy = copies_[random().below(copies_.size())];
      deliver(copy.header, copy.packed);
      ++copies;
    }
  }
  void deliver(const wire::Block& header, ConstBytes packed) {
    flow::Buffer buffer = pool_.take();
    ASSERT_TRUE(buffer);
    std::copy(packed.begin(), packed.end(), buffer->begin());
    to_.pipeline.take(header, {buffer, ConstBytes(*buffer).first(packed.size())});
  }
  void a_run_that_dies() {
    ASSERT_NO_FATAL_FAILURE(start_run());
    // It dies after a random count of steps, which are as many as the world's events.
    std::uint64_t steps = random().below(400);
    double loss = random().chance(0.5) ? 0.05 : 0;
    ASSERT_TRUE(one_.world.run_until(
                    [&] {
                      step(loss);
                      return steps-- == 0 || from_->pipeline->drained() || from_->failed || to_.failed;
                    },
                    hours(1)) ||
                loss > 0);
    ASSERT_FALSE(from_->failed || to_.failed);
    bool final_sent = from_->pipeline->drained() && loss > 0 && to_.pipeline.received() < from_->pipeline->end().blocks;
    if (final_sent) to_.check(from_->pipeline->end());
    finals_void += final_sent;
    one_.machine.workers.hold = random().chance(0.3);
    for (int i = 0; i < 3 && !under_way_.empty(); ++i) step(0);
    for (std::uint64_t word : to_.pipeline.beyond()) forgotten += static_cast<std::uint64_t>(std::popcount(word));
    from_.reset();
    under_way_.clear();
    copies_.clear();
    bool rewound = false;
    to_.pipeline.rewind([&] { rewound = true; });
    bool at_once = random().chance(0.5);
    if (!at_once) one_.machine.workers.release();
    if (at_once) one_.host().loop.post([this] { one_.machine.workers.release(); });
    ASSERT_TRUE(one_.world.run_until([&] { return rewound; }, hours(1)));
    EXPECT_EQ(to_.pipeline.resume_point().next_number, to_.pipeline.received());
    EXPECT_TRUE(to_.pipeline.beyond().empty());
    ++rewinds;
  }
  void the_run_that_lives() {
    ASSERT_NO_FATAL_FAILURE(start_run());
    ASSERT_TRUE(one_.world.run_until(
        [&] {
          step(0);
          return (from_->pipeline->drained() && under_way_.empty()) || from_->failed || to_.failed;
        },
        hours(1)));
    ASSERT_FALSE(from_->failed || to_.failed);
    ASSERT_TRUE(from_->pipeline->finish().ok());
    EXPECT_FALSE(to_.verdict) << "no run before this one was whole";
    to_.check(from_->pipeline->end());
    ASSERT_TRUE(one_.world.run_until([&] { return to_.verdict.has_value(); }, hours(1)));
    ASSERT_TRUE(to_.verdict->ok()) << to_.verdict->error().what;
    EXPECT_LE(to_.end->wire->written.size() + std::min(bytes_.size(), limits::kTailBytes), bytes_.size());
    to_.pipeline.release();
    ASSERT_TRUE(one_.world.run_until([&] { return to_.finished.has_value(); }, hours(1)));
    ASSERT_EQ(to_.end->wire->written, bytes_);
    EXPECT_EQ(to_.pipeline.delivered(), from_->pipeline->end().blocks);
  }

  OneMachine& one_;
  const std::vector<std::byte> bytes_;
  const std::size_t leaf_bytes_;
  seal::SecretBytes key_ = seal::SecretBytes::random(one_.machine.random);
  Receiving to_;
  flow::BufferPool pool_{200, leaf_bytes_};
  std::optional<Sending> from_;
  std::vector<OutgoingBlock> under_way_;
  std::vector<Copy> copies_;
};

struct RelayCounts {
  int relays = 0, rewinds = 0, mid_leaf = 0, finals_void = 0;
  std::uint64_t forgotten = 0, copies = 0;

  void run(OneMachine& one, std::vector<std::byte> bytes, std::size_t leaf_bytes) {
    Relay relay(one, std::move(bytes), leaf_bytes);
    relay.run();
    ++relays;
    rewinds += relay.rewinds;
    mid_leaf += relay.mid_leaf;
    finals_void += relay.finals_void;
    forgotten += relay.forgotten;
    copies += relay.copies;
  }
};

TEST(Relays, BytesOutAreBytesInWhereverRunsDie) {
  RelayCounts counts;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    OneMachine one(1000 + seed);
    SeededRandom& random = one.machine.random;
    std::vector<std::byte> bytes = seed % 3 == 0 ? mixed_bytes(random, random.below(150'000))
                                                 : zfs_stream(random, random.below(200'000), 8 * random.below(350));
    counts.run(one, std::move(bytes), random.chance(0.5) ? 4096 : 1000 + random.below(10'000));
    if (::testing::Test::HasFatalFailure()) return;
  }
  std::printf("%d runs died, %d in the middle of a leaf; %llu blocks forgotten, %llu copies, %d FINALs void\n",
              counts.rewinds, counts.mid_leaf, static_cast<unsigned long long>(counts.forgotten),
              static_cast<unsigned long long>(counts.copies), counts.finals_void);
  EXPECT_EQ(counts.relays, 500);
  EXPECT_GT(counts.rewinds, 1000);
  EXPECT_GT(counts.mid_leaf, 500);
  EXPECT_GT(counts.forgotten, 600u);
  EXPECT_GT(counts.copies, 2200u);
  EXPECT_GT(counts.finals_void, 50);
}

TEST(Relays, TheSamplesOfZfsStreams) {
  RelayCounts counts;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (const zstream::testing::Sample& sample : zstream::testing::sample_streams()) {
      SCOPED_TRACE(sample.name);
      OneMachine one(2000 + seed);
      counts.run(one, sample.bytes, 4096);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(counts.relays, 48);
  EXPECT_GT(counts.rewinds, 50);
}

TEST(Relays, RealStreams) {
  RelayCounts counts;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(ZFERRY_TEST_DATA) / "data" / "streams")) {
    if (entry.path().extension() != ".zst") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string packed{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::byte> bytes(16 * limits::MiB);
    std::size_t count = ZSTD_decompress(bytes.data(), bytes.size(), packed.data(), packed.size());
    ASSERT_FALSE(ZSTD_isError(count)) << entry.path();
    bytes.resize(count);
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(entry.path().string() + " " + std::to_string(seed));
      OneMachine one(3000 + seed);
      counts.run(one, bytes, one.machine.random.chance(0.5) ? 4096 : 65536);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_GE(counts.relays, 16);
  EXPECT_GT(counts.rewinds, 20);
}

}  // namespace
}  // namespace zferry::pipeline
