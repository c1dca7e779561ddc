// Streams of our own making, interrupted at every write that they hold: the resuming stream must be what the writer of
// streams makes of the same records, whatever pieces the original comes in and wherever it was followed to.
#include "zstream/resuming_stream.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/zstream/follow.h"
#include "unit/zstream/resumable_streams.h"

namespace zferry::zstream {
namespace {

using testing::follow;
using testing::make_resumable;
using testing::ResumableShape;
using testing::ResumableStream;

// `next_piece` gives the length of the next piece.
template <class NextPiece>
Result<std::vector<std::byte>> resume(StreamContext before, const ResumeToken& token, ConstBytes rest,
                                      NextPiece next_piece) {
  Result<ResumingStream> stream = ResumingStream::begin(std::move(before), token);
  if (!stream) return stream.take_error();
  std::vector<std::byte> out;
  while (!rest.empty()) {
    const ConstBytes piece = rest.first(std::min<std::size_t>(next_piece(), rest.size()));
    if (Status status = stream->feed(piece, out); !status) return status.take_error();
    rest = rest.subspan(piece.size());
  }
  return out;
}

Result<std::vector<std::byte>> resume(const ResumeToken& token, ConstBytes whole, std::size_t piece = 1u << 20) {
  return resume(StreamContext(), token, whole, [=] { return piece; });
}

std::vector<ResumableShape> shapes() {
  std::vector<ResumableShape> all;
  for (bool swapped : {false, true}) {
    for (bool raw : {false, true}) {
      for (bool increment : {false, true}) all.push_back({.swapped = swapped, .raw = raw, .increment = increment});
    }
  }
  return all;
}

TEST(ResumingStream, AtEveryWriteInAnyPieces) {
  SeededRandom random(71);
  int compared = 0;
  std::uint64_t checksums = 0;
  for (ResumableShape shape : shapes()) {
    shape.objects = 30;
    const ResumableStream stream = make_resumable(random, shape);
    ASSERT_TRUE(follow(stream.bytes).ok());
    for (std::size_t write : stream.writes()) {
      const ResumeToken token = stream.token(write);
      const auto expected = stream.resumed(token, write);
      for (const std::size_t bound : {std::size_t{1} << 20, std::size_t{1000}, std::size_t{7}}) {
        const auto made = resume(StreamContext(), token, stream.bytes, [&] { return 1 + random.below(bound); });
        ASSERT_TRUE(made) << made.error().what;
        ASSERT_EQ(*made, expected);
        ++compared;
      }
      const auto byte_by_byte = resume(token, stream.bytes, 1);
      ASSERT_TRUE(byte_by_byte);
      ASSERT_EQ(*byte_by_byte, expected);
      ++compared;
      const auto followed = follow(expected);
      ASSERT_TRUE(followed.ok()) << followed.error().what;
      checksums += followed.compared;
    }
  }
  EXPECT_GT(compared, 1000);
  EXPECT_GT(checksums, 10000u);
  std::printf("%d resuming streams compared, %llu checksums in them\n", compared,
              static_cast<unsigned long long>(checksums));
}

// Followed as far as any byte, saved, restored, and fed from there.
TEST(ResumingStream, FromAnyByteOn) {
  SeededRandom random(72);
  int resumed = 0, refused = 0;
  for (const ResumableShape& shape : shapes()) {
    const ResumableStream stream = make_resumable(random, shape);
    const auto writes = stream.writes();
    ASSERT_GT(writes.size(), 5u);
    StreamContext context;
    for (std::size_t at = 0; at <= stream.bytes.size(); ++at) {
      if (at > 0) context.follow(ConstBytes(stream.bytes).subspan(at - 1, 1));
      ASSERT_TRUE(context.resumable());
      const auto saved = context.save();
      auto restored = StreamContext::restore(saved);
      ASSERT_TRUE(restored) << at;
      ASSERT_EQ(restored->save(), saved);
      // The write at which ZFS stopped is the first record that must not have been followed: its header says which it
      // is.
      for (std::size_t write : writes) {
        ASSERT_EQ(restored->lies_before(stream.token(write)), at < stream.records[write].header_end) << at;
      }
      const std::size_t write = writes[random.below(writes.size())];
      const ResumeToken token = stream.token(write);
      const bool before = restored->lies_before(token);
      const auto made = resume(std::move(*restored), token, ConstBytes(stream.bytes).subspan(at),
                               [&] { return 1 + random.below(3000); });
      ASSERT_EQ(made.ok(), before) << at;
      if (made) {
        ASSERT_EQ(*made, stream.resumed(token, write)) << at;
        ++resumed;
      } else {
        EXPECT_EQ(made.error().fault, Fault::kStreamDamaged);
        ++refused;
      }
    }
  }
  EXPECT_GT(resumed, 30000);
  EXPECT_GT(refused, 30000);
  std::printf("%d resumed, %d refused\n", resumed, refused);
}

// Before ZFS has written anything its token says object 1, offset 0.
TEST(ResumingStream, BeforeTheFirstWrite) {
  SeededRandom random(73);
  int compared = 0;
  for (const ResumableShape& shape : shapes()) {
    const ResumableStream stream = make_resumable(random, shape);
    const ResumeToken token = stream.first_token();
    // The first record that is neither FREEOBJECTS of 0 nor at the head of object 1.
    std::size_t first = 0;
    while (stream.records[first].object < 1 || stream.records[first].role == ResumableStream::Role::kHead) ++first;
    ASSERT_EQ(stream.records[first].object, 1u);
    const auto made = resume(token, stream.bytes, 50);
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(*made, stream.resumed(token, first));
    ++compared;
  }
  EXPECT_EQ(compared, 8);
}

// Nothing of object 1 changed: ZFS begins with what comes first.
TEST(ResumingStream, BeforeTheFirstWriteOfAnIncrementWithoutObjectOne) {
  StreamWriter writer;
  writer.begin({.features = 4, .toguid = 5, .fromguid = 6, .toname = "t@s"});
  writer.free_objects(7, 2);
  writer.object(9, {});
  writer.write(9, 512, 8, std::vector<std::byte>(8));
  writer.end();
  const auto original = writer.take();
  const auto made = resume({.object = 1, .offset = 0, .toguid = 5, .fromguid = 6, .toname = "t@s"}, original);
  ASSERT_TRUE(made) << made.error().what;
  const auto followed = follow(*made);
  ASSERT_TRUE(followed.ok()) << followed.error().what;
  EXPECT_EQ(followed.compared, 5u);
  EXPECT_EQ(made->size(), original.size() + 96);
}

// What ZFS is given after an interruption is a resuming stream itself, and can be interrupted and stored as well.
TEST(ResumingStream, OfAResumingStream) {
  SeededRandom random(74);
  int compared = 0;
  for (const ResumableShape& shape : shapes()) {
    const ResumableStream stream = make_resumable(random, shape);
    const auto writes = stream.writes();
    const auto once = stream.resumed(stream.token(writes[2]), writes[2]);
    for (std::size_t i = 2; i < writes.size(); ++i) {
      const auto twice = resume(stream.token(writes[i]), once, 999);
      ASSERT_TRUE(twice) << twice.error().what;
      ASSERT_EQ(*twice, stream.resumed(stream.token(writes[i]), writes[i]));
      ++compared;
    }
    EXPECT_FALSE(resume(stream.token(writes[1]), once));  // that place is gone
  }
  EXPECT_GT(compared, 50);
}

void expect_fault(const Result<std::vector<std::byte>>& made, Fault fault, std::string_view why) {
  ASSERT_FALSE(made) << "expected: " << why;
  EXPECT_EQ(made.error().fault, fault) << made.error().what;
  EXPECT_NE(made.error().what.find(why), std::string::npos) << made.error().what;
  EXPECT_FALSE(made.error().next.empty());
}

TEST(ResumingStream, RefusesAnotherStream) {
  SeededRandom random(75);
  const ResumableStream stream = make_resumable(random, {.increment = true});
  const std::size_t write = stream.writes()[4];
  auto with = [&](auto change) {
    ResumeToken token = stream.token(write);
    change(token);
    return resume(token, stream.bytes, 100);
  };
  expect_fault(with([](ResumeToken& t) { t.toguid += 1; }), Fault::kDifferentStream, "of another stream");
  expect_fault(with([](ResumeToken& t) { t.fromguid = 0; }), Fault::kDifferentStream, "in full");
  expect_fault(with([](ResumeToken& t) { t.raw = true; }), Fault::kDifferentStream, "raw");
  expect_fault(with([](ResumeToken& t) {
                 t.toname = "\x1b";
                 t.toguid = 1;
               }),
               Fault::kDifferentStream, "\\x1b");
  expect_fault(with([](ResumeToken& t) { t.offset += 1; }), Fault::kDifferentStream, "no write at the place");
  expect_fault(with([](ResumeToken& t) { t.object = 1u << 30; }), Fault::kDifferentStream, "no write at the place");
  StreamContext context;
  context.follow(ConstBytes(stream.bytes).first(400));
  ResumeToken other = stream.token(write);
  other.toguid += 1;
  EXPECT_FALSE(context.lies_before(other));
  expect_fault(resume(std::move(context), other, {}, [] { return 1; }), Fault::kDifferentStream, "of another stream");
}

TEST(ResumingStream, RefusesWhatCannotBeResumed) {
  ResumeToken token{.object = 9, .offset = 0, .toguid = 0x1234, .fromguid = 7, .toname = "t@s"};
  SeededRandom random(76);
  auto expect_unfit = [&](ConstBytes bytes, std::string_view why) {
    expect_fault(resume(token, bytes, 100), Fault::kStreamDamaged, why);
    StreamContext context;
    context.follow(bytes);
    EXPECT_FALSE(context.resumable()) << why;
    EXPECT_FALSE(context.lies_before(token));
    auto restored = StreamContext::restore(context.save());
    ASSERT_TRUE(restored);
    EXPECT_FALSE(restored->resumable()) << why;
    expect_fault(resume(std::move(*restored), token, {}, [] { return 1; }), Fault::kStreamDamaged, why);
  };
  expect_unfit(std::vector<std::byte>(400), "no ZFS stream");
  StreamWriter writer;
  writer.begin({.header_kind = kHeaderCompound, .toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  expect_unfit(writer.take(), "compound");
  writer.begin({.features = 1, .toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  expect_unfit(writer.take(), "deduplicated");
  testing::write_all_types(writer, random, "t@s", 0x1234, 100);
  expect_unfit(writer.take(), "deduplicated");  // it holds a WRITE_BYREF
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  expect_unfit(writer.take(), "more than one snapshot");
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  writer.object(5, std::vector<std::byte>(600 << 10));
  writer.spill(5, 600 << 10, std::vector<std::byte>(600 << 10));
  expect_unfit(writer.take(), "the head of object 5");
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"}, std::vector<std::byte>(600 << 10));
  expect_unfit(writer.take(), "its BEGIN");
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  writer.write(0, 512, 8, std::vector<std::byte>(8));
  writer.write(0, 0, 8, std::vector<std::byte>(8));
  expect_unfit(writer.take(), "backwards");
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  writer.end();
  auto unknown = writer.take();
  store_at(Bytes(unknown), kRecordBytes, std::uint32_t{11});
  expect_unfit(unknown, "unknown type 11");
  token.object = 1;
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  writer.end();
  writer.begin({.toguid = 0x1234, .fromguid = 7, .toname = "t@s"});
  expect_unfit(writer.take(), "more follows");
}

TEST(ResumingStream, DamagedListOfBeginIsRefused) {
  StreamWriter writer;
  writer.begin({.toguid = 5, .toname = "t@s"}, std::vector<std::byte>(16, std::byte{9}));
  writer.object(1, {});
  writer.write(1, 0, 8, std::vector<std::byte>(8));
  expect_fault(resume({.object = 1, .offset = 0, .toguid = 5, .toname = "t@s"}, writer.take()), Fault::kStreamDamaged,
               "name-value list");
}

// Whatever a damaged stream makes of it, nothing breaks; after an error only the error comes.
TEST(ResumingStream, DamagedOriginals) {
  SeededRandom random(77);
  int refused = 0, made = 0;
  for (const ResumableShape& shape : shapes()) {
    const ResumableStream stream = make_resumable(random, shape);
    const auto writes = stream.writes();
    for (int round = 0; round < 300; ++round) {
      auto damaged = stream.bytes;
      for (int i = 0; i < 3; ++i) {  // headers are what counts
        const auto& record = stream.records[random.below(stream.records.size())];
        damaged[record.start + random.below(round % 2 == 0 ? 64 : kRecordBytes)] =
            static_cast<std::byte>(random.below(256));
      }
      auto begun = ResumingStream::begin(StreamContext(), stream.token(writes[random.below(writes.size())]));
      ASSERT_TRUE(begun);
      std::vector<std::byte> out;
      const Status status = begun->feed(damaged, out);
      if (status) {
        ++made;
        continue;
      }
      ++refused;
      const std::size_t bytes = out.size();
      const Status again = begun->feed(stream.bytes, out);
      ASSERT_FALSE(again);
      EXPECT_EQ(again.error().what, status.error().what);
      EXPECT_EQ(out.size(), bytes);
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(made, 100);
}

}  // namespace
}  // namespace zferry::zstream
