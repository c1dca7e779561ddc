// A target with a store against a source that lies about chunks: names that are not what they say, recipes that fit
// nothing, both out of turn, twice, without end; and a store that has lost or changed what it had. What the consumer
// gets is the stream, a block that cannot be put together is asked for once, and what is no lie but a breach ends it.
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <set>

#include "base/saved.h"
#include "pipeline/target.h"
#include "seal/leaf.h"
#include "unit/pipeline/hand_lane.h"
#include "unit/pipeline/named_blocks.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using session::TargetState;
using wire::FrameType;

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kChunksOfBlock = 8;
constexpr const char* kStore = "store";

// So many chunks in a block, each of one piece, with some bytes between them that are none.
chunk::Layout layout_with(std::size_t chunks, std::uint32_t gap = 12) {
  chunk::Layout layout;
  const auto each = static_cast<std::uint32_t>(kBlockBytes / chunks);
  for (std::uint32_t i = 0; i < chunks; ++i) {
    layout.pieces.push_back({i * each + gap, each - gap});
    layout.units.push_back({i, 1, each - gap});
    layout.chunks.push_back({i, 1, each - gap});
  }
  return layout;
}

class LyingNames : public ::testing::Test {
 protected:
  LyingNames() {
    Pairing pair = pair_by_keys(liar.random);
    meeting.endpoint = {"target", "9443"};
    meeting.credentials = std::move(pair.dialler);
    settings.meeting.listen = true;
    settings.meeting.endpoint = {"", "9443"};
    settings.meeting.credentials = std::move(pair.listener);
    settings.lane = lane_settings();
    settings.lane.block_bytes = kBlockBytes;
    settings.window_blocks = 10;
    settings.consumer = {"zfs-receive"};
    settings.linger = seconds(20);
    settings.hold = seconds(30);
    settings.store.emplace();
    settings.store->folder = kStore;
    lane = settings.lane;
    lane.block_bytes = 2 * kBlockBytes;
    open.identity[0] = std::byte{1};
    open.incarnation = 5;
    open.block_bytes_max = kBlockBytes;
    open.nameable = true;
    open.give_up_s = 10;
    open.name = "tank/vm";
    for (int i = 0; i < 6; ++i) contents.push_back(random_bytes(liar.random, kBlockBytes));
    machine.sim.add_program("zfs-receive", io::SimConsumer{});
  }
  // A stream of these contents, and a target for it: not the one that was.
  void begin(const std::vector<std::size_t>& plan) {
    stream.clear();
    for (std::size_t content : plan) stream.insert(stream.end(), contents[content].begin(), contents[content].end());
    up.reset();
    world.run_for(seconds(1));
    target.reset();
    report.reset();
    sent_whole.clear();
    open.identity[1] = static_cast<std::byte>(std::to_integer<int>(open.identity[1]) + 1);
    target = std::make_unique<Target>(machine.host, settings, [this](const Report& of) {
      EXPECT_FALSE(report) << "twice";
      report = of;
    });
    target->start();
    world.run_for(milliseconds(100));
    up = dial_by_hand(world, liar, meeting, lane, wire::Role::kSource);
    ASSERT_TRUE(up);
    up->say(FrameType::kOpen, wire::encode(open));
    ASSERT_TRUE(world.run_until([&] { return up->count(FrameType::kOpened) == 1; }, seconds(10)));
    opened = wire::decode_opened(*up->last(FrameType::kOpened)).value();
    ASSERT_EQ(opened.how, wire::OpenedHow::kFromStart);
  }
  std::uint64_t blocks() const { return stream.size() / kBlockBytes; }
  CutBlock block(std::uint64_t number, std::size_t chunks = kChunksOfBlock) const {
    return {{number, number * kBlockBytes, kBlockBytes, kBlockBytes, wire::Encoding::kStored},
            ConstBytes(stream).subspan(number * kBlockBytes, kBlockBytes),
            layout_with(chunks),
            {}};
  }
  wire::Chunks names(const CutBlock& of) const {
    return name_chunks(chunk::IdKey(opened.chunk_key), of.layout, of.bytes, of.header);
  }
  seal::SecretBytes leaf_key() const { return seal::SecretBytes(opened.leaf_key); }

