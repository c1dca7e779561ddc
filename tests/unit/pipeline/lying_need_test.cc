// A source against a target that lies about chunks: answers to what was never asked, to what is over, to more units
// than there are, twice, without end, or none at all. What goes out is always the stream, bounded in number, and the
// source ends as it would without the lie; only an answer to a block that is not there yet is a breach.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "pipeline/source.h"
#include "unit/pipeline/hand_lane.h"
#include "unit/pipeline/named_blocks.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using session::SourceState;
using wire::FrameType;

constexpr std::size_t kBlockBytes = 4096;

class LyingAnswers : public ::testing::Test {
 protected:
  LyingAnswers() {
    Pairing pair = pair_by_keys(liar.random);
    meeting.listen = true;
    meeting.endpoint = {"", "9443"};
    meeting.credentials = std::move(pair.listener);
    settings.meeting.endpoint = {"target", "9443"};
    settings.meeting.credentials = std::move(pair.dialler);
    settings.lane = lane_settings();
    settings.lane.block_bytes = kBlockBytes;
    settings.pool_buffers = 24;
    settings.session_name = "tank/vm";
    settings.give_up_after = seconds(30);
    settings.pack.mode = pack::Mode::kOff;
    lane = settings.lane;
    stream = random_bytes(liar.random, 30 * kBlockBytes + 1000);
    liar.random.fill(opened.leaf_key);
    liar.random.fill(opened.chunk_key);
    opened.credit = 8;
    opened.hold_s = 60;
  }
  void start() {
    Reception::Events events;
    events.busy = [](bool) { return false; };
    events.lane_up = [this](EstablishedLane established) {
      lanes.push_back(std::make_unique<HandLane>(liar.host, lane, std::move(established)));
      if (!lanes.back()->join.fresh()) lanes.back()->say(FrameType::kAck, wire::encode(ack_now()));
    };
    reception =
        std::make_unique<Reception>(liar.host, meeting, lane, wire::Role::kTarget, settings.notices, std::move(events));
    ASSERT_TRUE(reception->start().ok());
    io::SimProducer input;
    input.source = io::sim_source(stream);
    machine.sim.set_standard_input(input);
    source = std::make_unique<Source>(machine.host, settings, [this](const Report& of) {
      EXPECT_FALSE(report) << "twice";
      report = of;
    });
    source->start();
    ASSERT_TRUE(world.run_until([&] { return !lanes.empty() && up().count(FrameType::kOpen) == 1; }, seconds(10)));
    up().say(FrameType::kOpened, wire::encode(opened));
  }
  HandLane& up() { return *lanes.back(); }

  // What came so far, over all lanes, in the order that it came on each.
  template <class F>
  void each_named(F f) {
    for (const auto& each : lanes)
      for (const auto& [type, message] : each->heard)
        if (type == FrameType::kChunks) f(wire::decode_chunks(message).value());
  }
  std::map<std::uint64_t, wire::Chunks> named() {
    std::map<std::uint64_t, wire::Chunks> all;
    each_named([&](const wire::Chunks& chunks) { all[chunks.number] = chunks; });
    return all;
  }
  std::map<std::uint64_t, int> copies() const {
    std::map<std::uint64_t, int> all;
    for (const auto& each : lanes)
      for (const auto& [header, bytes] : each->blocks) ++all[header.number];
    return all;
  }
  // Below it all blocks have come, and are acknowledged.
  std::uint64_t contiguous() const {
    std::uint64_t next = 0;
    const auto all = copies();
    while (all.contains(next) && !withheld.contains(next)) ++next;
    return next;
  }
  wire::Ack ack_now() const {
    wire::Ack ack{contiguous(), 0, contiguous() + 8, {}};
    ack.life = life;
    return ack;
  }
  void say_ack() {
    const wire::Ack ack = ack_now();
    if (ack.received == acked && ack.life == acked_life) return;
    acked = ack.received;
    acked_life = ack.life;
    up().say(FrameType::kAck, wire::encode(ack));
  }
  void need(std::uint64_t number, std::vector<std::uint64_t> missing = {}) {
    up().say(FrameType::kNeed, wire::encode(wire::Need{number, false, std::move(missing)}));
  }
  void need_whole(std::uint64_t number) { up().say(FrameType::kNeed, wire::encode(wire::Need{number, true, {}})); }

