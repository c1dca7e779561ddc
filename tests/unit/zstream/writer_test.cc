// The writer against the walker and the verifier: what one writes the others accept, and nothing else.
#include "zstream/writer.h"

#include <gtest/gtest.h>

#include "unit/zstream/follow.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::zstream {
namespace {

using testing::follow;
using testing::Followed;
using testing::Sample;

void expect_whole(const Sample& sample, const Followed& followed) {
  ASSERT_TRUE(followed.ok()) << sample.name << ": " << followed.error().what;
  EXPECT_EQ(followed.summary.kind, Kind::kZfs) << sample.name;
  EXPECT_EQ(followed.summary.records, sample.records) << sample.name;
  EXPECT_EQ(followed.summary.snapshots, sample.snapshots) << sample.name;
  EXPECT_EQ(followed.summary.stream_bytes, sample.bytes.size()) << sample.name;
  EXPECT_EQ(followed.summary.byte_swapped, sample.name.ends_with("-swapped")) << sample.name;
  EXPECT_EQ(followed.compared, sample.checksums) << sample.name;
  EXPECT_FALSE(followed.summary.opaque_rest) << sample.name;
  EXPECT_TRUE(followed.identity) << sample.name;
}

TEST(Writer, SamplesAreAcceptedInAnyPieces) {
  SeededRandom random(41);
  int followed = 0;
  for (const Sample& sample : testing::sample_streams()) {
    for (std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{312}, sample.bytes.size()}) {
      expect_whole(sample, follow(sample.bytes, piece));
      ++followed;
    }
    for (std::uint64_t bound : {5, 100, 1000}) {
      expect_whole(sample, follow(sample.bytes, [&] { return 1 + random.below(bound); }));
      ++followed;
    }
  }
  EXPECT_EQ(followed, 12 * 8);
}

// Streams of random records, in random pieces.
TEST(Writer, WhateverItWritesIsAccepted) {
  SeededRandom random(42);
  std::uint64_t records = 0, compared = 0;
  for (int round = 0; round < 300; ++round) {
    StreamWriter writer({.swapped = random.chance(0.5)});
    Sample sample{writer.bytes().empty() ? "random" : "", {}, {}, 0, 1};
    writer.begin({.features = random.next() >> 34, .toguid = random.next(), .toname = "a@b"},
                 testing::random_bytes(random, random.below(50)));
    auto count = [&](RecordType type) { ++sample.records[static_cast<std::size_t>(type)]; };
    count(RecordType::kBegin);
    for (std::uint64_t left = random.below(20); left > 0; --left) {
      const auto payload = testing::random_bytes(random, random.below(700));
      switch (random.below(9)) {
        case 0:
          writer.object(random.next(), payload, random.chance(0.5));
          count(RecordType::kObject);
          break;
        case 1:
          writer.free_objects(random.next(), random.next());
          count(RecordType::kFreeObjects);
          break;
        case 2:
          writer.write(random.next(), random.next(), payload.size(), payload);
          count(RecordType::kWrite);
          break;
        case 3:
          writer.write(random.next(), random.next(), random.next(), payload, 15);
          count(RecordType::kWrite);
          break;
        case 4:
          writer.free(random.next(), random.next(), random.next());
          count(RecordType::kFree);
          break;
        case 5:
          writer.write_byref(random.next(), random.next(), random.next());
          count(RecordType::kWriteByref);
          break;
        case 6:
          writer.spill(random.next(), payload.size(), payload);
          count(RecordType::kSpill);
          break;
        case 7:
          writer.write_embedded(random.next(), random.next(), 512, payload);
          count(RecordType::kWriteEmbedded);
          break;
        default:
          writer.redact(random.next(), random.next(), random.next());
          count(RecordType::kRedact);
          break;
      }
      ++sample.checksums;
    }
    writer.end();
    count(RecordType::kEnd);
    sample.checksums += 2;
    sample.bytes = writer.take();
    const std::uint64_t bound = 1 + random.below(1500);
    const Followed followed = follow(sample.bytes, [&] { return 1 + random.below(bound); });
    if (followed.summary.byte_swapped) sample.name += "-swapped";
    expect_whole(sample, followed);
    compared += followed.compared;
    records += sample.checksums - 1;
  }
  EXPECT_EQ(compared, records + 300);
  EXPECT_GT(records, 2000u);
}

