// Streams of our own making for the tests, the fuzz corpus and the benchmark of zstream, and packed nvlists for them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "zstream/writer.h"

namespace zferry::zstream::testing {

std::vector<std::byte> random_bytes(SeededRandom& random, std::size_t bytes);

// A packed nvlist under construction, in either encoding. Lists are opened and closed; finish() closes the outermost.
class NvlistBuilder {
 public:
  enum class Encoding { kXdr, kNative, kNativeSwapped };
  explicit NvlistBuilder(Encoding encoding);
  NvlistBuilder& number(std::string_view name, std::uint64_t value);
  NvlistBuilder& text(std::string_view name, std::string_view value);
  NvlistBuilder& boolean(std::string_view name);  // a type that readers of ours pass over
  NvlistBuilder& open(std::string_view name);
  NvlistBuilder& close();
  std::vector<std::byte> finish();

 private:
  void u32(std::uint32_t value);
  void u16(std::uint16_t value);
  void u64(std::uint64_t value);
  void pad(std::size_t to);
  void characters(std::string_view text);
  std::size_t start_pair(std::string_view name, std::uint32_t type, std::uint32_t count);
  void end_pair(std::size_t start);
  void list_header();

  Encoding encoding_;
  std::vector<std::byte> out_;
  std::vector<std::size_t> open_;  // XDR: where the pairs of the open lists began
};

struct Snapshot {
  std::string name;
  std::uint64_t guid;
};
struct Filesystem {
  std::string name;
  std::vector<Snapshot> snapshots;
};
// The list that opens a compound stream.
std::vector<std::byte> outer_list(NvlistBuilder::Encoding encoding, std::string_view tosnap,
                                  const std::vector<Filesystem>& filesystems);

struct Sample {
  std::string name;
  std::vector<std::byte> bytes;
  std::array<std::uint64_t, kRecordTypes> records{};
  std::uint64_t checksums = 0;  // that are there to be compared
  std::uint64_t snapshots = 0;
};

// One substream with every record type, payloads of `payload_bytes_max` at most.
void write_all_types(StreamWriter& writer, SeededRandom& random, std::string_view toname, std::uint64_t toguid,
                     std::size_t payload_bytes_max);
// Streams of each shape: every type, raw payloads of odd lengths, compound with and without a list, no checksums; both
// byte orders.
std::vector<Sample> sample_streams();

}  // namespace zferry::zstream::testing