  // Answers each name once, by `answer`, and looks at each block that came, by `look`, until FINAL and all before it
  // are there; then it is acknowledged.
  using Answer = std::function<void(const wire::Chunks&)>;
  using Look = std::function<void(const wire::Block&)>;
  void play(const Answer& answer, const Look& look = {}) {
    std::set<std::uint64_t> answered;
    std::map<const HandLane*, std::size_t> looked;
    const auto turn = [&] {
      for (const auto& [number, chunks] : named())
        if (answered.insert(number).second) answer(chunks);
      for (const auto& each : lanes)
        for (std::size_t& at = looked[each.get()]; at < each->blocks.size(); ++at)
          if (look) look(each->blocks[at].first);
      say_ack();
    };
    const auto all_here = [&] { return up().last(FrameType::kFinal) && contiguous() == final().blocks; };
    for (int i = 0; i < 3000 && !report; ++i) {
      turn();
      if (all_here()) break;
      world.run_for(milliseconds(10));
    }
    ASSERT_FALSE(report) << report->ending.error.what;
    ASSERT_TRUE(up().last(FrameType::kFinal)) << contiguous();
    ASSERT_EQ(contiguous(), final().blocks);
  }
  wire::Final final() { return wire::decode_final(*up().last(FrameType::kFinal)).value(); }
  void end_well() {
    up().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
    ASSERT_TRUE(world.run_until([&] { return report.has_value(); }, seconds(60)));
    EXPECT_TRUE(report->ending.ok()) << report->ending.error.what;
    check_all();
  }
  // Every block that came, in every form: what a target that has the rest makes of it.
  void check_all() {
    const auto all_named = named();
    std::set<std::uint64_t> ends;
    for (const auto& each : lanes) {
      for (const auto& [header, packed] : each->blocks) {
        const ConstBytes truth = ConstBytes(stream).subspan(header.offset, header.raw_bytes);
        std::vector<std::byte> made = packed;
        if (header.encoding == wire::Encoding::kChunks) {
          ++recipes;
          compared += header.raw_bytes;
          ++recipes_of[header.number];
          if (!all_named.contains(header.number)) continue;  // it was answered before it was named
          const wire::Chunks& chunks = all_named.at(header.number);
          auto recipe = Recipe::decode(packed, header.raw_bytes, chunks.unit_bytes());
          ASSERT_TRUE(recipe.ok()) << recipe.error().what;
          made.assign(header.raw_bytes, {});
          for (const Gap& gap : recipe->put(made))
            copy_bytes(truth.subspan(gap.offset, gap.bytes), Bytes(made).subspan(gap.offset));
          EXPECT_TRUE(recipe->finish(made).ok());
          EXPECT_EQ(recipe->proof(), seal::proof_of(seal::SecretBytes(opened.leaf_key), header.offset, made));
          for (std::size_t unit = 0; unit < chunks.unit_bytes().size(); ++unit) brought += recipe->brings(unit);
        }
        ASSERT_TRUE(std::ranges::equal(made, truth)) << header.number;
        if (header.encoding == wire::Encoding::kChunks) continue;
        compared += made.size();
        ++whole_of[header.number];
      }
    }
  }
  // For the next of a list.
  void again() {
    world.run_for(seconds(1));
    source.reset();
    reception.reset();
    lanes.clear();
    report.reset();
    machine.sim.disk().records.clear();
    acked = life = acked_life = 0;
    withheld.clear();
    recipes_of.clear();
    whole_of.clear();
    world.run_for(seconds(1));
  }

  io::SimWorld world{91};
  Machine machine{world.add_host("source"), 1};
  Machine liar{world.add_host("target"), 2};
  MeetingSettings meeting;
  SourceSettings settings;
  LaneSettings lane;
  wire::Opened opened;
  std::vector<std::byte> stream;
  std::unique_ptr<Reception> reception;
  std::vector<std::unique_ptr<HandLane>> lanes;
  std::optional<Report> report;
  std::unique_ptr<Source> source;
  std::set<std::uint64_t> withheld;  // came, and is not said to be there
  std::uint64_t acked = 0;
  std::uint32_t life = 0, acked_life = 0;
  std::map<std::uint64_t, int> recipes_of, whole_of;
  std::size_t compared = 0, recipes = 0, brought = 0;
};

const std::vector<std::uint64_t> kAll(wire::kBlockUnitsMax / 64, ~std::uint64_t{0});

// None, all, any, and bits behind the last unit.
TEST_F(LyingAnswers, WhateverIsLackingTheStreamComes) {
  int checked = 0;
  for (int which = 0; which < 5; ++which) {
    SCOPED_TRACE(which);
    start();
    play([&](const wire::Chunks& chunks) {
      std::vector<std::uint64_t> missing;
      if (which == 1) missing = kAll;
      if (which == 2) missing = {liar.random.next(), liar.random.next()};
      if (which == 3) missing.assign(16, liar.random.next() | 1), missing[0] &= ~std::uint64_t{2};
      if (which == 4 && chunks.number % 2 == 0) missing = {1};
      need(chunks.number, missing);
    });
    end_well();
    if (which == 0) {
      EXPECT_EQ(brought, 0u);
      EXPECT_GT(recipes, 25u);
    }
    if (which == 1) {
      EXPECT_TRUE(recipes_of.empty());
    }
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 5);
  EXPECT_EQ(compared, 5 * stream.size());
  EXPECT_GT(brought, 100u);
}

