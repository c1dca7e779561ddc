// Resuming streams of real send streams: one that ZFS made itself, for a token of its own, and many places of the
// others, where all that can be seen of them without a ZFS must fit.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "unit/zstream/follow.h"
#include "unit/zstream/real_streams.h"
#include "unit/zstream/resumable_streams.h"
#include "zstream/resuming_stream.h"

namespace zferry::zstream {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kToken =
    "1-adaf75602-b8-"
    "789c636064000310a500c4ec50360710e72765a526973030bc6386a8c1904f4b2b4e2d01c9d8c0e5d990e4932a4b528b81b4c3"
    "1423466cfa4bf2d34b335318187e063ce0e539b1214e03499e132c9f97989b0aa413f3b2f50b721233f31c8a0d214e610000b0871851";

std::vector<std::byte> resumed(ConstBytes stream, const ResumeToken& token, std::size_t from) {
  StreamContext context;
  context.follow(stream.first(from));
  EXPECT_TRUE(context.lies_before(token));
  auto restored = StreamContext::restore(context.save());
  EXPECT_TRUE(restored);
  auto begun = ResumingStream::begin(std::move(*restored), token);
  if (!begun) {
    ADD_FAILURE() << begun.error().what;
    return {};
  }
  std::vector<std::byte> out;
  for (ConstBytes rest = stream.subspan(from); !rest.empty();) {
    const ConstBytes piece = rest.first(std::min<std::size_t>(rest.size(), 100003));
    if (Status status = begun->feed(piece, out); !status) {
      ADD_FAILURE() << status.error().what;
      return {};
    }
    rest = rest.subspan(piece.size());
  }
  return out;
}

TEST(RealResuming, IsWhatZfsMade) {
  const fs::path folder = testing::shared() / "streams";
  if (!fs::exists(folder / "resumed-plain.zstream.zst")) GTEST_SKIP() << "no resumed-plain in " << folder;
  const auto whole = testing::unpacked(folder / "full-plain.zstream.zst");
  const auto made_by_zfs = testing::unpacked(folder / "resumed-plain.zstream.zst");
  const auto token = decode_resume_token(kToken);
  ASSERT_TRUE(token);
  for (std::size_t from :
       {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{10000000}, std::size_t{19922944}}) {
    EXPECT_TRUE(resumed(whole, *token, from) == made_by_zfs) << from;
  }
}

struct Write {
  std::uint64_t object, offset;
  std::size_t start;
};

std::vector<Write> writes_of(ConstBytes stream) {
  std::vector<Write> writes;
  for (std::size_t at = 0; at < stream.size();) {
    const auto record = decode_record(stream.subspan(at, kRecordBytes), false);
    if (!record || !record->known()) return {};
    if (record->is(RecordType::kWrite) || record->is(RecordType::kWriteEmbedded)) {
      writes.push_back({record->object, record->offset, at});
    }
    at += kRecordBytes + static_cast<std::size_t>(record->payload_bytes);
  }
  return writes;
}

// What follows the place must come as it is, and nothing else but a head of a few records.
void check_place(ConstBytes stream, const Write& write, const WalkSummary& summary, bool raw) {
  const ResumeToken token{.object = write.object,
                          .offset = write.offset,
                          .toguid = summary.toguid,
                          .fromguid = summary.fromguid,
                          .toname = summary.toname,
                          .raw = raw};
  const auto out = resumed(stream, token, write.start);
  EXPECT_EQ(resumed(stream, token, 0), out);
  const auto followed = testing::follow(out);
  ASSERT_TRUE(followed.ok()) << followed.error().what;
  EXPECT_EQ(followed.summary.toguid, summary.toguid);
  const std::size_t tail = stream.size() - write.start;
  ASSERT_GT(out.size(), tail);
  EXPECT_LT(out.size() - tail, 16384u);
  const std::size_t begin = out.size() - tail;
  // The first record of the tail up to its checksum, and its payload.
  EXPECT_TRUE(std::equal(out.begin() + static_cast<std::ptrdiff_t>(begin),
                         out.begin() + static_cast<std::ptrdiff_t>(begin + kChecksumOffset),
                         stream.begin() + static_cast<std::ptrdiff_t>(write.start)));
}

TEST(RealResuming, OfTheSharedStreams) {
  const fs::path folder = testing::shared() / "streams";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no " << folder;
  SeededRandom random(91);
  int streams = 0, places = 0, unfit = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".zstream.zst")) continue;
    SCOPED_TRACE(file);
    const auto stream = testing::unpacked(entry.path());
    StreamContext context;
    context.follow(stream);
    const bool one_snapshot =
        !file.starts_with("rep-") && !file.starts_with("inc-I") && !file.starts_with("fuse-dedup");
    EXPECT_EQ(context.resumable(), one_snapshot);
    ++(one_snapshot ? streams : unfit);
    if (!one_snapshot) continue;
    const auto summary = testing::follow(stream).summary;
    const auto writes = writes_of(stream);
    for (int round = 0; round < 3 && !writes.empty(); ++round) {
      check_place(stream, writes[random.below(writes.size())], summary, file.find("raw-w") != std::string::npos);
      ++places;
    }
  }
  EXPECT_GE(streams, 10);
  EXPECT_GE(unfit, 3);
  EXPECT_GE(places, 30);
  std::printf("%d streams, %d places; %d streams that cannot be resumed\n", streams, places, unfit);
}

}  // namespace
}  // namespace zferry::zstream
