#include "zstream/stream_context.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>

#include "unit/zstream/resumable_streams.h"
#include "zstream/resuming_stream.h"

namespace zferry::zstream {
namespace {

using testing::make_resumable;
using testing::ResumableShape;
using testing::ResumableStream;

TEST(StreamContext, IsSmallAndKeepsNoPayloadOfWrites) {
  StreamWriter writer;
  writer.begin({.toguid = 1, .toname = "t@s"});
  for (std::uint64_t object = 1; object < 200; ++object) {
    writer.object(object, std::vector<std::byte>(176));
    writer.free(object, 0, ~std::uint64_t{0});
    writer.write(object, 0, 131072, std::vector<std::byte>(131072));
  }
  const auto stream = writer.take();
  StreamContext context;
  std::size_t largest = 0;
  for (std::size_t at = 0; at < stream.size(); at += 65536) {
    context.follow(ConstBytes(stream).subspan(at, std::min<std::size_t>(65536, stream.size() - at)));
    largest = std::max(largest, context.save().size());
  }
  EXPECT_TRUE(context.resumable());
  EXPECT_GT(largest, 2 * kRecordBytes);
  EXPECT_LT(largest, 5 * kRecordBytes);
}

TEST(StreamContext, WhatFillsItFitsIntoItsBound) {
  StreamWriter writer;
  writer.begin({.toguid = 1, .toname = "t@s"}, std::vector<std::byte>(512 << 10));
  writer.object_range(0, 32);
  writer.object(1, std::vector<std::byte>(500 << 10));
  writer.spill(1, 520 << 10, std::vector<std::byte>(520 << 10));
  StreamContext context;
  context.follow(writer.bytes());
  context.follow(ConstBytes(writer.bytes()).first(311));
  ASSERT_TRUE(context.resumable());
  const auto saved = context.save();
  EXPECT_GT(saved.size(), std::size_t{1} << 20);
  EXPECT_LE(saved.size(), kContextBytesMax);
  const auto restored = StreamContext::restore(saved);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->save(), saved);
}

// Once a token's place is passed it never lies ahead again, and what lies before one lies before every later one.
TEST(StreamContext, LiesBeforeIsMonotone) {
  SeededRandom random(81);
  int compared = 0;
  for (int round = 0; round < 40; ++round) {
    const ResumableStream stream = make_resumable(
        random, {.swapped = round % 2 == 0, .raw = round % 3 == 0, .increment = round % 5 < 3, .objects = 40});
    const auto writes = stream.writes();
    StreamContext context;
    std::vector<bool> lies(writes.size(), true);
    for (std::size_t at = 0; at < stream.bytes.size();) {
      const std::size_t piece = std::min<std::size_t>(1 + random.below(900), stream.bytes.size() - at);
      context.follow(ConstBytes(stream.bytes).subspan(at, piece));
      at += piece;
      bool earlier = false;
      for (std::size_t i = 0; i < writes.size(); ++i) {
        const bool now = context.lies_before(stream.token(writes[i]));
        EXPECT_TRUE(lies[i] || !now);
        EXPECT_TRUE(now || !earlier);
        earlier = now;
        lies[i] = now;
        ++compared;
      }
    }
    EXPECT_EQ(std::count(lies.begin(), lies.end(), true), 0);
  }
  EXPECT_GT(compared, 100000);
}

std::vector<std::byte> hashed_anew(std::vector<std::byte> saved) {
  const ConstBytes content = ConstBytes(saved).first(saved.size() - 32);
  std::array<std::byte, 32> hash;
  crypto_generichash(as_uchar(Bytes(hash)), 32, as_uchar(content), content.size(), nullptr, 0);
  std::copy(hash.begin(), hash.end(), saved.end() - 32);
  return saved;
}

void expect_refused(ConstBytes saved) {
  const auto restored = StreamContext::restore(saved);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().fault, Fault::kStoreFailed);
}

std::vector<std::vector<std::byte>> saved_contexts(const ResumableStream& stream, std::size_t every) {
  std::vector<std::vector<std::byte>> all;
  StreamContext context;
  for (std::size_t at = 0; at <= stream.bytes.size(); at += every) {
    all.push_back(context.save());
    context.follow(ConstBytes(stream.bytes).subspan(at, std::min(every, stream.bytes.size() - at)));
  }
  return all;
}

TEST(StreamContext, AnyByteChangedCutOrAddedIsFound) {
  SeededRandom random(82);
  int tried = 0;
  for (const auto& saved : saved_contexts(make_resumable(random, {.raw = true, .increment = true}), 1111)) {
    for (std::size_t at = 0; at < saved.size(); at += 1 + random.below(4)) {
      auto damaged = saved;
      damaged[at] ^= static_cast<std::byte>(1 + random.below(255));
      expect_refused(damaged);
      expect_refused(ConstBytes(saved).first(at));
      tried += 2;
    }
    auto longer = saved;
    longer.push_back(std::byte{0});
    expect_refused(longer);
    longer.insert(longer.end() - 33, std::byte{0});
    expect_refused(hashed_anew(longer));
  }
  expect_refused({});
  EXPECT_GT(tried, 5000);
}

// With a hash that is right, as only one who can write the store could make it: refused, or of use, but never harmful.
TEST(StreamContext, HostileContent) {
  SeededRandom random(83);
  int refused = 0, taken = 0;
  for (bool swapped : {false, true}) {
    const ResumableStream stream = make_resumable(random, {.swapped = swapped, .raw = true, .increment = true});
    const auto writes = stream.writes();
    for (const auto& saved : saved_contexts(stream, 777)) {
      for (int round = 0; round < 400; ++round) {
        auto damaged = saved;
        const std::size_t bound = round % 2 == 0 ? 60 : damaged.size() - 32;
        for (int i = 0; i < 1 + round % 2; ++i) {
          const auto value = random.below(3) == 0 ? 0xff : random.below(256);
          damaged[random.below(bound)] = static_cast<std::byte>(value);
        }
        auto restored = StreamContext::restore(hashed_anew(damaged));
        if (!restored) {
          ++refused;
          continue;
        }
        ++taken;
        const ResumeToken token = stream.token(writes[random.below(writes.size())]);
        restored->lies_before(token);
        restored->follow(ConstBytes(stream.bytes).first(random.below(2000)));
        EXPECT_LE(restored->save().size(), kContextBytesMax);
        auto begun = ResumingStream::begin(std::move(*restored), token);
        std::vector<std::byte> out;
        if (begun && begun->feed(stream.bytes, out)) {
          EXPECT_LE(out.size(), 2 * stream.bytes.size() + kContextBytesMax);
        }
      }
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(taken, 500);
  std::printf("%d refused, %d restored\n", refused, taken);
}

}  // namespace
}  // namespace zferry::zstream