// Every byte of a stream whose records all carry checksums is covered by one, but for the first 16, which say that it
// is a stream.
TEST(Writer, AnyFlippedByteIsDetected) {
  SeededRandom random(43);
  int flips = 0;
  for (const Sample& sample : testing::sample_streams()) {
    // Raw payloads may end in less than a word, which fletcher-4 leaves out: the stream itself cannot show that damage.
    if (sample.checksums == 0 || sample.name.starts_with("raw")) continue;
    const bool compound = sample.name.starts_with("compound");
    // The END that closes a compound stream has no checksum: of it only its type and its own checksum field are looked
    // at.
    const std::size_t covered = compound ? sample.bytes.size() - kRecordBytes + 40 : sample.bytes.size();
    for (std::size_t at = 16; at < covered; at += 1 + random.below(compound ? 17 : 5)) {
      if (compound && at >= covered - 36 && at < covered - 32) continue;  // unused, beside the type
      auto damaged = sample.bytes;
      damaged[at] ^= static_cast<std::byte>(1 + random.below(255));
      const Followed followed = follow(damaged, 1 + random.below(3000));
      const Fault fault = followed.error().fault;
      ASSERT_TRUE(fault == Fault::kStreamDamaged || fault == Fault::kStreamIncomplete)
          << sample.name << ": byte " << at << " of " << damaged.size();
      ++flips;
    }
  }
  EXPECT_GT(flips, 10000);
}

TEST(Writer, RecordsTakenElsewhereGetTheirOwnChecksums) {
  StreamWriter original;
  SeededRandom random(44);
  testing::write_all_types(original, random, "tank/plain@s1", 9, 1000);
  const auto stream = original.take();
  // Leave the first record after BEGIN out: every checksum changes, and all must fit again.
  StreamWriter writer;
  std::size_t at = 0, records = 0;
  while (at < stream.size()) {
    const ConstBytes header = ConstBytes(stream).subspan(at, kRecordBytes);
    const auto decoded = decode_record(header, false);
    ASSERT_TRUE(decoded);
    const ConstBytes payload = ConstBytes(stream).subspan(at + kRecordBytes, decoded->payload_bytes);
    if (records != 1) writer.record(header, payload);
    at += kRecordBytes + payload.size();
    ++records;
  }
  EXPECT_EQ(records, 14u);
  const Followed followed = follow(writer.bytes(), 1000);
  EXPECT_TRUE(followed.ok()) << followed.error().what;
  EXPECT_EQ(followed.compared, 13u);
  const Followed unchanged = follow(stream, 1000);
  EXPECT_TRUE(unchanged.ok());
  EXPECT_EQ(unchanged.compared, 14u);
}

TEST(ChecksumVerifier, NamesTheRecordThatDoesNotFit) {
  StreamWriter writer;
  writer.begin({.toname = "t@s"});
  writer.write(1, 0, 8, std::vector<std::byte>(8));
  writer.free(1, 0, 8);
  writer.end();
  auto stream = writer.take();
  stream[630] ^= std::byte{1};  // the WRITE's payload, so the next record's checksum
  const Followed followed = follow(stream, 7);
  ASSERT_TRUE(followed.sum_error);
  EXPECT_EQ(followed.sum_error->fault, Fault::kStreamDamaged);
  EXPECT_NE(followed.sum_error->what.find("stream record 2 (FREE) at byte 632: "), std::string::npos)
      << followed.sum_error->what;
  EXPECT_EQ(followed.compared, 1u);
}

}  // namespace
}  // namespace zferry::zstream