  // Every NEED that came, by number: what it lacks, and how often it was asked for whole.
  struct Heard {
    std::vector<UnitSet> answers;
    int whole = 0;
  };
  std::map<std::uint64_t, Heard> heard() const {
    std::map<std::uint64_t, Heard> by_number;
    for (const auto& [type, message] : up->heard) {
      if (type != FrameType::kNeed) continue;
      const wire::Need need = wire::decode_need(message).value();
      Heard& of = by_number[need.number];
      need.whole ? static_cast<void>(++of.whole) : of.answers.push_back(UnitSet(need.missing));
    }
    return by_number;
  }
  UnitSet ask(const wire::Chunks& chunks) {
    const std::size_t before = heard()[chunks.number].answers.size();
    up->say(FrameType::kChunks, wire::encode(chunks));
    EXPECT_TRUE(world.run_until([&] { return heard()[chunks.number].answers.size() > before; }, seconds(10)))
        << chunks.number << (report ? report->ending.error.what : " is not answered");
    const auto answers = heard()[chunks.number].answers;
    return answers.empty() ? UnitSet() : answers.back();
  }
  static std::size_t lacks(const UnitSet& missing, std::size_t units = kChunksOfBlock) {
    std::size_t count = 0;
    for (std::size_t unit = 0; unit < units; ++unit) count += missing.has(unit);
    return count;
  }
  void push(const wire::Block& header, ConstBytes packed) {
    ASSERT_TRUE(world.run_until([&] { return up->has_room(); }, seconds(10)));
    up->send_block(header, packed);
  }
  void push_whole(std::uint64_t number) { push(block(number).header, block(number).bytes); }
  void push_recipe(const CutBlock& of, const UnitSet& missing) {
    const auto recipe = recipe_of(of, missing, leaf_key());
    ASSERT_TRUE(recipe);
    push(recipe_header(of, *recipe), *recipe);
  }
  // As a source would that does not lie.
  void honest(std::uint64_t number) {
    const CutBlock of = block(number);
    const UnitSet missing = ask(names(of));
    lacks(missing) == kChunksOfBlock ? push_whole(number) : push_recipe(of, missing);
  }
  // Sends what is asked for whole, each once.
  void serve() {
    for (const auto& [number, of] : heard())
      if (of.whole > 0 && sent_whole.insert(number).second) push_whole(number);
  }
  void say_final() {
    seal::LeafChain chain(leaf_key(), kBlockBytes);
    chain.add_bytes(stream);
    up->say(FrameType::kFinal,
            wire::encode(wire::Final{stream.size(), blocks(), chain.digest(), wire::ProducerExit::kUnknown}));
  }
  // The stream was delivered, to the byte.
  void finish() {
    say_final();
    for (int i = 0; i < 200 && up->count(FrameType::kFinalAck) == 0 && !report; ++i) {
      serve();
      world.run_for(milliseconds(100));
    }
    ASSERT_EQ(up->count(FrameType::kFinalAck), 1u) << (report ? report->ending.error.what : "nothing");
    up->say(FrameType::kDone);
    expect_success();
  }
  void expect_success() {
    ASSERT_TRUE(world.run_until([&] { return report.has_value(); }, seconds(60)));
    EXPECT_TRUE(report->ending.ok()) << report->ending.error.what;
    EXPECT_EQ(machine.sim.last_child().content, stream);
    EXPECT_TRUE(machine.sim.last_child().succeeded());
    compared += machine.sim.last_child().content.size();
  }
  void expect_breach() {
    ASSERT_TRUE(world.run_until([&] { return report.has_value(); }, seconds(60)));
    EXPECT_EQ(report->ending.error.fault, Fault::kProtocol) << report->ending.error.what;
    EXPECT_EQ(up->aborted(), Fault::kProtocol);
    ++breaches;
    // What is held of it is not for the next one.
    if (settings.store) settings.store->folder += "-next";
  }
  int whole_asked(std::uint64_t number) const {
    const auto all = heard();
    const auto found = all.find(number);
    return found == all.end() ? 0 : found->second.whole;
  }

  io::SimWorld world{81};
  Machine machine{world.add_host("target"), 1};
  Machine liar{world.add_host("liar"), 2};
  MeetingSettings meeting;
  TargetSettings settings;
  LaneSettings lane;
  wire::Open open;
  wire::Opened opened;
  std::vector<std::vector<std::byte>> contents;
  std::vector<std::byte> stream;
  std::set<std::uint64_t> sent_whole;
  std::optional<Report> report;
  std::unique_ptr<Target> target;
  std::unique_ptr<HandLane> up;
  std::size_t compared = 0;
  int breaches = 0;
};

