// A walker that was saved and restored does what it would have done: at every cut of small streams, at many of large
// ones. And bytes that no walker saved are refused, or at least walked on safely.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/limits.h"
#include "unit/zstream/real_streams.h"
#include "unit/zstream/sample_streams.h"
#include "unit/zstream/two_walkers.h"

namespace zferry::zstream {
namespace {

namespace fs = std::filesystem;
using testing::NvlistBuilder;
using testing::Sample;
using testing::TwoWalkers;
using Blob = std::vector<std::byte>;

Blob joined(std::initializer_list<ConstBytes> parts) {
  Blob all;
  for (ConstBytes part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// A compound stream that lacks some of what its list names, with names that need escaping.
Blob replication(const std::vector<std::uint64_t>& sent, NvlistBuilder::Encoding encoding) {
  StreamWriter writer;
  std::vector<testing::Filesystem> filesystems;
  for (std::uint64_t i = 0; i < 9; ++i)
    filesystems.push_back({"tank/\x1b" + std::to_string(i), {{"1", 10 * i}, {"2", 10 * i + 1}}});
  filesystems.push_back({"tank/twin", {{"2", 11}}});
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank@2"}, outer_list(encoding, "2", filesystems));
  writer.end();
  for (const std::uint64_t guid : sent) {
    writer.begin({.toguid = guid, .toname = "tank/\x7f@" + std::to_string(guid)});
    writer.write(1, 0, 4, Blob(4 + guid % 4, std::byte{'w'}), 1);
    writer.end();
  }
  writer.end_compound();
  return writer.take();
}

// Everything a walker can meet: whole streams of each shape, and what is no stream, no whole one, or a damaged one.
std::vector<Sample> streams() {
  std::vector<Sample> all = testing::sample_streams();
  auto add = [&all](const std::string& name, Blob bytes) { all.push_back({name, std::move(bytes), {}, 0, 0}); };
  StreamWriter writer;
  writer.begin({.toguid = 5, .toname = "tank/\x1b@s"}, Blob(1001, std::byte{'b'}));
  for (std::size_t bytes : {1, 2, 3, 5}) writer.write(1, 0, 512, Blob(bytes, std::byte{'w'}), 2);
  writer.end();
  const Blob small = writer.take();
  const auto xdr = NvlistBuilder::Encoding::kXdr, native = NvlistBuilder::Encoding::kNativeSwapped;
  const Blob partial = replication({11, 21}, xdr);
  SeededRandom random(1);
  add("small", small);
  add("nothing", {});
  add("zeros", Blob(400));
  add("noise", testing::random_bytes(random, 400));
  add("cut", Blob(small.begin(), small.end() - 200));
  add("small then a cut header", joined({small, ConstBytes(small).first(20)}));
  add("small then zeros", joined({small, Blob(11)}));
  add("small then more zeros", joined({small, Blob(500)}));
  add("partial", partial);
  add("partial, native, twice", joined({replication({1, 11}, native), partial}));
  add("small, compound, small", joined({small, replication({1, 11, 21, 31}, native), small}));
  add("unreadable list", joined({small, [&] {
                                   StreamWriter compound;
                                   compound.begin({.header_kind = kHeaderCompound, .toname = "t@2"},
                                                  Blob(100, std::byte{9}));
                                   return compound.take();
                                 }()}));
  for (const std::uint32_t type : {0, 9, 10, 11, 77}) {  // where a WRITE was
    Blob other = small;
    store_at(Bytes(other), kRecordBytes + 1008, type);
    add("type " + std::to_string(type), std::move(other));
  }
  return all;
}

TEST(WalkerSaved, GoesOnFromEveryCutOfSmallStreams) {
  SeededRandom random(2);
  std::uint64_t cuts = 0, now = 0, not_now = 0, pieces = 0, restores = 0;
  for (const Sample& sample : streams()) {
    SCOPED_TRACE(sample.name);
    const ConstBytes stream(sample.bytes);
    for (std::size_t cut = 0; cut <= stream.size(); cut += stream.size() < 6000 ? 1 : 1 + random.below(200)) {
      TwoWalkers walkers;
      const bool failed = !walkers.one.walk(stream.first(cut)) | !walkers.other.walk(stream.first(cut));
      const bool open = walkers.one.summary().kind == Kind::kZfs && !walkers.one.identified() && cut >= kRecordBytes;
      ASSERT_EQ(walkers.one.save().empty(), failed || open) << cut;
      ++(failed || open ? not_now : now);
      auto differs = walkers.restore();
      ASSERT_FALSE(differs) << cut << ": " << *differs;
      differs = walkers.follow(stream.subspan(cut), random, cut % 3 == 0 ? 100'000 : 1500, cut % 5 == 0 ? 0.5 : 0);
      ASSERT_FALSE(differs) << cut << ": " << *differs;
      ++cuts;
      pieces += walkers.pieces;
      restores += walkers.restores;
    }
  }
  EXPECT_GT(cuts, 30'000u);
  EXPECT_GT(now, 20'000u);
  EXPECT_GT(not_now, 3000u);
  EXPECT_GT(restores, now + cuts / 2) << "one at the cut, one after the end";
  std::printf("%llu cuts, %llu of them saved, %llu pieces compared, %llu restores\n",
              static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(now),
              static_cast<unsigned long long>(pieces), static_cast<unsigned long long>(restores));
}

TEST(WalkerSaved, ManyHandsByteByByte) {
  SeededRandom random(3);
  std::uint64_t restores = 0;
  for (const Sample& sample : streams()) {
    SCOPED_TRACE(sample.name);
    TwoWalkers walkers;
    const auto differs = walkers.follow(sample.bytes, random, sample.bytes.size() < 6000 ? 1 : 40, 1);
    ASSERT_FALSE(differs) << *differs;
    restores += walkers.restores;
  }
  EXPECT_GT(restores, 30'000u);
}

void go_on_in(const fs::path& folder, int streams_min) {
  SeededRandom random(4);
  int streams = 0;
  std::uint64_t cuts = 0, pieces = 0, restores = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().string().ends_with(".zstream.zst")) continue;
    SCOPED_TRACE(entry.path());
    const Blob stream = testing::unpacked(entry.path());
    for (int i = 0; i < 12; ++i, ++cuts) {
      const ConstBytes before = ConstBytes(stream).first(random.below(stream.size() + 1));
      TwoWalkers walkers;
      ASSERT_TRUE(walkers.one.walk(before) && walkers.other.walk(before));
      auto differs = walkers.restore();
      ASSERT_FALSE(differs) << *differs;
      differs = walkers.follow(ConstBytes(stream).subspan(before.size()), random, 2 * limits::kBlockBytesMax, 0.2);
      ASSERT_FALSE(differs) << before.size() << ": " << *differs;
      EXPECT_TRUE(walkers.other.finish());
      pieces += walkers.pieces;
      restores += walkers.restores;
    }
    ++streams;
  }
  EXPECT_GE(streams, streams_min);
  EXPECT_GE(restores, cuts);
  std::printf("%d streams, %llu cuts, %llu pieces compared, %llu restores\n", streams,
              static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(pieces),
              static_cast<unsigned long long>(restores));
}

TEST(WalkerSaved, GoesOnInRealStreams) { go_on_in(fs::path(ZFERRY_TEST_DATA) / "data" / "streams", 2); }

TEST(WalkerSaved, GoesOnInTheSharedStreams) {
  const fs::path folder = testing::shared() / "streams";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no " << folder << ": the larger real streams are not gone on with";
  go_on_in(folder, 15);
}

// The second of two compound streams, whose list is as long as one may be: the identity is the first one's.
TEST(WalkerSaved, TheLongestListFits) {
  std::vector<testing::Filesystem> filesystems;
  auto list_of = [&filesystems](std::size_t count) {
    filesystems.resize(std::min(filesystems.size(), count));
    while (filesystems.size() < count) {
      const std::uint64_t guid = 100'000 + filesystems.size();
      filesystems.push_back({"f" + std::to_string(guid), {{"2", guid}}});
    }
    return outer_list(NvlistBuilder::Encoding::kXdr, "2", filesystems);
  };
  const std::size_t one = list_of(1).size(), each = list_of(2).size() - one;
  const Blob list = list_of(1 + (limits::kOuterListBytesMax - one) / each);
  ASSERT_LE(list.size(), limits::kOuterListBytesMax);
  ASSERT_GT(list.size() + each, limits::kOuterListBytesMax);
  StreamWriter writer;
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank@1"});
  writer.end();
  writer.end_compound();
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank@2"}, list);
  writer.end();
  writer.begin({.toguid = 100'001, .toname = "f100001@2"});
  writer.end();
  writer.end_compound();
  const Blob stream = writer.take();
  SeededRandom random(5);
  const std::size_t list_end = 4 * kRecordBytes + list.size();
  int compared = 0;
  for (const std::size_t cut : {list_end - list.size() + 99'999, list_end - 1, list_end, list_end + 2 * kRecordBytes}) {
    TwoWalkers walkers;
    ASSERT_TRUE(walkers.one.walk(ConstBytes(stream).first(cut)) && walkers.other.walk(ConstBytes(stream).first(cut)));
    const std::size_t saved_bytes = walkers.one.save().size();
    EXPECT_LE(saved_bytes, kSavedWalkerBytesMax);
    EXPECT_GE(saved_bytes, cut < list_end ? cut - (list_end - list.size()) : list.size());
    auto differs = walkers.restore();
    ASSERT_FALSE(differs) << *differs;
    differs = walkers.follow(ConstBytes(stream).subspan(cut), random, 16 * limits::kBlockBytesMax, 0);
    ASSERT_FALSE(differs) << *differs;
    EXPECT_EQ(walkers.other.summary().missing_snapshots, filesystems.size() - 1);
    ++compared;
  }
  EXPECT_EQ(compared, 4);
}

// What was saved at some places of some streams.
std::vector<Blob> saved_states() {
  std::vector<Blob> states;
  SeededRandom random(6);
  for (const Sample& sample : streams()) {
    for (int i = 0; i < 4; ++i) {
      RecordWalker walker;
      if (!walker.walk(ConstBytes(sample.bytes).first(random.below(sample.bytes.size() + 1)))) continue;
      if (Blob saved = walker.save(); !saved.empty()) states.push_back(std::move(saved));
    }
  }
  return states;
}

TEST(WalkerSaved, OtherLengthsAndVersionsAreRefused) {
  std::uint64_t refused = 0;
  auto refuse = [&refused](ConstBytes saved) {
    const Result<RecordWalker> restored = RecordWalker::restore(saved);
    ASSERT_FALSE(restored);
    ASSERT_EQ(restored.error().fault, Fault::kStoreFailed);
    ++refused;
  };
  const std::vector<Blob> states = saved_states();
  for (const Blob& saved : states) {
    for (std::size_t bytes = 0; bytes < saved.size(); ++bytes)
      refuse(Blob(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(bytes)));
    refuse(joined({saved, Blob(1)}));
    Blob newer = saved;
    newer[0] = std::byte{2};
    refuse(newer);
  }
  EXPECT_GT(states.size(), 50u);
  EXPECT_GT(refused, 30'000u);
}

TEST(WalkerSaved, DamageIsRefusedOrWalkedOnSafely) {
  SeededRandom random(7);
  const Blob rest = replication({11, 21}, NvlistBuilder::Encoding::kXdr);
  std::uint64_t refused = 0, walked = 0;
  for (const Blob& saved : saved_states()) {
    for (int round = 0; round < 300; ++round) {
      Blob damaged = saved;
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips)
        damaged[random.below(damaged.size())] = static_cast<std::byte>(random.below(round % 2 == 0 ? 4 : 256));
      Result<RecordWalker> one = RecordWalker::restore(damaged), other = RecordWalker::restore(damaged);
      ASSERT_EQ(one.ok(), other.ok());
      if (!one) {
        ASSERT_EQ(one.error().fault, Fault::kStoreFailed);
        ++refused;
        continue;
      }
      TwoWalkers walkers{std::move(*one), std::move(*other)};
      const auto differs = walkers.follow(ConstBytes(rest).subspan(random.below(rest.size())), random, 3000, 0.5);
      ASSERT_FALSE(differs) << *differs;
      ++walked;
    }
  }
  EXPECT_GT(refused, 3000u);
  EXPECT_GT(walked, 3000u);
}

}  // namespace
}  // namespace zferry::zstream
