// What is left of a compound stream where ZFS has a part of it: compared with the same substreams written one by one.
#include "zstream/rest_of_compound.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/zstream/follow.h"
#include "unit/zstream/resumable_streams.h"

namespace zferry::zstream {
namespace {

using testing::make_resumable;
using testing::ResumableStream;

constexpr std::uint64_t kFirst = 11, kLast = 12;

// What stands for a file system of which nothing is left: the BEGIN as its own increment, and nothing in it.
std::vector<std::byte> stub_of(ConstBytes substream, bool swapped, std::uint64_t guid) {
  auto begin = decode_record(substream.first(kRecordBytes), swapped);
  std::vector<std::byte> out(substream.begin(),
                             substream.begin() + static_cast<std::ptrdiff_t>(kRecordBytes + begin->payload_bytes));
  store_at(Bytes(out), field::kFromguid, swapped ? swap_bytes(guid) : guid);
  StreamWriter writer(StreamWriter::Options{.swapped = swapped, .checksums = false});
  writer.begin({.toguid = guid, .toname = "any@one"});
  writer.take();
  writer.free_objects(0, 0);
  writer.end();
  out.insert(out.end(), writer.bytes().begin(), writer.bytes().end());
  return out;
}

struct Compound {
  std::vector<std::byte> front, first, last, back, stub;
  ResumableStream middle;

  std::vector<std::byte> join(std::initializer_list<ConstBytes> parts) const {
    std::vector<std::byte> out = front;
    for (ConstBytes part : parts) out.insert(out.end(), part.begin(), part.end());
    out.insert(out.end(), back.begin(), back.end());
    return out;
  }
  std::vector<std::byte> whole() const { return join({first, middle.bytes, last}); }
};

Compound make(SeededRandom& random, bool swapped) {
  Compound made;
  made.middle = make_resumable(random, {.swapped = swapped, .objects = 12});
  StreamWriter writer(StreamWriter::Options{.swapped = swapped});
  auto list = testing::outer_list(testing::NvlistBuilder::Encoding::kXdr, "2",
                                  {{"tank", {{"2", kFirst}}}, {"tank/plain", {{"s1", made.middle.toguid}}}});
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank@2"}, list);
  writer.end();
  made.front = writer.take();
  testing::write_all_types(writer, random, "tank@2", kFirst, 900);
  made.first = writer.take();
  made.stub = stub_of(made.first, swapped, kFirst);
  testing::write_all_types(writer, random, "tank/c@2", kLast, 900);
  made.last = writer.take();
  writer.end_compound();
  made.back = writer.take();
  return made;
}

using Snapshots = std::map<std::string, std::uint64_t>;
using Tokens = std::map<std::string, ResumeToken>;

// tank/... goes to pool/new/...
Result<std::vector<std::byte>> rest_of(ConstBytes stream, Snapshots snapshots, Tokens tokens, std::size_t piece_bytes) {
  RestOfCompound rest({std::move(snapshots), std::move(tokens), [](const std::string&) { return "pool/new"; }});
  std::vector<std::byte> out;
  while (!stream.empty()) {
    ConstBytes piece = stream.first(std::min(piece_bytes, stream.size()));
    if (Status fed = rest.feed(piece, out); !fed) {
      EXPECT_FALSE(rest.feed(piece, out)) << "an error is repeated";
      return fed.take_error();
    }
    stream = stream.subspan(piece.size());
  }
  return out;
}

TEST(RestOfCompound, LeavesOutWhatIsThereInAnyPieces) {
  SeededRandom random(5);
  int compared = 0;
  for (bool swapped : {false, true}) {
    const Compound made = make(random, swapped);
    const std::uint64_t middle = made.middle.toguid;
    const struct {
      Snapshots has;
      std::vector<std::byte> expected;
    } cases[] = {
        {{}, made.whole()},
        // Other guids under the names; the guids under other names, as copies and bookmarks have them.
        {{{"pool/new@2", 7}, {"pool/new/plain@s1", 9}}, made.whole()},
        {{{"pool/new#2", kFirst}, {"pool/old/plain@s1", middle}, {"pool/new/plain@s2", middle}}, made.whole()},
        {{{"pool/new@2", kFirst}}, made.join({made.stub, made.middle.bytes, made.last})},
        {{{"pool/new@2", kFirst}, {"pool/new/plain@s1", middle}}, made.join({made.stub, made.last})},
        {{{"pool/new/plain@s1", middle}, {"pool/new/c@2", kLast}, {"x@y", 3}}, made.join({made.first})},
        {{{"pool/new@2", kFirst}, {"pool/new/plain@s1", middle}, {"pool/new/c@2", kLast}}, made.join({made.stub})},
    };
    for (const auto& one : cases)
      for (std::size_t piece : {std::size_t{1} << 20, std::size_t{1000}, std::size_t{7}, std::size_t{1}}) {
        auto out = rest_of(made.whole(), one.has, {}, piece);
        ASSERT_TRUE(out);
        EXPECT_EQ(*out, one.expected) << one.has.size() << " there, pieces of " << piece;
        compared += *out == one.expected;
      }
  }
  EXPECT_EQ(compared, 2 * 7 * 4);
}

TEST(RestOfCompound, GoesOnInTheMiddleOfOne) {
  SeededRandom random(6);
  int compared = 0;
  for (bool swapped : {false, true}) {
    const Compound made = make(random, swapped);
    for (std::size_t write : made.middle.writes()) {
      ResumeToken token = made.middle.token(write);
      ResumeToken other = token;
      other.toguid = 99;
      Tokens tokens{{"pool/new", other}, {"pool/new/c", token}, {"pool/new/plain", token}};
      auto out = rest_of(made.whole(), {{"pool/new@2", kFirst}}, tokens, 1 + random.below(3000));
      ASSERT_TRUE(out);
      auto expected = made.join({made.stub, made.middle.resumed(token, write), made.last});
      ASSERT_EQ(*out, expected) << "at write " << write;
      EXPECT_TRUE(testing::follow(*out).walk_error == std::nullopt);
      ++compared;
    }
  }
  EXPECT_GE(compared, 20);
}

// Increments of one file system: the one that is left stands for itself.
TEST(RestOfCompound, NoStubWhereItsFileSystemIsLeft) {
  SeededRandom random(9);
  Compound made = make(random, false);
  StreamWriter writer;
  testing::write_all_types(writer, random, "tank@3", kLast, 900);
  made.last = writer.take();
  auto out = rest_of(made.join({made.first, made.last}), {{"pool/new@2", kFirst}}, {}, 777);
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, made.join({made.last}));
  // What comes after one that is missing is sent, though it is there: ZFS says what it thinks of that.
  out = rest_of(made.join({made.first, made.last}), {{"pool/new@3", kLast}}, {}, 777);
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, made.join({made.first, made.last}));
}