TEST_F(LyingNames, TheTruthIsFound) {
  begin({0, 1, 0, 2, 1, 3});
  ASSERT_NE(opened.chunk_key, wire::Id{});
  for (std::uint64_t number = 0; number < blocks(); ++number) honest(number);
  finish();
  EXPECT_EQ(report->progress.found_bytes, 2 * kChunksOfBlock * 500);
  begin({3, 0, 1, 2});
  for (std::uint64_t number = 0; number < blocks(); ++number) honest(number);
  finish();
  EXPECT_EQ(report->progress.found_bytes, 4 * kChunksOfBlock * 500);
  for (const auto& [number, of] : heard()) EXPECT_EQ(of.whole, 0);
  EXPECT_EQ(compared, 10 * kBlockBytes);
}

// As if ids collided: another content under the names of one that is there. What comes out wrong is asked for whole,
// and from then on is what that name means, until it is wrong again.
TEST_F(LyingNames, TwoChunksOfOneIdInOneStream) {
  begin({0, 1, 0, 1, 2});
  const wire::Chunks first = names(block(0));
  honest(0);
  for (std::uint64_t number : {1, 2, 3}) {
    wire::Chunks same = first;
    same.number = number;
    same.offset = number * kBlockBytes;
    const UnitSet missing = ask(same);
    EXPECT_EQ(lacks(missing), 0u) << number;
    push_recipe(block(number), missing);
    ASSERT_TRUE(world.run_until([&] { return whole_asked(number) > 0; }, seconds(10))) << number;
    serve();
    world.run_for(seconds(1));
  }
  honest(4);
  finish();
  for (std::uint64_t number : {1, 2, 3}) EXPECT_EQ(whole_asked(number), 1) << number;
  EXPECT_EQ(whole_asked(0) + whole_asked(4), 0);
  EXPECT_EQ(report->progress.found_bytes, 0u);
  EXPECT_EQ(compared, 5 * kBlockBytes);
}

TEST_F(LyingNames, TwoChunksOfOneIdInTwoStreams) {
  begin({0, 1, 2});
  const wire::Chunks first = names(block(0));
  for (std::uint64_t number = 0; number < 3; ++number) honest(number);
  finish();
  begin({3, 4, 1});
  wire::Chunks same = names(block(0));
  same.chunks = first.chunks;
  EXPECT_EQ(lacks(ask(same)), 0u);
  push_recipe(block(0), {});
  // One wrong chunk among right ones is enough.
  wire::Chunks other = names(block(2));
  other.chunks[5].id = first.chunks[2].id;
  ASSERT_EQ(lacks(ask(other)), 0u);
  push_recipe(block(2), {});
  honest(1);
  finish();
  EXPECT_EQ(whole_asked(0), 1);
  EXPECT_EQ(whole_asked(1), 0);
  EXPECT_EQ(whole_asked(2), 1);
  EXPECT_EQ(compared, 6 * kBlockBytes);
}

