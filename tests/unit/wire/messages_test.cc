// Every message: there and back, every length but the right one refused, every enumerator and bound held.
#include "wire/messages.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "unit/wire/random_messages.h"

namespace zferry::wire {
namespace {

using testing_data::decode;
using testing_data::fields;
using testing_data::randomise;

template <class M>
class EveryMessage : public testing::Test {};
using AllMessages =
    testing::Types<Offer, Choice, Join, Open, Opened, Block, Ack, Final, FinalAck, Abort, Lanes, Chunks, Need>;
TYPED_TEST_SUITE(EveryMessage, AllMessages);

template <class M>
void expect_refused(ConstBytes bytes, const char* why) {
  auto result = decode(bytes, M{});
  ASSERT_FALSE(result) << why;
  EXPECT_EQ(result.error().fault, Fault::kProtocol);
  EXPECT_NE(result.error().what.find(": bad "), std::string::npos);
}

TYPED_TEST(EveryMessage, ThereAndBack) {
  SeededRandom random(1);
  std::set<Message> distinct;
  for (int i = 0; i < 2000; ++i) {
    TypeParam message;
    randomise(random, message);
    const Message bytes = encode(message);
    ASSERT_LE(bytes.size(), limits::kControlBytesMax);
    auto back = decode(bytes, message);
    ASSERT_TRUE(back) << back.error().what;
    ASSERT_EQ(fields(*back), fields(message));
    ASSERT_EQ(encode(*back), bytes);
    distinct.insert(bytes);
  }
  EXPECT_GT(distinct.size(), 1000u);
}

TYPED_TEST(EveryMessage, EveryTruncationAndExtensionIsRefused) {
  SeededRandom random(2);
  for (int i = 0; i < 20; ++i) {
    TypeParam message;
    randomise(random, message);
    Message bytes = encode(message);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      expect_refused<TypeParam>(ConstBytes(bytes).first(length), "cut");
    for (std::size_t more : {1, 2, 7, 64, 4096, 70000}) {
      Message longer = bytes;
      longer.resize(bytes.size() + more);
      expect_refused<TypeParam>(longer, "longer");
    }
  }
}

TYPED_TEST(EveryMessage, ArbitraryBytesDecodeToThemselvesOrNotAtAll) {
  SeededRandom random(3);
  int decoded = 0, refused = 0;
  for (int i = 0; i < 20000; ++i) {
    TypeParam message;
    randomise(random, message);
    Message bytes = encode(message);
    for (std::uint64_t changes = random.below(4); changes > 0; --changes)
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.next());
    if (auto back = decode(bytes, message)) {
      ASSERT_EQ(encode(*back), bytes);
      ++decoded;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(decoded, 1000);
  EXPECT_EQ(refused > 0, !(std::is_same_v<TypeParam, Join>)) << "a JOIN has no field with a bound";
}

// Puts each of the 256 values into the byte at `offset` of a valid message; gives those that decode.
template <class M>
std::set<int> accepted(const M& message, std::size_t offset) {
  Message bytes = encode(message);
  std::set<int> values;
  for (int value = 0; value < 256; ++value) {
    bytes[offset] = static_cast<std::byte>(value);
    if (decode(bytes, message)) values.insert(value);
  }
  return values;
}

TEST(Messages, OnlyListedEnumeratorsAreTaken) {
  const std::set<int> roles{1, 2};
  Offer offer;
  offer.ciphers = {1, 2};
  EXPECT_EQ(accepted(offer, 4), roles);
  EXPECT_EQ(accepted(Choice{}, 0), (std::set<int>{0, 13, 20, 21}));
  EXPECT_EQ(accepted(Choice{}, 3), roles);
  Open open;
  open.block_bytes_max = 1;
  EXPECT_EQ(accepted(open, 40), (std::set<int>{1, 2, 3}));
  EXPECT_EQ(accepted(open, 41), (std::set<int>{0, 1, 2}));
  EXPECT_EQ(accepted(open, 42), (std::set<int>{0, 1})) << "nameable";
  EXPECT_EQ(accepted(open, 43).size(), limits::kLanesMax + 1);
  EXPECT_EQ(accepted(offer, 5), (std::set<int>{0, 1})) << "joins";
  EXPECT_EQ(accepted(Opened{}, 0), (std::set<int>{1, 2, 3}));
  EXPECT_EQ(accepted(Opened{}, 41).size(), limits::kLanesMax) << "lanes: one at least";
  EXPECT_EQ(accepted(Opened{}, 106), std::set<int>{0}) << "marks that are not there";
  EXPECT_EQ(accepted(Ack{}, 36), (std::set<int>{0, 1, 2})) << "keep";
  EXPECT_EQ(accepted(Lanes{}, 4).size(), limits::kLanesMax) << "one at least";
  EXPECT_EQ(accepted(Lanes{}, 5), (std::set<int>{0, 1})) << "leaves";
  EXPECT_EQ(accepted(Need{}, 8), (std::set<int>{0, 1})) << "whole";
  const Block block{0, 0, 100, 100, Encoding::kZstd};
  EXPECT_EQ(accepted(block, 24), (std::set<int>{0, 1, 2}));
  EXPECT_EQ(accepted(Final{}, 48), (std::set<int>{0, 1}));
  EXPECT_EQ(accepted(FinalAck{}, 0), (std::set<int>{1, 2, 3}));
  std::set<int> faults;
  for (int value = 1; value < 256; ++value)
    if (fault_from_wire(static_cast<std::uint8_t>(value))) faults.insert(value);
  EXPECT_EQ(accepted(Abort{}, 0), faults);
  EXPECT_EQ(faults.size(), 24u);
}

template <class M>
bool taken(const M& message) {
  return decode(encode(message), message).ok();
}

TEST(Messages, BoundsOfBlocks) {
  constexpr std::uint32_t kMax = limits::kBlockBytesMax;
  EXPECT_TRUE(taken(Block{limits::kBlocksMax - 1, 0, kMax, kMax, Encoding::kStored}));
  EXPECT_TRUE(taken(Block{0, 0, 1, 1, Encoding::kZstd}));
  EXPECT_FALSE(taken(Block{limits::kBlocksMax, 0, 1, 1, Encoding::kZstd}));
  EXPECT_TRUE(taken(Block{0, (std::uint64_t{1} << 62) - 1, 1, 1, Encoding::kStored}));
  EXPECT_FALSE(taken(Block{0, std::uint64_t{1} << 62, 1, 1, Encoding::kStored}));
  EXPECT_FALSE(taken(Block{0, 0, 0, 0, Encoding::kStored}));
  EXPECT_FALSE(taken(Block{0, 0, 1, 0, Encoding::kZstd}));
  EXPECT_FALSE(taken(Block{0, 0, kMax + 1, 1, Encoding::kZstd}));
  EXPECT_FALSE(taken(Block{0, 0, 10, 11, Encoding::kZstd}));
  EXPECT_FALSE(taken(Block{0, 0, 10, 9, Encoding::kStored}));
}

TEST(Messages, BoundsOfTheOthers) {
  Offer offer;
  EXPECT_DEATH(encode(offer), "ciphers");  // none: a bug of the caller
  offer.ciphers = {1};
  EXPECT_TRUE(taken(offer));
  offer.version_min = 2;
  EXPECT_FALSE(taken(offer));
  offer.version_max = 2;
  EXPECT_TRUE(taken(offer));
  offer.version_min = 0;
  EXPECT_FALSE(taken(offer));
  Message nine = encode(Offer{1, 1, Role::kSource, false, {1, 2, 3, 4, 5, 6, 7, 8}, 0});
  nine[10] = std::byte{9};
  nine.push_back(std::byte{9});
  EXPECT_FALSE(decode_offer(nine));
  Message none = encode(Offer{1, 1, Role::kSource, false, {1}, 0});
  none[10] = std::byte{0};
  none.pop_back();
  EXPECT_FALSE(decode_offer(none));

  Choice choice;
  choice.version = 0;
  EXPECT_FALSE(taken(choice));
  choice = {};
  choice.cipher = 0;
  EXPECT_FALSE(taken(choice));

  Open open;
  EXPECT_FALSE(taken(open));  // blocks of no bytes
  open.block_bytes_max = limits::kBlockBytesMax;
  EXPECT_TRUE(taken(open));
  ++open.block_bytes_max;
  EXPECT_FALSE(taken(open));

  constexpr std::uint64_t kBlocks = limits::kBlocksMax;
  Opened opened;
  opened.credit = kBlocks;
  EXPECT_TRUE(taken(opened));
  ++opened.credit;
  EXPECT_FALSE(taken(opened));
  EXPECT_TRUE(taken(Ack{kBlocks, kBlocks, kBlocks, {}}));
  EXPECT_FALSE(taken(Ack{kBlocks + 1, 0, 0, {}}));
  EXPECT_FALSE(taken(Ack{0, 0, kBlocks + 1, {}}));
  EXPECT_FALSE(taken(Ack{5, 6, 10, {}}));
  EXPECT_TRUE(taken(Ack{5, 5, 10, {}, 5, ~0U, Keep::kStore}));
  EXPECT_FALSE(taken(Ack{5, 5, 10, {}, 6, 0, Keep::kStore})) << "durable before it was received";
  EXPECT_TRUE(taken(Ack{5, 5, 10, std::vector<std::uint64_t>(limits::kAckWordsMax, ~std::uint64_t{0})}));
  Message many = encode(Ack{5, 5, 10, std::vector<std::uint64_t>(limits::kAckWordsMax)});
  many[24] = static_cast<std::byte>(limits::kAckWordsMax + 1);
  many.resize(many.size() + 8);
  EXPECT_FALSE(decode_ack(many));
  EXPECT_TRUE(taken(Final{~std::uint64_t{0}, kBlocks, {}, ProducerExit::kSuccess}));
  EXPECT_FALSE(taken(Final{0, kBlocks + 1, {}, ProducerExit::kSuccess}));
}

TEST(Messages, MarksAscendAndEndWhereTheStreamGoesOn) {
  auto continuing = [](std::vector<std::uint64_t> marks, std::uint64_t offset) {
    Opened opened;
    opened.how = OpenedHow::kContinue;
    opened.next_number = 3;
    opened.offset = offset;
    for (std::uint64_t at : marks) opened.marks.push_back({at, {}});
    return opened;
  };
  constexpr std::uint64_t kMost = (std::uint64_t{1} << 62) - 1;
  EXPECT_TRUE(taken(continuing({}, 0)));
  EXPECT_TRUE(taken(continuing({1, 2, 3}, 3)));
  EXPECT_TRUE(taken(continuing({kMost}, kMost)));
  EXPECT_FALSE(taken(continuing({kMost + 1}, kMost + 1)));
  EXPECT_FALSE(taken(continuing({~std::uint64_t{0}}, ~std::uint64_t{0})));
  EXPECT_FALSE(taken(continuing({0}, 0))) << "a mark of nothing";
  EXPECT_FALSE(taken(continuing({1, 1}, 1)));
  EXPECT_FALSE(taken(continuing({2, 1}, 1)));
  EXPECT_FALSE(taken(continuing({1, 2}, 3)));
  EXPECT_FALSE(taken(continuing({}, 3)));
  EXPECT_FALSE(taken(continuing({1, 2}, 1)));
  for (OpenedHow how : {OpenedHow::kFromStart, OpenedHow::kAlreadyReceived}) {
    Opened opened = continuing({1}, 1);
    opened.how = how;
    EXPECT_FALSE(taken(opened)) << "nothing was received, or all of it";
    opened = continuing({}, 0);
    opened.how = how;
    EXPECT_FALSE(taken(opened)) << "block 3 at the start";
  }
  // As many marks as a chain can leave, and one more.
  std::vector<std::uint64_t> all(kMarksMax);
  std::iota(all.begin(), all.end(), 1);
  Message full = encode(continuing(all, kMarksMax));
  EXPECT_LE(full.size(), limits::kControlBytesMax);
  EXPECT_TRUE(decode_opened(full));
  full[62] = static_cast<std::byte>(kMarksMax + 1);
  store_at<std::uint64_t>(full, 54, kMarksMax + 1);
  full.resize(full.size() + 40);
  store_at<std::uint64_t>(full, full.size() - 40, kMarksMax + 1);
  EXPECT_FALSE(decode_opened(full));
}

TEST(Messages, LongTextsAreCutWhenEncodedAndRefusedWhenDecoded) {
  Abort abort{Fault::kInternal, std::string(5000, 'x')};
  auto cut = decode_abort(encode(abort));
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->text, std::string(limits::kErrorTextBytesMax, 'x'));
  Message longer = encode(abort);
  store_at(Bytes(longer), 1, static_cast<std::uint16_t>(limits::kErrorTextBytesMax + 1));
  longer.push_back(std::byte{'x'});
  EXPECT_FALSE(decode_abort(longer));

  Open open;
  open.block_bytes_max = 1;
  open.name = std::string(256, 'n');
  auto named = decode_open(encode(open));
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name.size(), limits::kNameBytesMax);
}

// Pieces that are alike are cheap to name, and take memory at the target each.
TEST(Messages, ABlockLiesInSoManyPiecesAtMost) {
  Chunks chunks{0, 0, limits::kBlockBytesMax, 0, {}};
  for (std::uint32_t at = 0; at < limits::kBlockPiecesMax; at += kPiecesMax) {
    Chunks::Chunk& chunk = chunks.chunks.emplace_back();
    chunk.offset = at;
    chunk.piece_bytes.assign(kPiecesMax, 1);
  }
  EXPECT_TRUE(decode_chunks(encode(chunks)));
  Chunks::Chunk& more = chunks.chunks.emplace_back();
  more.offset = limits::kBlockPiecesMax;
  more.piece_bytes = {1};
  auto refused = decode_chunks(encode(chunks));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("pieces"), std::string::npos) << refused.error().what;
}

TEST(Messages, EmptyIsEmpty) {
  EXPECT_TRUE(decode_empty({}, "DONE"));
  const Message one(1);
  auto status = decode_empty(one, "DONE");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kProtocol);
  EXPECT_NE(status.error().what.find("DONE"), std::string::npos);
}

}  // namespace
}  // namespace zferry::wire
