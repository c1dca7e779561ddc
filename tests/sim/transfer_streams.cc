#include "transfer_streams.h"

#include <algorithm>

#include "base/random.h"
#include "unit/zstream/sample_streams.h"
#include "zstream/writer.h"

namespace zferry::transfer {
namespace {

using zstream::StreamWriter;

// Content, and from some place on other content.
struct Content {
  SeededRandom random;
  std::size_t equal_bytes = ~std::size_t{0};
  std::size_t given = 0;
  Repeats* repeats = nullptr;
  SeededRandom& next(std::size_t bytes) {
    if (given < equal_bytes && given + bytes >= equal_bytes) random = SeededRandom(random.below(1u << 30) + 1);
    given += bytes;
    return random;
  }
};

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

std::vector<std::byte> opaque_stream(Content& content, std::size_t bytes) {
  if (content.repeats == nullptr) return mixed_bytes(content.random, bytes);
  std::vector<std::byte> out;
  while (out.size() < bytes) {
    const std::vector<std::byte> piece = content.repeats->next(content.random, 8 * (1 + content.random.below(1000)));
    out.insert(out.end(), piece.begin(), piece.end());
  }
  out.resize(bytes);
  return out;
}

void write_substream(StreamWriter& writer, Content& content, std::uint64_t guid, std::size_t bytes,
                     bool incompressible) {
  writer.begin({.features = incompressible ? 1u << 22 : 0u, .toguid = guid, .toname = "tank/sim@1"});
  writer.object(1, payload(content.random, 40));
  for (std::size_t written = 0; written < bytes;) {
    std::size_t length = content.random.below(8000);
    SeededRandom& random = content.next(length + 1);
    std::vector<std::byte> data =
        content.repeats == nullptr ? payload(random, length) : content.repeats->next(random, 8 * (1 + length / 8));
    if (content.random.chance(0.2)) {
      writer.free(1, written, data.size());
    } else {
      writer.write(1, written, data.size(), data);
    }
    written += data.size() + 312;
  }
  writer.end();
}

std::vector<std::byte> zfs_stream(const Scenario& scenario, Content& content) {
  StreamWriter writer;
  write_substream(writer, content, scenario.seed + 1, scenario.stream_bytes, scenario.incompressible);
  return writer.take();
}

std::vector<std::byte> compound_stream(const Scenario& scenario, Content& content, bool whole) {
  using zstream::testing::Filesystem;
  std::vector<Filesystem> filesystems{{"tank/h", {{"1", 11}, {"2", 12}}}, {"tank/h/a", {{"2", scenario.seed + 100}}}};
  StreamWriter writer;
  writer.begin({.header_kind = zstream::kHeaderCompound, .toname = "tank/h@2"},
               zstream::testing::outer_list(zstream::testing::NvlistBuilder::Encoding::kXdr, "2", filesystems));
  writer.end();
  for (std::uint64_t guid : {std::uint64_t{11}, std::uint64_t{12}, scenario.seed + 100}) {
    if (guid == 12 && !whole) continue;
    write_substream(writer, content, guid, scenario.stream_bytes / 3, scenario.incompressible);
  }
  writer.end_compound();
  return writer.take();
}

std::vector<std::byte> make(const Scenario& scenario, Content& content) {
  SeededRandom& random = content.random;
  std::vector<std::byte> bytes;
  switch (scenario.stream) {
    case Stream::kEmpty: return bytes;
    case Stream::kOpaque: return opaque_stream(content, 1 + scenario.stream_bytes);
    case Stream::kZfs: return zfs_stream(scenario, content);
    case Stream::kCompound: return compound_stream(scenario, content, true);
    case Stream::kMissingSnapshot: return compound_stream(scenario, content, false);
    case Stream::kDamaged:
      bytes = zfs_stream(scenario, content);
      // In the payload of the first OBJECT record, or in some later byte that a checksum covers.
      bytes[312 + 312 + 8 + random.below(32)] ^= std::byte{1} << random.below(8);
      return bytes;
    default: {
      bytes = random.chance(0.5) ? zfs_stream(scenario, content) : compound_stream(scenario, content, true);
      bytes.resize(400 + random.below(bytes.size() - 400));
      return bytes;
    }
  }
}

}  // namespace

std::vector<std::byte> make_stream(const Scenario& scenario, std::uint64_t content_seed, Repeats* repeats) {
  Content content{.random = SeededRandom(content_seed), .repeats = repeats};
  return make(scenario, content);
}

std::vector<std::byte> make_changed_stream(const Scenario& scenario, std::uint64_t content_seed, double equal_share) {
  Content content{.random = SeededRandom(content_seed)};
  auto equal = static_cast<std::size_t>(equal_share * static_cast<double>(scenario.stream_bytes));
  content.equal_bytes = equal + 1;
  std::vector<std::byte> bytes = make(scenario, content);
  if (scenario.stream != Stream::kOpaque) return bytes;
  SeededRandom other(content_seed + 77);
  if (other.chance(0.5)) bytes.resize(std::max<std::size_t>(equal, 1) + other.below(2 * bytes.size()));
  if (bytes.size() > equal) other.fill(Bytes(bytes).subspan(equal));
  return bytes;
}

}  // namespace zferry::transfer