// The store has all of block 1; its recipe is none.
TEST_F(LyingNames, RecipesThatFitNothing) {
  struct Lie {
    std::string name;
    std::function<void(wire::Block&, PlainRecipe&)> tell;
  };
  chunk::Layout longer = layout_with(kChunksOfBlock);
  for (std::size_t i = 0; i < kChunksOfBlock; i += 2) {
    ++longer.pieces[i].bytes, ++longer.units[i].bytes, ++longer.chunks[i].bytes;
    --longer.pieces[i + 1].bytes, --longer.units[i + 1].bytes, --longer.chunks[i + 1].bytes;
  }
  std::vector<std::byte> round;  // pieces that do not stand in order, if sums of places go round
  {
    SavedWriter out(1);
    out.integer(std::uint8_t{0}).integer(std::uint32_t{kChunksOfBlock});
    for (std::uint32_t gap : {3000u, 0u - 2000u, 2000u, 0u - 2000u, 2000u, 0u - 2000u, 2000u, 0u - 1u})
      out.integer(gap);
    for (std::size_t i = 0; i < kChunksOfBlock; ++i) out.integer(std::uint32_t{500});
    out.integer(std::uint32_t{0}).flag(false).flag(false).array(std::vector<std::byte>(96));
    round = out.take();
  }
  const std::vector<Lie> lies = {
      {"another proof", [](auto&, PlainRecipe& recipe) { recipe.proof[7] ^= std::byte{1}; }},
      {"the proof of another place",
       [this](auto&, PlainRecipe& recipe) { recipe.proof = seal::proof_of(leaf_key(), 0, contents[0]); }},
      {"the skeleton of another block",
       [this](auto&, PlainRecipe& recipe) { recipe.skeleton = plain_recipe(block(2), {}, leaf_key()).skeleton; }},
      {"another block altogether",
       [this](auto&, PlainRecipe& recipe) { recipe = plain_recipe(block(2), {}, leaf_key()); }},
      {"pieces of other lengths",
       [&, this](auto&, PlainRecipe& recipe) {
         CutBlock other = block(1);
         other.layout = longer;
         recipe = plain_recipe(other, {}, leaf_key());
       }},
      {"fewer units", [](auto&, PlainRecipe& recipe) { recipe.units = 7; }},
      {"more units", [](auto&, PlainRecipe& recipe) { recipe.units = 9, recipe.bits.resize(2); }},
      {"units without an end", [](auto&, PlainRecipe& recipe) { recipe.units = 0xffff, recipe.bits.resize(8192); }},
      {"it brings what it does not", [](auto&, PlainRecipe& recipe) { recipe.bits[0] = std::byte{1}; }},
      {"it brings what nobody wants", [](auto&, PlainRecipe& recipe) { recipe.literals.resize(500); }},
      {"other bytes than it should bring",
       [](auto&, PlainRecipe& recipe) { recipe.bits[0] = std::byte{1}, recipe.literals.resize(500); }},
      {"no skeleton", [](auto&, PlainRecipe& recipe) { recipe.skeleton.clear(); }},
      {"a skeleton that goes round", [&](auto&, PlainRecipe& recipe) { recipe.skeleton = round; }},
      {"another length", [](wire::Block& header, PlainRecipe&) { --header.raw_bytes; }},
      {"another place", [](wire::Block& header, PlainRecipe&) { ++header.offset; }},
  };
  int checked = 0;
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.name);
    begin({0, 0, 1});
    honest(0);
    honest(2);
    ASSERT_EQ(lacks(ask(names(block(1)))), 0u);
    wire::Block header = block(1).header;
    PlainRecipe recipe = plain_recipe(block(1), {}, leaf_key());
    lie.tell(header, recipe);
    auto bytes = recipe.bytes();
    bytes.resize(std::min<std::size_t>(bytes.size(), header.raw_bytes));
    header.encoding = wire::Encoding::kChunks;
    header.packed_bytes = static_cast<std::uint32_t>(bytes.size());
    push(header, bytes);
    ASSERT_TRUE(world.run_until([&] { return whole_asked(1) > 0; }, seconds(10)));
    finish();
    EXPECT_EQ(whole_asked(1), 1);
    EXPECT_EQ(whole_asked(0) + whole_asked(2), 0);
    ++checked;
  }
  EXPECT_EQ(checked, 15);
  EXPECT_EQ(compared, 15 * 3 * kBlockBytes);
}

// Any bytes under a header that is right. (A store that was wrong too often is asked no more: a few in each stream.)
TEST_F(LyingNames, RecipesOfAnyBytes) {
  int asked = 0;
  for (int run = 0; run < 10; ++run) {
    begin(std::vector<std::size_t>(50, 0));
    honest(0);
    for (std::uint64_t number = 1; number < 50; ++number) {
      const CutBlock of = block(number);
      ASSERT_EQ(lacks(ask(names(of))), 0u) << number;
      auto bytes = plain_recipe(of, {}, leaf_key()).bytes();
      for (std::uint64_t n = 1 + liar.random.below(4); n > 0; --n)
        bytes[liar.random.below(number % 2 == 0 ? 60 : bytes.size())] = static_cast<std::byte>(liar.random.below(256));
      if (number % 7 == 0) bytes.resize(1 + liar.random.below(bytes.size()));
      if (number % 11 == 0) bytes = random_bytes(liar.random, 1 + liar.random.below(kBlockBytes - 1));
      push(recipe_header(of, bytes), bytes);
      const auto there = [&] {
        serve();
        return wire::decode_ack(*up->last(FrameType::kAck)).value().received > number;
      };
      ASSERT_TRUE(world.run_until(there, seconds(10))) << number;
      ASSERT_FALSE(report) << report->ending.error.what;
      asked += whole_asked(number);
      EXPECT_LE(whole_asked(number), 1);
    }
    finish();
  }
  EXPECT_GT(asked, 400);
  EXPECT_EQ(compared, 500 * kBlockBytes);
}

TEST_F(LyingNames, ARecipeThatWasNotNamedOrNotAnsweredYet) {
  begin({0, 0, 0});
  honest(0);
  push_recipe(block(1), {});
  ASSERT_TRUE(world.run_until([&] { return whole_asked(1) == 1; }, seconds(10)));
  // It may come on a lane that is faster than the one with its names.
  up->say(FrameType::kChunks, wire::encode(names(block(2))));
  push_recipe(block(2), {});
  world.run_for(seconds(1));
  finish();
  EXPECT_EQ(whole_asked(1), 1);
  EXPECT_LE(whole_asked(2), 1);
  EXPECT_EQ(compared, 3 * kBlockBytes);
}