// It says that it has it all, and has nothing: then it can only ask for it whole.
TEST_F(LyingAnswers, HasItAllAndThenWantsItWhole) {
  start();
  std::set<std::uint64_t> wanted;
  play([&](const wire::Chunks& chunks) { need(chunks.number); },
       [&](const wire::Block& header) {
         if (header.encoding == wire::Encoding::kChunks) {
           withheld.insert(header.number);
           wanted.insert(header.number);
           need_whole(header.number);
         } else {
           withheld.erase(header.number);
         }
       });
  end_well();
  EXPECT_GT(wanted.size(), 25u);
  for (std::uint64_t number : wanted) {
    EXPECT_EQ(recipes_of[number], 1) << number;
    EXPECT_EQ(whole_of[number], 1) << number;
  }
  EXPECT_GT(compared, 2 * stream.size() - 6 * kBlockBytes);
  EXPECT_LE(compared, 2 * stream.size());
  EXPECT_EQ(report->progress.found_bytes, 0u) << "nothing was";
}

TEST_F(LyingAnswers, WantsItWholeAThousandTimes) {
  start();
  play(
      [&](const wire::Chunks& chunks) {
        need(chunks.number);
        need_whole(chunks.number);
      },
      [&](const wire::Block& header) {
        withheld.erase(header.number);
        if (header.encoding == wire::Encoding::kChunks) withheld.insert(header.number);
        for (int i = 0; i < 100; ++i) need_whole(header.number);
        for (int i = 0; i < 10; ++i) need(header.number, kAll);
      });
  end_well();
  int most = 0;
  for (const auto& [number, count] : copies()) most = std::max(most, count);
  EXPECT_LE(most, 2);
  EXPECT_GT(compared, stream.size());
}

// The first word counts.
TEST_F(LyingAnswers, TwoAnswersThatDiffer) {
  int checked = 0;
  for (bool all_first : {false, true}) {
    start();
    play([&](const wire::Chunks& chunks) {
      need(chunks.number, all_first ? kAll : std::vector<std::uint64_t>{});
      need(chunks.number, all_first ? std::vector<std::uint64_t>{} : kAll);
      if (chunks.number % 3 == 0) need_whole(chunks.number);
    });
    end_well();
    EXPECT_EQ(recipes_of.empty(), all_first);
    EXPECT_EQ(brought, 0u);
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 2);
  EXPECT_GE(compared, 2 * stream.size()) << "what was asked for whole as well may come so as well";
  EXPECT_LE(compared, 3 * stream.size());
}

// What it said is there does not come again.
TEST_F(LyingAnswers, WantsWholeWhatItHasAcknowledged) {
  start();
  std::size_t said = 0;
  play([&](const wire::Chunks& chunks) { need(chunks.number); },
       [&](const wire::Block& header) {
         for (std::uint64_t number = 0; number < acked; ++number, ++said) need_whole(number);
         for (std::uint64_t number = 0; number < acked; ++number, ++said) need(number, kAll);
         EXPECT_LE(header.number, acked + 8);
       });
  for (std::uint64_t number = 0; number < final().blocks; ++number, ++said) need_whole(number);
  world.run_for(seconds(2));
  EXPECT_EQ(source->state(), SourceState::kFinalSent);
  end_well();
  for (const auto& [number, count] : copies()) EXPECT_EQ(count, 1) << number;
  EXPECT_GT(said, 500u);
  EXPECT_EQ(compared, stream.size());
}

// FINAL is sent, and not all has arrived that it counts.
TEST_F(LyingAnswers, WantsItWholeAfterFinal) {
  opened.credit = 60;
  settings.pool_buffers = 200;
  start();
  std::set<std::uint64_t> of_recipes;
  bool asked = false;
  const auto all_sent = [&] { return up().last(FrameType::kFinal).has_value(); };
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 1000 && !all_sent(); ++i) {
    for (const auto& [number, chunks] : named())
      if (answered.insert(number).second) need(number);
    world.run_for(milliseconds(10));
  }
  ASSERT_TRUE(all_sent());
  for (const auto& [header, bytes] : up().blocks)
    if (header.encoding == wire::Encoding::kChunks) of_recipes.insert(header.number);
  ASSERT_GT(of_recipes.size(), 20u);
  for (std::uint64_t number : of_recipes) need_whole(number);
  asked = world.run_until([&] { return copies().size() + of_recipes.size() == up().blocks.size(); }, seconds(10));
  EXPECT_TRUE(asked);
  world.run_for(seconds(1));
  say_ack();
  end_well();
  for (std::uint64_t number : of_recipes) EXPECT_EQ(whole_of[number], 1) << number;
  EXPECT_GT(compared, stream.size() + 20 * 1000);
}