TEST(RestOfCompound, APlainStreamIsOneOfItsKind) {
  SeededRandom random(7);
  const Compound made = make(random, false);
  std::size_t write = made.middle.writes().back();
  ResumeToken token = made.middle.token(write);
  auto resumed = rest_of(made.middle.bytes, {}, {{"pool/new", token}}, 512);
  ASSERT_TRUE(resumed);
  EXPECT_EQ(*resumed, made.middle.resumed(token, write));
  auto nothing = rest_of(made.middle.bytes, {{"pool/new@s1", made.middle.toguid}}, {}, 512);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->empty());
}

TEST(RestOfCompound, WhatCannotBeMadeIsAnError) {
  SeededRandom random(8);
  const Compound made = make(random, false);
  ResumeToken elsewhere = made.middle.token(made.middle.writes().back());
  elsewhere.offset += 3;
  auto other = rest_of(made.whole(), {{"pool/new@2", kFirst}}, {{"pool/new/plain", elsewhere}}, 4096);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().fault, Fault::kDifferentStream);

  std::vector<std::byte> unknown = made.whole();
  store_at(Bytes(unknown), made.front.size() + kRecordBytes, std::uint32_t{77});  // the type of a record in the first
  auto lost = rest_of(unknown, {}, {}, 4096);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().fault, Fault::kStreamDamaged);
  EXPECT_FALSE(rest_of(as_bytes(std::string(1000, 'x')), {}, {}, 100));
}

}  // namespace
}  // namespace zferry::zstream