TEST_F(LyingNames, NamesBeyondTheCreditAreABreach) {
  const std::pair<std::uint64_t, std::uint64_t> places[] = {
      {20, 10 * kBlockBytes}, {limits::kBlocksMax - 1, 0}, {3, std::uint64_t{1} << 40}, {0, wire::kNoEnd - 1}};
  for (const auto& [number, offset] : places) {
    SCOPED_TRACE(std::to_string(number) + " at " + std::to_string(offset));
    settings.window_bytes = 10 * kBlockBytes;
    begin({0, 1});
    honest(0);
    ASSERT_EQ(opened.credit, 10u);
    wire::Chunks far = names(block(1));
    far.number = number;
    far.offset = offset;
    up->say(FrameType::kChunks, wire::encode(far));
    expect_breach();
  }
  EXPECT_EQ(breaches, 4);
}

// A store that fails takes nothing of what bounds the source.
TEST_F(LyingNames, NamesBeyondTheCreditWithoutTheStoreAreABreach) {
  begin({0, 1, 2});
  honest(0);
  world.run_for(seconds(1));
  auto& disk = machine.sim.disk().folders;
  disk.faults.push_back(
      {io::SimFolderCallKind::kAppend, disk.calls(io::SimFolderCallKind::kAppend) + 1, 1'000'000, false});
  push_whole(1);
  world.run_for(seconds(1));
  ASSERT_FALSE(report) << "it goes on without its store";
  EXPECT_EQ(wire::decode_ack(*up->last(FrameType::kAck)).value().keep, wire::Keep::kStoreLost);
  wire::Chunks far = names(block(2));
  EXPECT_EQ(lacks(ask(far)), kChunksOfBlock) << "what is in credit is still answered";
  far.number = 1000;
  up->say(FrameType::kChunks, wire::encode(far));
  expect_breach();
}

TEST_F(LyingNames, WithoutAStoreNamesAndRecipesAreABreach) {
  settings.store.reset();
  for (bool recipe : {true, false}) {
    begin({0, 0});
    ASSERT_EQ(opened.chunk_key, wire::Id{});
    push_whole(0);
    recipe ? push_recipe(block(1), {}) : up->say(FrameType::kChunks, wire::encode(names(block(1))));
    expect_breach();
  }
  EXPECT_EQ(breaches, 2);
}

// Where none are looked for (any more: a process before this one may have) nothing is found, and what is made of what
// was found is asked for whole.
TEST_F(LyingNames, WhereNoneAreLookedForNothingIsFound) {
  settings.store->dedup = DedupScope::kNone;
  begin({0, 0, 0});
  ASSERT_EQ(opened.chunk_key, wire::Id{});
  honest(0);
  world.run_for(seconds(1));
  EXPECT_EQ(lacks(ask(names(block(1)))), kChunksOfBlock);
  push_recipe(block(1), {});
  push_recipe(block(2), {});
  world.run_for(seconds(1));
  finish();
  EXPECT_EQ(whole_asked(1), 1);
  EXPECT_EQ(whole_asked(2), 1);
  EXPECT_EQ(compared, 3 * kBlockBytes);
}

TEST_F(LyingNames, WhatIsNoMessageIsABreach) {
  int checked = 0;
  for (int lie = 0; lie < 5; ++lie) {
    SCOPED_TRACE(lie);
    begin({0, 1});
    wire::Message message = wire::encode(names(block(0)));
    if (lie == 0) message.pop_back();
    if (lie == 1) message.push_back({});
    if (lie == 2) store_at(Bytes(message), 22, std::uint16_t{0});                 // no chunks
    if (lie == 3) store_at(Bytes(message), 16, std::uint32_t{1000});              // they do not fit
    if (lie == 4) store_at(Bytes(message), 24 + 16, std::uint32_t{kBlockBytes});  // the first behind the others
    up->say(FrameType::kChunks, message);
    expect_breach();
    ++checked;
  }
  EXPECT_EQ(checked, 5);
}

// In use on the heap, where that can be told.
std::size_t heap_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

