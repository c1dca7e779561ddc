#include "transfer_streams.h"

#include <algorithm>

#include "base/random.h"
#include "unit/zstream/sample_streams.h"
#include "zstream/writer.h"

namespace zferry::transfer {
namespace {

using zstream::StreamWriter;

// Runs of one byte and runs of noise.
std::vector<std::byte> mixed_bytes(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  for (std::size_t at = 0; at < bytes;) {
    std::size_t run = std::min<std::size_t>(1 + random.below(6000), bytes - at);
    Bytes piece = Bytes(out).subspan(at, run);
    if (random.chance(0.5))
      random.fill(piece);
    else
      std::fill(piece.begin(), piece.end(), static_cast<std::byte>(random.below(256)));
    at += run;
  }
  return out;
}

std::vector<std::byte> payload(SeededRandom& random, std::size_t bytes) {
  return mixed_bytes(random, 8 * (1 + bytes / 8));
}

void write_substream(StreamWriter& writer, SeededRandom& random, std::uint64_t guid, std::size_t bytes,
                     bool incompressible) {
  writer.begin({.features = incompressible ? 1u << 22 : 0u, .toguid = guid, .toname = "tank/sim@1"});
  writer.object(1, payload(random, 40));
  for (std::size_t written = 0; written < bytes;) {
    std::vector<std::byte> data = payload(random, random.below(8000));
    if (random.chance(0.2)) {
      writer.free(1, written, data.size());
    } else {
      writer.write(1, written, data.size(), data);
    }
    written += data.size() + 312;
  }
  writer.end();
}

std::vector<std::byte> zfs_stream(const Scenario& scenario, SeededRandom& random) {
  StreamWriter writer;
  write_substream(writer, random, scenario.seed + 1, scenario.stream_bytes, scenario.incompressible);
  return writer.take();
}

std::vector<std::byte> compound_stream(const Scenario& scenario, SeededRandom& random, bool whole) {
  using zstream::testing::Filesystem;
  std::vector<Filesystem> filesystems{{"tank/h", {{"1", 11}, {"2", 12}}}, {"tank/h/a", {{"2", scenario.seed + 100}}}};
  StreamWriter writer;
  writer.begin({.header_kind = zstream::kHeaderCompound, .toname = "tank/h@2"},
               zstream::testing::outer_list(zstream::testing::NvlistBuilder::Encoding::kXdr, "2", filesystems));
  writer.end();
  for (std::uint64_t guid : {std::uint64_t{11}, std::uint64_t{12}, scenario.seed + 100}) {
    if (guid == 12 && !whole) continue;
    write_substream(writer, random, guid, scenario.stream_bytes / 3, scenario.incompressible);
  }
  writer.end_compound();
  return writer.take();
}

}  // namespace

std::vector<std::byte> make_stream(const Scenario& scenario, std::uint64_t content_seed) {
  SeededRandom random(content_seed);
  std::vector<std::byte> bytes;
  switch (scenario.stream) {
    case Stream::kEmpty: return bytes;
    case Stream::kOpaque: return mixed_bytes(random, 1 + scenario.stream_bytes);
    case Stream::kZfs: return zfs_stream(scenario, random);
    case Stream::kCompound: return compound_stream(scenario, random, true);
    case Stream::kMissingSnapshot: return compound_stream(scenario, random, false);
    case Stream::kDamaged:
      bytes = zfs_stream(scenario, random);
      // In the payload of the first OBJECT record, or in some later byte that a checksum covers.
      bytes[312 + 312 + 8 + random.below(32)] ^= std::byte{1} << random.below(8);
      return bytes;
    default: {
      bytes = random.chance(0.5) ? zfs_stream(scenario, random) : compound_stream(scenario, random, true);
      bytes.resize(400 + random.below(bytes.size() - 400));
      return bytes;
    }
  }
}

}  // namespace zferry::transfer
