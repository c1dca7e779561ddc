#include "unit/zstream/sample_streams.h"

namespace zferry::zstream::testing {

namespace {
constexpr std::uint32_t kBoolean = 1, kNumber = 8, kText = 9, kList = 19;
}

std::vector<std::byte> random_bytes(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  random.fill(out);
  return out;
}

NvlistBuilder::NvlistBuilder(Encoding encoding) : encoding_(encoding) {
  // The build hosts are little-endian, which a natively encoded list says with a 1.
  out_ = {std::byte{encoding == Encoding::kXdr}, std::byte{encoding != Encoding::kNativeSwapped}, std::byte{0},
          std::byte{0}};
  list_header();
}

void NvlistBuilder::u16(std::uint16_t value) {
  if (encoding_ != Encoding::kNative) value = swap_bytes(value);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}
void NvlistBuilder::u32(std::uint32_t value) {
  if (encoding_ != Encoding::kNative) value = swap_bytes(value);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}
void NvlistBuilder::u64(std::uint64_t value) {
  if (encoding_ != Encoding::kNative) value = swap_bytes(value);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}
void NvlistBuilder::characters(std::string_view text) {
  out_.insert(out_.end(), as_bytes(text).begin(), as_bytes(text).end());
}
void NvlistBuilder::pad(std::size_t to) { out_.resize(out_.size() + (to - out_.size() % to) % to); }

void NvlistBuilder::list_header() {
  u32(0);
  u32(1);
}

// XDR pads within the stream, whose start is aligned. Native pads within the pair.
std::size_t NvlistBuilder::start_pair(std::string_view name, std::uint32_t type, std::uint32_t count) {
  const std::size_t start = out_.size();
  if (encoding_ == Encoding::kXdr) {
    u32(0);
    u32(32);
    u32(static_cast<std::uint32_t>(name.size()));
    characters(name);
    pad(4);
    u32(type);
    u32(count);
    return start;
  }
  u32(0);
  u16(static_cast<std::uint16_t>(name.size() + 1));
  u16(0);
  u32(count);
  u32(type);
  characters(name);
  out_.resize(start + (16 + name.size() + 1 + 7) / 8 * 8);
  return start;
}

void NvlistBuilder::end_pair(std::size_t start) {
  if (encoding_ != Encoding::kXdr) out_.resize(start + (out_.size() - start + 7) / 8 * 8);
  auto bytes = static_cast<std::uint32_t>(out_.size() - start);
  store_at(Bytes(out_), start, encoding_ == Encoding::kNative ? bytes : swap_bytes(bytes));
}

NvlistBuilder& NvlistBuilder::number(std::string_view name, std::uint64_t value) {
  const std::size_t start = start_pair(name, kNumber, 1);
  u64(value);
  end_pair(start);
  return *this;
}

NvlistBuilder& NvlistBuilder::text(std::string_view name, std::string_view value) {
  const std::size_t start = start_pair(name, kText, 1);
  if (encoding_ == Encoding::kXdr) {
    u32(static_cast<std::uint32_t>(value.size()));
    characters(value);
    pad(4);
  } else {
    characters(value);
    out_.push_back(std::byte{0});
  }
  end_pair(start);
  return *this;
}

NvlistBuilder& NvlistBuilder::boolean(std::string_view name) {
  end_pair(start_pair(name, kBoolean, 0));
  return *this;
}

NvlistBuilder& NvlistBuilder::open(std::string_view name) {
  const std::size_t start = start_pair(name, kList, 1);
  if (encoding_ == Encoding::kXdr) {
    list_header();
    open_.push_back(start);
  } else {
    list_header();
    out_.resize(out_.size() + 16);
    end_pair(start);
  }
  return *this;
}

NvlistBuilder& NvlistBuilder::close() {
  u32(0);
  if (encoding_ == Encoding::kXdr) {
    u32(0);
    end_pair(open_.back());
    open_.pop_back();
  }
  return *this;
}

std::vector<std::byte> NvlistBuilder::finish() {
  u32(0);
  if (encoding_ == Encoding::kXdr) u32(0);
  return out_;
}

std::vector<std::byte> outer_list(NvlistBuilder::Encoding encoding, std::string_view tosnap,
                                  const std::vector<Filesystem>& filesystems) {
  NvlistBuilder list(encoding);
  list.open("fss");
  std::uint64_t key = 0xabc000;
  for (const Filesystem& filesystem : filesystems) {
    list.open("0x" + std::to_string(++key))
        .text("name", filesystem.name)
        .number("parentfromsnap", 0)
        .boolean("is_encroot");
    list.open("props").number(tosnap, 99).text("com.example:tag", "rig").close();
    list.open("snaps");
    for (const Snapshot& snapshot : filesystem.snapshots) list.number(snapshot.name, snapshot.guid);
    list.close();
    list.open("snapprops");
    for (const Snapshot& snapshot : filesystem.snapshots) list.open(snapshot.name).number(tosnap, 77).close();
    list.close();
    list.close();
  }
  list.close();
  list.text("tosnap", tosnap);  // last, as no reader may rely on the order
  return list.finish();
}

void write_all_types(StreamWriter& writer, SeededRandom& random, std::string_view toname, std::uint64_t toguid,
                     std::size_t payload_bytes_max) {
  auto payload = [&] { return random_bytes(random, 8 * (1 + random.below(payload_bytes_max / 8))); };
  writer.begin({.features = 1u << 2,
                .creation_time = 0x6b02e505,
                .toguid = toguid,
                .fromguid = 7,
                .flags = 0xc,
                .toname = toname});
  writer.free_objects(0, 1);
  writer.object(1, random_bytes(random, 44));
  writer.object(2, {});
  auto plain = payload();
  writer.write(1, 0, plain.size(), plain);
  auto compressed = payload();
  writer.write(1, 131072, 2 * compressed.size(), compressed, 15);
  writer.free(1, 262144, ~std::uint64_t{0});
  writer.write_byref(2, 0, 131072);
  auto spill = payload();
  writer.spill(1, spill.size(), spill);
  auto packed_spill = payload();
  writer.spill(2, packed_spill.size() + 512, packed_spill);
  writer.write_embedded(2, 131072, 512, random_bytes(random, 77));
  writer.object_range(32, 32);
  writer.redact(1, 524288, 131072);
  writer.end();
}

namespace {

constexpr std::array<std::uint64_t, kRecordTypes> kAllTypes{1, 2, 1, 2, 1, 1, 1, 2, 1, 1, 1};

// Twelve records of write_all_types() and its END carry a checksum each, and END its own.
constexpr std::uint64_t kAllTypesChecksums = 14;

Sample all_types(const std::string& name, StreamWriter::Options options) {
  StreamWriter writer(options);
  SeededRandom random(1);
  write_all_types(writer, random, "tank/plain@s1", 0x1234, 2048);
  return {name, writer.take(), kAllTypes, options.checksums ? kAllTypesChecksums : 0, 1};
}

// As raw sends make them: payloads that are no multiple of 8, nor of 4.
Sample raw(const std::string& name, StreamWriter::Options options) {
  StreamWriter writer(options);
  SeededRandom random(2);
  writer.begin({.features = std::uint64_t{1} << 24 | 1u << 22, .toguid = 0x77, .toname = "tank/enc@s1"},
               random_bytes(random, 1028));
  writer.object_range(0, 32);
  for (std::size_t bytes : {1, 2, 3, 5, 513, 4095}) {
    writer.object(bytes, random_bytes(random, bytes), true);
    writer.write(bytes, 0, 131072, random_bytes(random, bytes), 2);
    writer.spill(bytes, 8192, random_bytes(random, bytes));
  }
  writer.end();
  Sample sample{name, writer.take(), {}, 21, 1};
  sample.records[static_cast<std::size_t>(RecordType::kBegin)] = 1;
  sample.records[static_cast<std::size_t>(RecordType::kObjectRange)] = 1;
  sample.records[static_cast<std::size_t>(RecordType::kObject)] = 6;
  sample.records[static_cast<std::size_t>(RecordType::kWrite)] = 6;
  sample.records[static_cast<std::size_t>(RecordType::kSpill)] = 6;
  sample.records[static_cast<std::size_t>(RecordType::kEnd)] = 1;
  return sample;
}

Sample compound(const std::string& name, StreamWriter::Options options, const std::vector<std::byte>& list) {
  StreamWriter writer(options);
  SeededRandom random(3);
  writer.begin({.header_kind = kHeaderCompound, .toname = "tank/h@2"}, list);
  writer.end();
  for (std::uint64_t guid : {11, 12, 21, 22}) {
    write_all_types(writer, random, "tank/h@" + std::to_string(guid), guid, 256);
  }
  writer.end_compound();
  Sample sample{name, writer.take(), {}, 4 * kAllTypesChecksums + 2, 4};
  for (std::size_t i = 0; i < kRecordTypes; ++i) sample.records[i] = 4 * kAllTypes[i];
  sample.records[static_cast<std::size_t>(RecordType::kBegin)] += 1;
  sample.records[static_cast<std::size_t>(RecordType::kEnd)] += 2;
  return sample;
}

}  // namespace

std::vector<Sample> sample_streams() {
  using Encoding = NvlistBuilder::Encoding;
  const std::vector<Filesystem> filesystems{
      {"tank/h", {{"1", 11}, {"2", 12}}}, {"tank/h/a", {{"1", 21}, {"2", 22}}}, {"tank/h/b", {{"1", 31}}}};
  std::vector<Sample> samples;
  for (bool swapped : {false, true}) {
    const std::string order = swapped ? "-swapped" : "";
    const StreamWriter::Options options{.swapped = swapped};
    samples.push_back(all_types("all-types" + order, options));
    samples.push_back(all_types("no-checksums" + order, {.swapped = swapped, .checksums = false}));
    samples.push_back(raw("raw" + order, options));
    samples.push_back(compound("compound" + order, options, outer_list(Encoding::kXdr, "2", filesystems)));
    samples.push_back(compound("compound-native" + order, options,
                               outer_list(swapped ? Encoding::kNativeSwapped : Encoding::kNative, "2", filesystems)));
    samples.push_back(compound("compound-without-list" + order, options, {}));
  }
  return samples;
}

}  // namespace zferry::zstream::testing