// Names without an end, for blocks that do not come for long: each number is kept once, whatever it is said to be.
TEST_F(LyingNames, NamesThatNeverGetABlockTakeNoMemory) {
  begin({0, 1, 2, 3, 4, 5});
  std::size_t said = 0, before = 0, after = 0;
  for (int round = 0; round < 40; ++round) {
    for (std::uint64_t number = 0; number < 10; ++number) {
      CutBlock of = block(number % 6, 120);
      of.header.number = number;
      of.header.offset = number * kBlockBytes;
      wire::Chunks any = names(of);
      for (wire::Chunks::Chunk& each : any.chunks) liar.random.fill(each.id);
      for (int i = 0; i < 10; ++i, ++said) up->say(FrameType::kChunks, wire::encode(any));
    }
    world.run_for(seconds(2));
    ASSERT_FALSE(report);
    EXPECT_LE(up->count(FrameType::kNeed), 100u);
    up->heard.clear();
    up->heard.shrink_to_fit();
    if (round == 10) before = heap_bytes();
    after = heap_bytes();
  }
  EXPECT_EQ(said, 4000u);
  EXPECT_LT(after, before + 2 * limits::MiB);
  for (std::uint64_t number = 0; number < blocks(); ++number) push_whole(number);
  finish();
  EXPECT_EQ(compared, 6 * kBlockBytes);
}

// The first word counts; the same answer each time.
TEST_F(LyingNames, ThousandsOfNamesForOneBlock) {
  begin({0, 0, 1});
  honest(0);
  world.run_for(seconds(1));
  const wire::Chunks first = names(block(1));
  EXPECT_EQ(lacks(ask(first)), 0u);
  for (int i = 0; i < 5000; ++i) {
    wire::Chunks other = first;
    if (i % 2 == 0)
      for (wire::Chunks::Chunk& each : other.chunks) liar.random.fill(each.id);
    if (i % 3 == 0) other.chunks.resize(1 + liar.random.below(kChunksOfBlock));
    up->say(FrameType::kChunks, wire::encode(other));
  }
  push_recipe(block(1), {});
  honest(2);
  finish();
  const auto all = heard().at(1);
  EXPECT_EQ(all.whole, 0);
  EXPECT_GE(all.answers.size(), 1u);
  EXPECT_LE(all.answers.size(), 5001u);
  for (const UnitSet& answer : all.answers) EXPECT_EQ(lacks(answer), 0u);
  EXPECT_EQ(compared, 3 * kBlockBytes);
}

// Each block is named once more while it is being put together: nothing of that is kept once it is there.
TEST_F(LyingNames, NamesBehindTheRecipeTakeNoMemory) {
  constexpr std::size_t kChunks = 120;
  begin(std::vector<std::size_t>(500, 0));
  std::size_t before = 0, found = 0;
  UnitSet missing = ask(names(block(0, kChunks)));
  push_whole(0);
  for (std::uint64_t number = 1; number < 500; ++number) {
    const CutBlock of = block(number, kChunks);
    missing = ask(names(of));
    found += lacks(missing, kChunks) == 0;
    const bool wrong = number % 10 == 0;
    PlainRecipe recipe = plain_recipe(of, missing, leaf_key());
    if (wrong) recipe.proof[0] ^= std::byte{1};
    const auto bytes = recipe.bytes();
    if (bytes.size() < kBlockBytes) push(recipe_header(of, bytes), bytes);
    up->say(FrameType::kChunks, wire::encode(names(of)));
    if (wrong) push_whole(number);
    ASSERT_TRUE(world.run_until(
        [&] {
          auto ack = up->last(FrameType::kAck);
          serve();
          return ack && wire::decode_ack(*ack).value().received > number;
        },
        seconds(10)))
        << number;
    up->heard.clear();
    if (number == 100) before = heap_bytes();
  }
  const std::size_t after = heap_bytes();
  EXPECT_GT(found, 480u);
  // The disk is in memory here: three copies of each block, and what is noted of each of its chunks.
  constexpr std::size_t kNotedBytes = 64;
  EXPECT_LT(after, before + 400 * (3 * kBlockBytes + kChunks * kNotedBytes) + 2 * limits::MiB);
  finish();
  EXPECT_EQ(compared, 500 * kBlockBytes);
}