TEST_F(LyingAnswers, AnswersToWhatIsNotThereYetAreABreach) {
  int checked = 0;
  for (std::uint64_t number : {std::uint64_t{40}, std::uint64_t{1'000'000}, limits::kBlocksMax - 1}) {
    for (bool whole : {false, true}) {
      for (bool looked_for : {true, false}) {
        SCOPED_TRACE(std::to_string(number) + (whole ? ", whole" : ""));
        wire::Id key = opened.chunk_key;
        if (!looked_for) opened.chunk_key = {};
        start();
        world.run_for(seconds(1));
        whole ? need_whole(number) : need(number);
        ASSERT_TRUE(world.run_until([&] { return report.has_value(); }, seconds(60)));
        EXPECT_EQ(report->ending.error.fault, Fault::kProtocol) << report->ending.error.what;
        EXPECT_EQ(up().aborted(), Fault::kProtocol);
        opened.chunk_key = key;
        again();
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 12);
}

TEST_F(LyingAnswers, WhatIsNoAnswerIsABreach) {
  int checked = 0;
  for (int lie = 0; lie < 4; ++lie) {
    SCOPED_TRACE(lie);
    start();
    world.run_for(seconds(1));
    wire::Message message = wire::encode(wire::Need{0, false, {1}});
    if (lie == 0) message.pop_back();
    if (lie == 1) message.push_back({});
    if (lie == 2) message[8] = std::byte{2};
    if (lie == 3) message[9] = std::byte{17}, message.resize(10 + 17 * 8);
    up().say(FrameType::kNeed, message);
    ASSERT_TRUE(world.run_until([&] { return report.has_value(); }, seconds(60)));
    EXPECT_EQ(report->ending.error.fault, Fault::kProtocol);
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 4);
}

// Before it can have heard any name: of blocks that are in credit, and of those that are not.
TEST_F(LyingAnswers, AnswersBeforeTheNames) {
  opened.credit = 2;
  start();
  world.run_for(milliseconds(300));
  ASSERT_LE(named().size(), 2u);
  for (std::uint64_t number : {0, 1, 2, 3}) need(number);
  for (std::uint64_t number : {2, 3}) need_whole(number);
  play([&](const wire::Chunks& chunks) { need(chunks.number, {1}); });
  end_well();
  for (const auto& [number, count] : copies()) EXPECT_EQ(count, 1) << number;
  EXPECT_EQ(compared, stream.size());
}

// Where no chunks are named an answer means nothing.
TEST_F(LyingAnswers, AnswersWithoutNames) {
  opened.chunk_key = {};
  start();
  play([](const wire::Chunks&) { FAIL() << "nobody looks for any"; },
       [&](const wire::Block& header) {
         need(header.number);
         need_whole(header.number);
       });
  end_well();
  EXPECT_TRUE(recipes_of.empty());
  EXPECT_EQ(compared, stream.size());
}

// Names are waited for as long as it lives; no more of them come than it has credit for, once on each lane.
TEST_F(LyingAnswers, NoAnswersAtAll) {
  start();
  world.run_for(hours(1));
  EXPECT_FALSE(report);
  std::size_t said = 0;
  each_named([&](const wire::Chunks& chunks) {
    EXPECT_LT(chunks.number, 8u);
    ++said;
  });
  EXPECT_LE(said, 8u);
  EXPECT_GE(said, 1u);
  world.network().connection(0).reset();
  ASSERT_TRUE(
      world.run_until([&] { return lanes.size() == 2 && up().count(FrameType::kChunks) == said; }, seconds(20)));
  world.run_for(seconds(10));
  EXPECT_EQ(up().count(FrameType::kChunks), said);
  play([&](const wire::Chunks& chunks) { need(chunks.number); });
  end_well();
  EXPECT_EQ(compared, stream.size());
}

// A target that was started anew knows nothing of what it answered: what is on its way comes again, and whole.
TEST_F(LyingAnswers, StartedAnewAgainAndAgain) {
  start();
  play([&](const wire::Chunks& chunks) { need(chunks.number); },
       [&](const wire::Block& header) {
         const bool recipe = header.encoding == wire::Encoding::kChunks;
         recipe ? static_cast<void>(withheld.insert(header.number)) : static_cast<void>(withheld.erase(header.number));
         if (recipe && header.number % 3 == 0) ++life;
         if (recipe) need_whole(header.number);
       });
  end_well();
  EXPECT_GT(life, 5u);
  EXPECT_GT(compared, stream.size());
}

}  // namespace
}  // namespace zferry::pipeline
