// Real send streams, kept compressed: each with what `zstream dump` counted in it. A few small ones lie in
// tests/data/streams; more are taken from $ZFERRY_SHARED/streams where that exists.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/limits.h"
#include "unit/zstream/follow.h"
#include "unit/zstream/real_streams.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::zstream {
namespace {

namespace fs = std::filesystem;
using testing::follow;
using testing::Followed;
using testing::read_text;
using testing::shared;
using testing::unpacked;

// "Total DRR_WRITE records = 753 (…)" and the like, by what stands between "Total " and " = ".
std::map<std::string, std::uint64_t> totals(const fs::path& dump) {
  std::map<std::string, std::uint64_t> found;
  std::istringstream lines(read_text(dump));
  for (std::string line; std::getline(lines, line);) {
    const auto start = line.find("Total "), equals = line.find(" = ");
    if (start == std::string::npos || equals == std::string::npos) continue;
    found[line.substr(start + 6, equals - start - 6)] = std::stoull(line.substr(equals + 3));
  }
  return found;
}

// What zstream names must be equal. The one of zfs-fuse leaves WRITE_BYREF out of its counts.
int expect_totals(const WalkSummary& summary, const std::map<std::string, std::uint64_t>& expected) {
  int compared = 0;
  auto expect = [&](const std::string& key, std::uint64_t value) {
    if (const auto at = expected.find(key); at != expected.end()) {
      EXPECT_EQ(value, at->second) << key;
      ++compared;
    }
  };
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < kRecordTypes; ++i) {
    expect("DRR_" + std::string(record_type_name(static_cast<RecordType>(i))) + " records", summary.records[i]);
    records += summary.records[i];
  }
  const std::uint64_t byrefs = summary.records[static_cast<std::size_t>(RecordType::kWriteByref)];
  expect("records", expected.contains("DRR_WRITE_BYREF records") ? records : records - byrefs);
  expect("payload size", summary.payload_bytes);
  expect("stream length", summary.stream_bytes);
  return compared;
}

// zfs-fuse stores nothing but the END's own. libzfs leaves the place at 280 empty in the two ENDs of a compound stream
// that it makes itself, and the own one in the last of them.
std::uint64_t expected_checksums(const std::string& name, const WalkSummary& summary) {
  if (name.starts_with("fuse")) return 1;
  std::uint64_t records = 0;
  for (std::uint64_t count : summary.records) records += count;
  const std::uint64_t begins = summary.records[0], ends = summary.records[static_cast<std::size_t>(RecordType::kEnd)];
  return summary.compound ? records - begins - 2 + ends - 1 : records - begins + ends;
}

void check_folder(const fs::path& folder, int streams_min) {
  SeededRandom random(51);
  int streams = 0;
  std::uint64_t checksums = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".zstream.zst")) continue;
    const std::string name = file.substr(0, file.size() - 12);
    SCOPED_TRACE(name);
    const auto stream = unpacked(entry.path());
    const auto expected = totals(folder / (name + ".dump.txt"));
    ASSERT_FALSE(expected.empty());
    std::optional<std::array<std::byte, 32>> identity;
    const std::uint64_t bound = 1 + random.below(100000);
    for (const auto& pieces : {std::function<std::size_t()>([&] { return stream.size(); }),
                               std::function<std::size_t()>([] { return limits::kBlockBytesMax; }),
                               std::function<std::size_t()>([&] { return 1 + random.below(bound); })}) {
      const Followed followed = follow(stream, pieces);
      ASSERT_TRUE(followed.ok()) << followed.error().what;
      EXPECT_EQ(followed.summary.kind, Kind::kZfs);
      EXPECT_FALSE(followed.summary.opaque_rest);
      EXPECT_FALSE(followed.summary.byte_swapped);
      EXPECT_GE(expect_totals(followed.summary, expected), 7);
      EXPECT_EQ(followed.compared, expected_checksums(name, followed.summary));
      EXPECT_EQ(followed.summary.compound, name.starts_with("rep-") || name == "inc-I");
      ASSERT_TRUE(followed.identity);
      EXPECT_EQ(*followed.identity, identity.value_or(*followed.identity));
      identity = followed.identity;
      checksums += followed.compared;
    }
    ++streams;
  }
  EXPECT_GE(streams, streams_min);
  std::printf("%d streams, %llu checksums found right\n", streams, static_cast<unsigned long long>(checksums));
}

TEST(RealStreams, OfTheTestData) { check_folder(fs::path(ZFERRY_TEST_DATA) / "data" / "streams", 2); }

TEST(RealStreams, OfTheSharedFolder) {
  const fs::path folder = shared() / "streams";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no " << folder << ": the larger real streams are not checked";
  check_folder(folder, 15);
}

TEST(RealStreams, AByteFlippedAnywhereIsFound) {
  const auto stream = unpacked(fs::path(ZFERRY_TEST_DATA) / "data" / "streams" / "inc-frees.zstream.zst");
  SeededRandom random(52);
  for (int round = 0; round < 200; ++round) {
    auto damaged = stream;
    const std::size_t at = 16 + random.below(damaged.size() - 16);
    damaged[at] ^= static_cast<std::byte>(1 + random.below(255));
    const Followed followed = follow(damaged, limits::kBlockBytesMax);
    const Fault fault = followed.error().fault;
    ASSERT_TRUE(fault == Fault::kStreamDamaged || fault == Fault::kStreamIncomplete) << "byte " << at;
  }
}

// A replication stream from which one substream was taken, closed as libzfs closes it.
TEST(RealStreams, AMissingSnapshotOfAReplicationIsFound) {
  const fs::path path = shared() / "streams" / "rep-R.zstream.zst";
  if (!fs::exists(path)) GTEST_SKIP() << "no " << path;
  const auto stream = unpacked(path);
  std::vector<std::size_t> begins;  // of the substreams
  std::size_t at = 0, last_end = 0;
  while (at < stream.size()) {
    const auto record = decode_record(ConstBytes(stream).subspan(at, kRecordBytes), false);
    ASSERT_TRUE(record);
    if (record->type() == RecordType::kBegin && at > 0) begins.push_back(at);
    if (record->type() == RecordType::kEnd) last_end = at;
    at += kRecordBytes + record->payload_bytes;
  }
  ASSERT_EQ(begins.size(), 12u);
  auto cut = stream;
  cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(begins[11]), cut.begin() + static_cast<std::ptrdiff_t>(last_end));
  const Followed followed = follow(cut, limits::kBlockBytesMax);
  ASSERT_TRUE(followed.finish_error);
  EXPECT_EQ(followed.finish_error->fault, Fault::kStreamIncomplete);
  EXPECT_NE(followed.finish_error->what.find("names 1 that did not come: tank/h/a@3"), std::string::npos)
      << followed.finish_error->what;
  EXPECT_EQ(followed.summary.missing_snapshots, 1u);
}

}  // namespace
}  // namespace zferry::zstream