TEST_F(LyingNames, RecipesTwiceAndBesideTheBlockItself) {
  begin({0, 0, 0, 0, 0, 0, 0});
  honest(0);
  for (std::uint64_t number = 1; number < 7; ++number) ASSERT_EQ(lacks(ask(names(block(number)))), 0u);
  const auto wrong = [&](std::uint64_t number) {
    PlainRecipe recipe = plain_recipe(block(number), {}, leaf_key());
    recipe.proof[0] ^= std::byte{1};
    push(recipe_header(block(number), recipe.bytes()), recipe.bytes());
  };
  for (int i = 0; i < 3; ++i) push_recipe(block(1), {});
  push_recipe(block(2), {});
  push_whole(2);
  push_whole(3);
  push_recipe(block(3), {});
  wrong(4);
  push_whole(4);
  wrong(5);
  push_recipe(block(5), {});  // a copy of what is being put together, as far as anybody knows
  push_recipe(block(6), {});
  world.run_for(seconds(1));
  for (std::uint64_t number = 1; number < 7; ++number) push_recipe(block(number), {});
  world.run_for(seconds(1));
  finish();
  for (std::uint64_t number : {0, 1, 2, 3, 4, 6}) EXPECT_EQ(whole_asked(number), 0) << number;
  EXPECT_LE(whole_asked(5), 1);
  EXPECT_EQ(compared, 7 * kBlockBytes);
}

// Once all has been sent nobody listens to names; what they say changes nothing.
TEST_F(LyingNames, NamesBehindFinal) {
  int checked = 0;
  for (int moment = 0; moment < 4; ++moment) {
    SCOPED_TRACE(moment);
    begin({0, 1, 0});
    for (std::uint64_t number : {0, 1}) honest(number);
    if (moment == 0) say_final();  // before the last block
    honest(2);
    if (moment > 0) say_final();
    if (moment == 2) {
      ASSERT_TRUE(world.run_until([&] { return target->state() == TargetState::kDelivering; }, seconds(10)));
    }
    if (moment == 3) {
      ASSERT_TRUE(world.run_until([&] { return target->state() == TargetState::kLingering; }, seconds(10)));
    }
    for (std::uint64_t number : {0, 2, 3, 7}) {
      CutBlock of = block(2);
      of.header.number = number;
      of.header.offset = number * kBlockBytes;
      up->say(FrameType::kChunks, wire::encode(names(of)));
    }
    ASSERT_TRUE(world.run_until([&] { return up->count(FrameType::kFinalAck) == 1; }, seconds(20)));
    up->say(FrameType::kDone);
    expect_success();
    ++checked;
  }
  EXPECT_EQ(checked, 4);
  EXPECT_EQ(compared, 12 * kBlockBytes);
}

