#include "zstream/walker.h"

#include <gtest/gtest.h>

#include <sodium.h>

#include "base/limits.h"
#include "unit/zstream/follow.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::zstream {
namespace {

using testing::follow;
using testing::Followed;
using testing::NvlistBuilder;

std::vector<std::byte> joined(std::initializer_list<ConstBytes> parts) {
  std::vector<std::byte> all;
  for (ConstBytes part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<std::byte> small_stream(bool swapped = false) {
  StreamWriter writer({.swapped = swapped});
  writer.begin({.toguid = 5, .fromguid = 4, .toname = "tank/\x1b@s"});
  writer.write(1, 0, 512, std::vector<std::byte>(512, std::byte{'w'}));
  writer.end();
  return writer.take();
}

// Puts an integer into a record of a stream; `at` counts from the stream's start.
template <class T>
void poke(std::vector<std::byte>& stream, std::size_t at, T value) {
  store_at(Bytes(stream), at, value);
}

// Whole, byte by byte, and in pieces of a length that is no multiple of anything.
void expect_error(ConstBytes stream, Fault fault, const std::string& words) {
  for (std::size_t piece : {stream.size(), std::size_t{1}, std::size_t{97}}) {
    const Followed followed = follow(stream, piece);
    EXPECT_EQ(followed.error().fault, fault) << "pieces of " << piece << ": " << followed.error().what;
    EXPECT_NE(followed.error().what.find(words), std::string::npos) << followed.error().what;
  }
}

TEST(Walker, WhatIsNoBeginIsOpaque) {
  const auto stream = small_stream();
  SeededRandom random(31);
  std::vector<std::vector<std::byte>> inputs{{},
                                             std::vector<std::byte>(1),
                                             std::vector<std::byte>(11),
                                             std::vector<std::byte>(5000),
                                             testing::random_bytes(random, 5000)};
  for (std::size_t wrong : {0, 3, 8, 15}) {
    inputs.push_back(stream);
    inputs.back()[wrong] ^= std::byte{0x40};
  }
  for (const auto& input : inputs) {
    for (std::size_t piece : {std::max<std::size_t>(input.size(), 1), std::size_t{1}}) {
      const Followed followed = follow(input, piece);
      EXPECT_TRUE(followed.ok()) << followed.error().what;
      EXPECT_EQ(followed.summary.kind, Kind::kOpaque);
      EXPECT_EQ(followed.summary.stream_bytes, input.size());
      EXPECT_FALSE(followed.summary.opaque_rest);
      EXPECT_FALSE(followed.identity);
      EXPECT_EQ(followed.compared, 0u);
    }
  }
}

TEST(Walker, DecidesAsEarlyAsItCan) {
  const auto stream = small_stream();
  RecordWalker walker;
  for (std::size_t i = 0; i < kRecordBytes; ++i) {
    EXPECT_EQ(walker.summary().kind, i < 16 ? Kind::kUndecided : Kind::kZfs) << i;
    EXPECT_FALSE(walker.identified());
    ASSERT_TRUE(walker.walk(ConstBytes(stream).subspan(i, 1)));
  }
  EXPECT_TRUE(walker.identified());
  RecordWalker other;
  const std::byte first{1};
  ASSERT_TRUE(other.walk({&first, 1}));
  EXPECT_EQ(other.summary().kind, Kind::kOpaque);
  EXPECT_TRUE(other.identified());
}

TEST(Walker, SummaryOfASimpleStream) {
  for (bool swapped : {false, true}) {
    const auto stream = small_stream(swapped);
    const Followed followed = follow(stream, 1);
    ASSERT_TRUE(followed.ok()) << followed.error().what;
    EXPECT_EQ(followed.summary.kind, Kind::kZfs);
    EXPECT_EQ(followed.summary.byte_swapped, swapped);
    EXPECT_FALSE(followed.summary.compound);
    EXPECT_EQ(followed.summary.toname, "tank/\\x1b@s");
    EXPECT_EQ(followed.summary.toguid, 5u);
    EXPECT_EQ(followed.summary.fromguid, 4u);
    EXPECT_EQ(followed.summary.payload_bytes, 512u);
    EXPECT_EQ(followed.summary.stream_bytes, stream.size());
    EXPECT_EQ(followed.summary.snapshots, 1u);
    EXPECT_EQ(followed.compared, 3u);
  }
}

TEST(Walker, IdentityIsTheHashOfTheFirstBegin) {
  StreamWriter writer;
  SeededRandom random(32);
  const auto payload = testing::random_bytes(random, 1028);
  writer.begin({.toguid = 5, .toname = "tank@s"}, payload);
  const auto begin = writer.take();
  writer.end();
  const auto stream = joined({begin, writer.bytes()});
  std::array<unsigned char, 32> expected;
  crypto_generichash(expected.data(), expected.size(), as_uchar(ConstBytes(begin)), begin.size(), nullptr, 0);
  for (std::size_t piece : {std::size_t{1}, std::size_t{1000}, stream.size()}) {
    const auto identity = follow(stream, piece).identity;
    ASSERT_TRUE(identity);
    EXPECT_EQ(std::memcmp(identity->data(), expected.data(), 32), 0);
  }
}

TEST(Walker, IdentityHashesABoundedPartOfThePayload) {
  StreamWriter writer;
  std::vector<std::byte> payload(limits::kOuterListBytesMax + 1000);
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank@s"}, payload);
  const auto begin = writer.take();
  writer.end();
  writer.end_compound();
  const auto rest = writer.take();
  std::array<unsigned char, 32> expected;
  crypto_generichash(expected.data(), expected.size(), as_uchar(ConstBytes(begin)),
                     kRecordBytes + limits::kOuterListBytesMax, nullptr, 0);
  const Followed followed = follow(joined({begin, rest}), limits::kBlockBytesMax);
  ASSERT_TRUE(followed.ok()) << followed.error().what;
  EXPECT_TRUE(followed.summary.arrivals_unchecked);
  ASSERT_TRUE(followed.identity);
  EXPECT_EQ(std::memcmp(followed.identity->data(), expected.data(), 32), 0);
}

TEST(Walker, PayloadsThatCannotBeCompressedAreNamed) {
  for (unsigned bit : {16u, 22u, 24u}) {
    StreamWriter writer;
    writer.begin({.features = std::uint64_t{1} << bit, .toname = "t@s"});
    EXPECT_EQ(follow(writer.bytes()).summary.incompressible_payloads, bit != 16u) << bit;
  }
}

TEST(Walker, CutAnywhereIsIncomplete) {
  int cuts = 0;
  for (const testing::Sample& sample : testing::sample_streams()) {
    if (sample.name.starts_with("compound") && sample.name != "compound") continue;
    for (std::size_t bytes = 12; bytes < sample.bytes.size(); bytes += bytes < 1000 ? 1 : 97, ++cuts) {
      const Followed followed = follow(ConstBytes(sample.bytes).first(bytes), 4096);
      ASSERT_EQ(followed.error().fault, Fault::kStreamIncomplete) << sample.name << " cut after " << bytes;
      ASSERT_TRUE(followed.finish_error);
      ASSERT_EQ(followed.summary.missing_snapshots, 0u);
    }
  }
  EXPECT_GT(cuts, 5000);
}

TEST(Walker, TellsWhatIsMissing) {
  const auto stream = small_stream();
  expect_error(ConstBytes(stream).first(100), Fault::kStreamIncomplete, "record 0, after 100 of the 312 bytes");
  expect_error(ConstBytes(stream).first(312), Fault::kStreamIncomplete, "the END of tank/\\x1b@s is missing");
  expect_error(ConstBytes(stream).first(700), Fault::kStreamIncomplete,
               "record 1 (WRITE) at byte 312: 436 bytes of its payload are missing");
}

TEST(Walker, NestingMustBeRight) {
  const auto whole = small_stream();
  const ConstBytes stream(whole);
  const ConstBytes begin = stream.first(312), end = stream.last(312);
  expect_error(joined({begin, stream}), Fault::kStreamDamaged,
               "record 1 (BEGIN) at byte 312: a BEGIN before the END of");

  StreamWriter writer;
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank/h@2"});
  const auto outer = writer.take();
  writer.end();
  const auto outer_end = writer.take();
  writer.end_compound();
  const auto last = writer.take();
  expect_error(joined({outer, stream}), Fault::kStreamDamaged, "END must follow");
  expect_error(joined({outer, outer_end, outer}), Fault::kStreamDamaged, "inside another");
  expect_error(joined({outer, outer_end, stream.subspan(312, 824)}), Fault::kStreamDamaged, "outside of BEGIN and END");
  auto unknown = joined({stream});
  poke(unknown, 0, std::uint32_t{11});  // no newer type has its place there: it is a damaged BEGIN or END
  expect_error(joined({outer, outer_end, unknown}), Fault::kStreamDamaged,
               "(unknown type 11) at byte 624: a record outside");
  expect_error(joined({outer, outer_end}), Fault::kStreamIncomplete, "whole compound stream");
  expect_error(joined({outer}), Fault::kStreamIncomplete, "END of tank/h@2");
  const Followed empty = follow(joined({outer, outer_end, last}));
  EXPECT_TRUE(empty.ok()) << empty.error().what;
  EXPECT_TRUE(empty.summary.compound);
  EXPECT_EQ(empty.summary.snapshots, 0u);
  EXPECT_EQ(follow(end).summary.kind, Kind::kOpaque);
}

TEST(Walker, ABeginMustBeSound) {
  auto kind = small_stream();
  poke(kind, field::kVersionInfo, std::uint64_t{3});
  expect_error(kind, Fault::kStreamDamaged, "header type 3");
  StreamWriter writer;
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank/h@2"});
  writer.end();
  auto inner = joined({writer.bytes(), small_stream()});
  poke(inner, 624 + field::kMagic, kBeginMagic + 1);
  expect_error(inner, Fault::kStreamDamaged, "record 2 (BEGIN) at byte 624: its magic number is wrong");
}

TEST(Walker, LengthsAreBounded) {
  auto stream = small_stream();
  poke(stream, 312 + field::kWriteLogicalBytes, std::uint64_t{limits::kWritePayloadBytesMax + 1});
  expect_error(stream, Fault::kStreamDamaged, "record 1 (WRITE) at byte 312: claims a payload of 16777217 bytes");
}

TEST(Walker, AnErrorIsRepeated) {
  auto stream = small_stream();
  poke(stream, field::kVersionInfo, std::uint64_t{0});
  RecordWalker walker;
  const auto first = walker.walk(stream);
  ASSERT_FALSE(first);
  const auto second = walker.walk(stream);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what, first.error().what);
  const Status finished = walker.finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().what, first.error().what);
}

// A type that is not on the list yet, with the checksum that a newer sender would give it, without one, and with a
// wrong one.
TEST(Walker, FromAnUnknownTypeOnBytesAreOpaque) {
  for (bool swapped : {false, true}) {
    const auto whole = small_stream(swapped);
    const ConstBytes known = ConstBytes(whole).first(312 + 824);
    std::vector<std::byte> unknown(312 + 99, std::byte{0x77});
    poke(unknown, 0, swapped ? swap_bytes(std::uint32_t{11}) : std::uint32_t{11});
    // After the BEGIN and WRITE as a sender sums them.
    Fletcher4 sums = append(fletcher4(known, swapped), fletcher4(ConstBytes(unknown).first(280), swapped));
    std::size_t at = 280;
    for (std::uint64_t part : {sums.a, sums.b, sums.c, sums.d}) {
      poke(unknown, at, swapped ? swap_bytes(part) : part);
      at += 8;
    }
    for (std::size_t piece : {std::size_t{1}, std::size_t{100000}}) {
      const Followed right = follow(joined({known, unknown}), piece);
      ASSERT_TRUE(right.ok()) << right.error().what;
      EXPECT_TRUE(right.summary.opaque_rest);
      EXPECT_EQ(right.summary.opaque_from, known.size());
      EXPECT_EQ(right.summary.stream_bytes, known.size() + unknown.size());
      EXPECT_EQ(right.compared, 2u);

      auto wrong = unknown;
      wrong[300] ^= std::byte{1};
      const Followed damaged = follow(joined({known, wrong}), piece);
      ASSERT_TRUE(damaged.sum_error);
      EXPECT_NE(damaged.sum_error->what.find("record 2 (unknown type 11) at byte 1136"), std::string::npos)
          << damaged.sum_error->what;

      std::fill_n(wrong.begin() + 280, 32, std::byte{0});
      const Followed absent = follow(joined({known, wrong}), piece);
      EXPECT_TRUE(absent.ok()) << absent.error().what;
      EXPECT_TRUE(absent.summary.opaque_rest);
      EXPECT_EQ(absent.compared, 1u);
    }
  }
}

TEST(Walker, AfterItsEndAStreamMayGoOn) {
  const auto stream = small_stream(), swapped = small_stream(true);
  for (std::size_t piece : {std::size_t{1}, std::size_t{311}, std::size_t{100000}}) {
    const Followed twice = follow(joined({stream, swapped}), piece);
    ASSERT_TRUE(twice.ok()) << twice.error().what;
    EXPECT_EQ(twice.summary.snapshots, 2u);
    EXPECT_EQ(twice.compared, 6u);
    EXPECT_FALSE(twice.summary.opaque_rest);
    EXPECT_FALSE(twice.summary.byte_swapped);

    for (std::size_t zeros : {1, 11, 12, 5000}) {
      const Followed padded = follow(joined({stream, std::vector<std::byte>(zeros)}), piece);
      EXPECT_TRUE(padded.ok()) << padded.error().what;
      EXPECT_TRUE(padded.summary.opaque_rest) << zeros;
      EXPECT_EQ(padded.summary.opaque_from, stream.size());
      EXPECT_EQ(padded.summary.snapshots, 1u);
    }
  }
  expect_error(joined({stream, ConstBytes(stream).first(20)}), Fault::kStreamIncomplete,
               "record 3, after 20 of the 312");
}

std::vector<std::byte> replication(const std::vector<std::uint64_t>& sent, ConstBytes list, bool cut_last = false) {
  StreamWriter writer;
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank/h@2"}, list);
  writer.end();
  for (std::uint64_t guid : sent) {
    writer.begin({.toguid = guid, .toname = "tank/h@" + std::to_string(guid)});
    if (!cut_last || guid != sent.back()) writer.end();
  }
  if (!cut_last) writer.end_compound();
  return writer.take();
}

TEST(Walker, SnapshotsOfTheOuterListMustArrive) {
  const std::vector<testing::Filesystem> filesystems{
      {"tank/h", {{"1", 11}, {"2", 12}}}, {"tank/h/a", {{"1", 21}, {"2", 22}}}, {"tank/h/late", {{"1", 31}}}};
  for (auto encoding : {NvlistBuilder::Encoding::kXdr, NvlistBuilder::Encoding::kNative}) {
    const auto list = testing::outer_list(encoding, "2", filesystems);
    EXPECT_TRUE(follow(replication({11, 12, 21, 22}, list)).ok());
    EXPECT_TRUE(follow(replication({12, 22}, list)).ok());  // an increment
    const auto partial = replication({11, 12, 21}, list);
    expect_error(partial, Fault::kStreamIncomplete, "names 1 that did not come: tank/h/a@2");
    EXPECT_EQ(follow(partial).summary.missing_snapshots, 1u);
    EXPECT_EQ(follow(replication({11, 12, 21, 22}, list, true)).error().fault, Fault::kStreamIncomplete);
    expect_error(joined({partial, small_stream()}), Fault::kStreamIncomplete, "tank/h/a@2");
    expect_error(joined({partial, std::vector<std::byte>(100)}), Fault::kStreamIncomplete, "tank/h/a@2");
    expect_error(joined({replication({}, list), replication({}, list)}), Fault::kStreamIncomplete,
                 "names 4 that did not come: tank/h@2, tank/h/a@2");
  }
  EXPECT_TRUE(follow(replication({}, {})).ok());  // no list, nothing to check
}

TEST(Walker, AListThatCannotBeReadIsDamage) {
  expect_error(replication({}, std::vector<std::byte>(100, std::byte{9})), Fault::kStreamDamaged,
               "record 0 (BEGIN) at byte 0: packed name-value list, byte 0");
}

}  // namespace
}  // namespace zferry::zstream
