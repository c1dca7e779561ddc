#include "zstream/format.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace zferry::zstream {
namespace {

using Header = std::array<std::byte, kRecordBytes>;

template <class T>
void set(Header& header, std::size_t offset, T value, bool swapped) {
  store_at(Bytes(header), offset, swapped ? swap_bytes(value) : value);
}

Header header_of(RecordType type, bool swapped) {
  Header header{};
  set(header, 0, static_cast<std::uint32_t>(type), swapped);
  return header;
}

TEST(Format, NamesEveryType) {
  const std::array<std::string_view, kRecordTypes> names{"BEGIN",          "OBJECT",       "FREEOBJECTS", "WRITE",
                                                         "FREE",           "END",          "WRITE_BYREF", "SPILL",
                                                         "WRITE_EMBEDDED", "OBJECT_RANGE", "REDACT"};
  for (std::uint32_t i = 0; i < kRecordTypes; ++i) EXPECT_EQ(record_type_name(static_cast<RecordType>(i)), names[i]);
  EXPECT_EQ(record_type_name(static_cast<RecordType>(11)), "unknown");
}

TEST(Format, PayloadLengthsFollowTheTable) {
  struct Case {
    RecordType type;
    std::size_t u32_at, u64_at;
    std::uint64_t value, expected;
    std::size_t byte_at = 0;
    std::uint8_t byte = 0;
  };
  const std::vector<Case> cases{
      {RecordType::kBegin, 4, 0, 96, 96},
      {RecordType::kBegin, 4, 0, 1027, 1027},
      {RecordType::kObject, 28, 0, 44, 48},
      {RecordType::kObject, 28, 0, 48, 48},
      {RecordType::kObject, 36, 0, 45, 45},
      {RecordType::kWrite, 0, 32, 131072, 131072},
      {RecordType::kWrite, 0, 96, 4097, 4097, 50, 15},
      {RecordType::kWrite, 0, 96, 4097, 0, 50, 0},
      {RecordType::kSpill, 0, 16, 512, 512},
      {RecordType::kSpill, 0, 40, 511, 511},
      {RecordType::kWriteEmbedded, 52, 0, 77, 80},
      {RecordType::kEnd, 0, 40, 1u << 30, 0},
      {RecordType::kFreeObjects, 0, 16, 1u << 30, 0},
      {RecordType::kFree, 0, 24, ~std::uint64_t{0}, 0},
      {RecordType::kWriteByref, 0, 24, 131072, 0},
      {RecordType::kObjectRange, 0, 16, 32, 0},
      {RecordType::kRedact, 0, 24, 131072, 0},
  };
  int compared = 0;
  for (const Case& c : cases) {
    for (bool swapped : {false, true}) {
      Header header = header_of(c.type, swapped);
      if (c.u32_at != 0) set(header, c.u32_at, static_cast<std::uint32_t>(c.value), swapped);
      if (c.u64_at != 0) set(header, c.u64_at, c.value, swapped);
      if (c.byte_at != 0) header[c.byte_at] = std::byte{c.byte};
      const auto record = decode_record(header, swapped);
      ASSERT_TRUE(record) << record_type_name(c.type);
      EXPECT_EQ(record->type(), c.type);
      EXPECT_EQ(record->payload_bytes, c.expected) << record_type_name(c.type);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 34);
}

TEST(Format, PayloadsBeyondTheirBoundAreRefused) {
  struct Case {
    RecordType type;
    std::size_t u32_at, u64_at;
    std::uint64_t max;
    std::size_t byte_at = 0;
  };
  const std::vector<Case> cases{
      {RecordType::kBegin, 4, 0, limits::kBeginPayloadBytesMax},
      {RecordType::kObject, 28, 0, limits::kOtherPayloadBytesMax},
      {RecordType::kObject, 36, 0, limits::kOtherPayloadBytesMax},
      {RecordType::kWrite, 0, 32, limits::kWritePayloadBytesMax},
      {RecordType::kWrite, 0, 96, limits::kWritePayloadBytesMax, 50},
      {RecordType::kSpill, 0, 16, limits::kOtherPayloadBytesMax},
      {RecordType::kSpill, 0, 40, limits::kOtherPayloadBytesMax},
      {RecordType::kWriteEmbedded, 52, 0, limits::kOtherPayloadBytesMax},
  };
  for (const Case& c : cases) {
    for (bool swapped : {false, true}) {
      auto decoded = [&](std::uint64_t value) {
        Header header = header_of(c.type, swapped);
        if (c.u32_at != 0) set(header, c.u32_at, static_cast<std::uint32_t>(value), swapped);
        if (c.u64_at != 0) set(header, c.u64_at, value, swapped);
        if (c.byte_at != 0) header[c.byte_at] = std::byte{1};
        return decode_record(header, swapped);
      };
      ASSERT_TRUE(decoded(c.max)) << record_type_name(c.type);
      EXPECT_EQ(decoded(c.max)->payload_bytes, c.max);
      const auto beyond = decoded(c.max + 1);
      ASSERT_FALSE(beyond) << record_type_name(c.type);
      EXPECT_EQ(beyond.error().fault, Fault::kStreamDamaged);
      const auto most = decoded(~std::uint64_t{0});
      EXPECT_FALSE(most) << record_type_name(c.type);
    }
  }
}

TEST(Format, FieldsInEitherByteOrder) {
  for (bool swapped : {false, true}) {
    Header header = header_of(RecordType::kBegin, swapped);
    set(header, 8, kBeginMagic, swapped);
    set(header, 16, std::uint64_t{0x11}, swapped);
    set(header, 40, std::uint64_t{0x1111222233334444}, swapped);
    set(header, 48, std::uint64_t{0x5555}, swapped);
    std::fill(header.begin() + 56, header.end(), std::byte{'x'});  // a name without its NUL ends with the header
    const auto begin = decode_record(header, swapped);
    ASSERT_TRUE(begin);
    EXPECT_EQ(begin->magic, kBeginMagic);
    EXPECT_EQ(header_kind(begin->versioninfo), kHeaderSubstream);
    EXPECT_TRUE(has_feature(begin->versioninfo, 2));
    EXPECT_FALSE(has_feature(begin->versioninfo, 3));
    EXPECT_EQ(begin->toguid, 0x1111222233334444u);
    EXPECT_EQ(begin->fromguid, 0x5555u);
    EXPECT_EQ(begin->toname, std::string(256, 'x'));
    EXPECT_TRUE(begin->checksum.is_zero());

    header = header_of(RecordType::kEnd, swapped);
    for (std::uint64_t i = 0; i < 4; ++i) {
      set(header, 8 + 8 * i, i + 1, swapped);
      set(header, 280 + 8 * i, i + 5, swapped);
    }
    const auto end = decode_record(header, swapped);
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->end_checksum.same_value({1, 2, 3, 4, 0}));
    EXPECT_TRUE(end->checksum.same_value({5, 6, 7, 8, 0}));

    header = header_of(RecordType::kWrite, swapped);
    set(header, 8, std::uint64_t{1}, swapped);
    set(header, 24, std::uint64_t{2}, swapped);
    set(header, 32, std::uint64_t{3}, swapped);
    set(header, 40, std::uint64_t{4}, swapped);
    const auto write = decode_record(header, swapped);
    ASSERT_TRUE(write);
    EXPECT_EQ(write->object, 1u);
    EXPECT_EQ(write->offset, 2u);
    EXPECT_EQ(write->length, 3u);
    EXPECT_EQ(write->toguid, 4u);
  }
}

TEST(Format, UnknownTypesAreNoError) {
  Header header{};
  set(header, 0, std::uint32_t{11}, false);
  const auto record = decode_record(header, false);
  ASSERT_TRUE(record);
  EXPECT_FALSE(record->known());
  EXPECT_EQ(record->type_number, 11u);
  EXPECT_EQ(record->payload_bytes, 0u);
}

TEST(Format, BeginIsRecognisedAsEarlyAsItCanBe) {
  for (bool swapped : {false, true}) {
    Header header = header_of(RecordType::kBegin, swapped);
    set(header, 4, std::uint32_t{0x12345678}, swapped);
    set(header, 8, kBeginMagic, swapped);
    for (std::size_t bytes = 0; bytes <= kRecordBytes; ++bytes) {
      const auto match = match_begin(ConstBytes(header).first(bytes), swapped);
      EXPECT_EQ(match, bytes < 16 ? BeginMatch::kMaybe : BeginMatch::kYes) << bytes;
    }
    for (std::size_t wrong : {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15}) {
      Header other = header;
      other[wrong] ^= std::byte{1};
      EXPECT_EQ(match_begin(ConstBytes(other).first(wrong), swapped), BeginMatch::kMaybe);
      EXPECT_EQ(match_begin(ConstBytes(other).first(wrong + 1), swapped), BeginMatch::kNo);
    }
  }
}

}  // namespace
}  // namespace zferry::zstream
