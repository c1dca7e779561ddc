// Frame headers: there and back, every bound, and frames found in a flow that comes in any pieces.
#include "wire/frame.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/random.h"

namespace zferry::wire {
namespace {

constexpr int kTypes = 15;

FrameType type_of(int number) { return static_cast<FrameType>(number); }
std::size_t plain_max(FrameType type) {
  return type == FrameType::kData ? limits::kFrameBytesMax : limits::kControlBytesMax;
}

TEST(FrameHeader, ThereAndBackAtEveryBound) {
  std::set<std::string_view> names;
  for (int number = 1; number <= kTypes; ++number) {
    const FrameType type = type_of(number);
    const std::size_t least = type == FrameType::kData ? 1 : 0;
    for (std::size_t bytes : {least, std::size_t{1}, std::size_t{100}, plain_max(type)}) {
      auto header = decode_frame_header(encode_frame_header(type, bytes));
      ASSERT_TRUE(header);
      EXPECT_EQ(header->type, type);
      EXPECT_EQ(header->sealed_bytes, bytes + 16);
    }
    for (std::size_t sealed : {std::size_t{0}, std::size_t{15}, plain_max(type) + 17, std::size_t{0xffffffff}}) {
      auto bytes = any_frame_header(static_cast<std::uint32_t>(sealed), static_cast<std::uint8_t>(number));
      EXPECT_FALSE(decode_frame_header(bytes)) << number << " " << sealed;
    }
    names.insert(frame_type_name(type));
  }
  EXPECT_EQ(names.size(), std::size_t{kTypes});
  EXPECT_FALSE(decode_frame_header(any_frame_header(16, static_cast<std::uint8_t>(FrameType::kData))));
}

TEST(FrameHeader, UnknownTypesAreRefused) {
  int accepted = 0;
  for (int type = 0; type < 256; ++type) {
    auto result = decode_frame_header(any_frame_header(40, static_cast<std::uint8_t>(type)));
    accepted += result.ok();
    EXPECT_TRUE(result || result.error().fault == Fault::kProtocol);
  }
  EXPECT_EQ(accepted, kTypes);
}

// Of any of the header's 64 bits: at once, before a byte of the body came.
TEST(FrameHeader, AnyFlippedBitIsNoticed) {
  int tried = 0;
  for (int number = 1; number <= kTypes; ++number)
    for (std::size_t plain : {std::size_t{1}, std::size_t{9}, std::size_t{24}, std::size_t{1000}, std::size_t{4096}})
      for (std::size_t bit = 0; bit < 8 * kFrameHeaderBytes; ++bit, ++tried) {
        auto header = encode_frame_header(type_of(number), plain);
        header[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
        EXPECT_FALSE(next_frame(header)) << number << " " << plain << " " << bit;
      }
  EXPECT_EQ(tried, kTypes * 5 * 64);
}

TEST(NextFrame, FindsEveryFrameOfAFlowInAnyPieces) {
  SeededRandom random(1);
  std::vector<std::byte> flow;
  std::vector<FrameHeader> sent;
  for (int i = 0; i < 300; ++i) {
    const FrameType type = type_of(1 + static_cast<int>(random.below(kTypes)));
    const std::size_t plain = 1 + random.below(random.chance(0.05) ? plain_max(type) : 50);
    const auto header = encode_frame_header(type, plain);
    flow.insert(flow.end(), header.begin(), header.end());
    flow.resize(flow.size() + plain + 16);
    sent.push_back({type, plain + 16});
  }
  std::size_t arrived = 0, at = 0, found = 0;
  while (arrived < flow.size()) {
    arrived = std::min<std::size_t>(flow.size(), arrived + 1 + random.below(random.chance(0.5) ? 9 : 5000));
    while (true) {
      auto frame = next_frame(ConstBytes(flow).subspan(at, arrived - at));
      ASSERT_TRUE(frame);
      if (!*frame) break;
      ASSERT_EQ((*frame)->type, sent[found].type);
      ASSERT_EQ((*frame)->sealed_bytes, sent[found].sealed_bytes);
      at += kFrameHeaderBytes + (*frame)->sealed_bytes;
      ASSERT_LE(at, arrived);
      ++found;
    }
  }
  EXPECT_EQ(found, sent.size());
  EXPECT_EQ(at, flow.size());
}

TEST(NextFrame, ABadHeaderIsRefusedBeforeItsBytesCome) {
  EXPECT_TRUE(next_frame(encode_frame_header(FrameType::kData, 1000)));
  auto header = any_frame_header(16 * limits::MiB, static_cast<std::uint8_t>(FrameType::kData));
  EXPECT_TRUE(next_frame(ConstBytes(header).first(7)));
  EXPECT_FALSE(next_frame(header));
}

}  // namespace
}  // namespace zferry::wire