// An answer may wait for an earlier block that brings the same. Nobody has to send that one first, or as was named.
TEST_F(LyingNames, NamesThatWaitForEachOther) {
  const std::vector<std::uint64_t> orders[] = {
      {0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0}, {3, 7, 0, 5, 1, 6, 2, 4}};
  int checked = 0;
  for (const auto& named_in : orders) {
    for (const auto& sent_in : orders) {
      for (bool wrong : {false, true}) {
        SCOPED_TRACE(std::to_string(named_in[0]) + ", " + std::to_string(sent_in[0]) + (wrong ? ", wrong" : ""));
        contents[0] = random_bytes(liar.random, kBlockBytes);
        begin(std::vector<std::size_t>(8, 0));
        for (std::uint64_t number : named_in) up->say(FrameType::kChunks, wire::encode(names(block(number))));
        world.run_for(seconds(1));
        EXPECT_LE(heard().size(), 8u);
        EXPECT_GE(heard().size(), 1u) << "the first of them waits for nobody";
        for (std::uint64_t number : sent_in) {
          // Some as they are, unasked; some as recipes of what nobody said was here.
          number % 2 == 0 ? push_whole(number) : push_recipe(block(number), {});
          if (wrong) world.run_for(milliseconds(50));
          serve();
        }
        finish();
        for (const auto& [number, of] : heard()) EXPECT_LE(of.whole, 2) << number;
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 18);
  EXPECT_EQ(compared, 18 * 8 * kBlockBytes);
}

// Keys that, by the gap that was said to be before them, lie behind the block's end: they are noted, found, not there.
TEST_F(LyingNames, PlacesBehindABlocksEnd) {
  begin({0, 1, 2});
  wire::Chunks beyond = names(block(0));
  beyond.gap_bytes = 0;
  wire::Chunks::Chunk keys;
  keys.keys = true;
  keys.id[0] = std::byte{77};
  keys.piece_bytes.assign(kChunksOfBlock, 400);
  for (std::size_t i = 0; i < kChunksOfBlock; ++i) keys.unit_ids.push_back({std::byte{78}, static_cast<std::byte>(i)});
  beyond.chunks.push_back(keys);
  EXPECT_EQ(lacks(ask(beyond), 2 * kChunksOfBlock), 2 * kChunksOfBlock);
  push_whole(0);
  world.run_for(seconds(1));
  wire::Chunks one = names(block(1));
  const CutBlock long_chunk{block(1).header, block(1).bytes, layout_with(1, kBlockBytes - 3200), {}};
  one = names(long_chunk);
  one.chunks[0].id = keys.id;
  EXPECT_EQ(lacks(ask(one), 1), 0u) << "as was noted";
  push_recipe(long_chunk, {});
  ASSERT_TRUE(world.run_until([&] { return whole_asked(1) > 0; }, seconds(10)));
  honest(2);
  finish();
  EXPECT_EQ(whole_asked(1), 1);
  EXPECT_EQ(compared, 3 * kBlockBytes);
}

// ---- A store that is damaged.

class DamagedWindow : public LyingNames {
 protected:
  std::vector<std::string> names_like(const std::string& part) {
    std::vector<std::string> found;
    for (const auto& [name, file] : machine.sim.disk().folders.folders()[kStore].names())
      if (name.find(part) != std::string::npos) found.push_back(name);
    return found;
  }
  void remove(const std::string& name) {
    auto& disk = machine.sim.disk().folders;
    auto& folder = disk.folders()[kStore];
    folder.change(name, "", folder.names().at(name), disk.remains());
    ++files_hit;
  }
  template <class F>
  void change(const std::string& name, F how) {
    std::vector<std::byte>* content = machine.sim.disk().folders.content(kStore, name);
    ASSERT_NE(content, nullptr);
    how(*content);
    ++files_hit;
  }
  int files_hit = 0;
};

TEST_F(DamagedWindow, WhateverIsLostTheStreamIsRight) {
  const auto flip_all = [](std::vector<std::byte>& bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 64) bytes[i] ^= std::byte{0x40};
  };
  const auto flip_behind_header = [](std::vector<std::byte>& bytes) {
    for (std::size_t i = 300; i < bytes.size(); i += 512) bytes[i] ^= std::byte{1};
  };
  const auto cut = [](std::vector<std::byte>& bytes) { bytes.resize(bytes.size() / 2); };
  const auto clear = [](std::vector<std::byte>& bytes) { bytes.clear(); };
  const std::vector<std::pair<std::string, std::function<void(std::vector<std::byte>&)>>> ways = {
      {"flipped everywhere", flip_all},
      {"flipped within", flip_behind_header},
      {"cut", cut},
      {"empty", clear},
      {"gone", {}}};
  int checked = 0, asked = 0;
  std::uint64_t found = 0;
  for (const std::string part : {"segment-", "chunks-", "window"}) {
    for (const auto& [name, way] : ways) {
      for (int moment = 0; moment < 3; ++moment) {
        SCOPED_TRACE(part + " " + name + ", moment " + std::to_string(moment));
        contents.clear();
        for (int i = 0; i < 6; ++i) contents.push_back(random_bytes(liar.random, kBlockBytes));
        begin({0, 1, 2, 3, 4, 5});
        for (std::uint64_t number = 0; number < blocks(); ++number) honest(number);
        finish();
        if (moment > 0) begin({1, 0, 2, 3, 4, 5});
        const auto hit = [&] {
          if (moment == 0) {
            up.reset();
            target.reset();
          }
          const auto files = names_like(part);
          ASSERT_FALSE(files.empty());
          for (const std::string& file : files) way ? change(file, way) : remove(file);
        };
        if (moment < 2) hit();
        if (moment == 0) begin({1, 0, 2, 3, 4, 5});
        std::map<std::uint64_t, UnitSet> missing;
        for (std::uint64_t number = 0; number < blocks(); ++number) missing[number] = ask(names(block(number)));
        if (moment == 2) hit();
        for (std::uint64_t number = 0; number < blocks(); ++number) {
          if (lacks(missing[number]) == kChunksOfBlock) {
            push_whole(number);
          } else {
            push_recipe(block(number), missing[number]);
          }
        }
        finish();
        for (const auto& [number, of] : heard()) {
          EXPECT_LE(of.whole, 1) << number;
          asked += of.whole;
        }
        found += report->progress.found_bytes;
        // And the next one finds again what this one brought.
        begin({5, 4});
        for (std::uint64_t number = 0; number < blocks(); ++number) honest(number);
        finish();
        for (const std::string& file : names_like("")) {
          if (file.find("format") == std::string::npos) continue;
          EXPECT_FALSE(machine.sim.disk().folders.content(kStore, file)->empty());
        }
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 45);
  EXPECT_GE(files_hit, 45);
  EXPECT_GT(asked, 40);
  EXPECT_GT(found, 100'000u);
  EXPECT_EQ(compared, 45u * (6 + 6 + 2) * kBlockBytes);
}

}  // namespace
}  // namespace zferry::pipeline
