// Many seeds of a plain forwarding program (producer, link, consumer) under faults and crashes: whatever happens, what
// arrives is a prefix of what was sent, nothing of a crashed program is called, and the seed replays.
#include <gtest/gtest.h>

#include "sim_traffic.h"

namespace zferry::io {
namespace {

constexpr std::size_t kStreamBytes = 300'000;

// Reads one stream and writes the other, one block at a time, until anything ends.
struct Forward {
  ByteStream& from;
  ByteStream& to;
  std::vector<std::byte> block = std::vector<std::byte>(20'000);
  bool over = false;
  bool ended = false;  // over by the end of `from`
  void go() {
    from.read(block, [this](Result<std::size_t> count) {
      ended = count.ok() && *count == 0;
      over = ended || !count.ok();
      if (ended) to.shutdown_write();
      if (over) return;
      to.write(ConstBytes(block).first(*count), [this](Result<std::size_t> written) {
        over = !written.ok();
        if (!over) go();
      });
    });
  }
};

struct Outcome {
  std::uint64_t events;
  std::uint64_t taken;
  bool whole;
  unsigned faults;
  bool operator==(const Outcome&) const = default;
};

Outcome run(std::uint64_t seed, const std::vector<std::byte>& bytes) {
  Pair pair(seed);
  SimWorld& world = pair.world;
  SeededRandom script(seed ^ 0x5eed);
  world.network().link() = {.latency = microseconds(script.below(5000)),
                            .bytes_per_second = script.below(2) * 20'000'000,
                            .buffer_bytes = 1000 + script.below(200'000),
                            .reset_discards_chance = 0.3};
  world.network().set_chaos({.chance = 0.6, .bytes_max = 2 * kStreamBytes, .time_max = milliseconds(40)});
  pair.source.add_program("producer",
                          SimProducer{.source = sim_source(bytes), .pause_chance = 0.1, .pause_max = milliseconds(1)});
  pair.target.add_program("consumer", SimConsumer{.pipe_bytes = 1 + script.below(100'000),
                                                  .bytes_per_second = script.below(2) * 30'000'000});
  bool connected = pair.connect();
  auto producer = std::move(pair.source.processes().spawn({"producer"}, PipeEnd::kItsOutput)).value();
  auto consumer = std::move(pair.target.processes().spawn({"consumer"}, PipeEnd::kItsInput)).value();
  std::unique_ptr<Forward> send, receive;
  if (connected) {
    send = std::make_unique<Forward>(Forward{producer->pipe(), *pair.dialled});
    receive = std::make_unique<Forward>(Forward{*pair.accepted, consumer->pipe()});
    send->go(), receive->go();
  }
  bool crashes = script.below(3) == 0;
  bool target_crashes = script.below(2) == 0;
  if (crashes) {
    SimHost& victim = target_crashes ? pair.target : pair.source;
    world.after(microseconds(script.below(30'000)), [&victim, how = static_cast<SimCrash>(script.below(4))] {
      victim.crash(how);
      victim.restart();
    });
  }
  // An exact end, or patience, as a program would have it.
  world.run_until([&] { return receive && receive->over; }, seconds(15));
  bool whole = receive && receive->ended && send->ended;
  // Streams go before what they read into: the forwarders' blocks must outlive the operations.
  producer.reset(), pair.dialled.reset(), pair.accepted.reset();
  consumer->close_pipe();
  world.run_for(seconds(15));
  const SimChildRecord& record = pair.target.child(0);
  EXPECT_TRUE(record.exited) << seed;
  EXPECT_LE(record.content.size(), bytes.size());
  EXPECT_TRUE(std::equal(record.content.begin(), record.content.end(), bytes.begin())) << seed;
  // A false end in the middle looks like a true one to this program, and a crash may come after it.
  if (!crashes && world.network().chaos_faults() == 0) {
    EXPECT_TRUE(whole) << seed;
    EXPECT_EQ(record.content.size(), bytes.size()) << seed;
  }
  return {world.events_run(), record.content.size(), whole, world.network().chaos_faults()};
}

TEST(Soak, PrefixesOnlyAndReplays) {
  const std::vector<std::byte> bytes = random_bytes(kStreamBytes, 99);
  constexpr std::uint64_t kSeeds = 600;
  std::size_t whole = 0, partial = 0, faults = 0, compared = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Outcome outcome = run(seed, bytes);
    if (seed % 8 == 0) {
      EXPECT_EQ(outcome, run(seed, bytes)) << "seed " << seed << " does not replay";
    }
    whole += outcome.whole;
    partial += outcome.taken < bytes.size();
    faults += outcome.faults;
    compared += outcome.taken;
  }
  EXPECT_GT(whole, kSeeds / 6);
  EXPECT_GT(partial, kSeeds / 6);
  EXPECT_GT(faults, kSeeds / 3);
  EXPECT_GT(compared, kSeeds * kStreamBytes / 3);
}

}  // namespace
}  // namespace zferry::io
