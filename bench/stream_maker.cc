// Makes streams for bench/dedup.py, to standard output and from a seed alone: a full send stream of a file system or a
// volume, or plain bytes. What a block holds is a function of its number, so that a changed version (--changed,
// --change-seed) has all its other blocks in common with the first one. `stream_maker --help` tells the options.
//
// What deduplication has to carry is as in real streams: a changed version is another snapshot, with another guid in
// every header and other sums; a WRITE's header has its block's checksum, and an OBJECT's bonus its times. One thread.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "zstream/format.h"
#include "zstream/writer.h"

namespace zferry {
namespace {

constexpr std::size_t kPageBytes = 4096;  // the unit of content
constexpr std::size_t kFlushBytes = 1 << 20;
constexpr std::uint64_t kRecordsOfAFile = 512;
constexpr char kUsage[] =
    "usage: stream_maker [--option VALUE]...\n"
    "  --format zfs        zfs: files of 512 records; zvol: one volume; plain: the bytes alone\n"
    "  --bytes N           of content (default 64 MiB); a suffix K, M or G\n"
    "  --record-bytes N    of a block of ZFS: a multiple of 4096 (default 131072)\n"
    "  --seed N            of the content\n"
    "  --changed PERCENT   so many of the blocks are other ones, evenly drawn over the stream (default 0)\n"
    "  --changed-block N   how large those blocks are: a multiple of 4096 (default 131072)\n"
    "  --change-seed N     which blocks change and what they become; every number is another snapshot (default 0: the "
    "first)\n"
    "  --entropy SHARE     of each page, 0 to 1: does not compress; the rest is words (default 1)\n"
    "  --input FILE        carry this content in place of made one; blocks of zeros are holes\n";

enum class Format { kZfs, kZvol, kPlain };

struct Options {
  Format format = Format::kZfs;
  std::uint64_t bytes = 64 << 20;
  std::uint64_t record_bytes = 131072;
  std::uint64_t seed = 1;
  double changed_percent = 0;
  std::uint64_t changed_block_bytes = 131072;
  std::uint64_t change_seed = 0;
  double entropy = 1;
  std::string input;
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "stream_maker: %s\n", what.c_str());
  std::exit(2);
}

// splitmix64: a good mixture of one number, cheap enough to be the content itself.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

std::uint64_t mixed(std::uint64_t a, std::uint64_t b, std::uint64_t c) { return mixed(mixed(mixed(a) ^ b) ^ c); }

// What is in which block of which version.
class Content {
 public:
  explicit Content(const Options& options)
      : seed_(options.seed),
        change_seed_(options.change_seed),
        pages_of_a_change_(options.changed_block_bytes / kPageBytes),
        stratum_(options.changed_percent > 0 ? 100 / options.changed_percent : 0),
        random_words_(static_cast<std::size_t>(std::lround(options.entropy * (kPageBytes / 8.0)))) {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (unsigned letter = 0; letter < 8; ++letter)
        words_[i] |= static_cast<std::uint64_t>("etaoinsh rdlucm "[mixed(i * 8 + letter) % 16]) << 8 * letter;
  }

  // REQUIRES: offset and the length are multiples of a page.
  void fill(std::uint64_t offset, Bytes to) const {
    for (std::size_t at = 0; at < to.size(); at += kPageBytes)
      fill_page((offset + at) / kPageBytes, to.subspan(at, kPageBytes));
  }

  // Whether anything in this range differs from the first version.
  bool changed(std::uint64_t offset, std::uint64_t bytes) const {
    const std::uint64_t last = (offset + bytes - 1) / kPageBytes / pages_of_a_change_;
    for (std::uint64_t block = offset / kPageBytes / pages_of_a_change_; block <= last; ++block)
      if (block_changed(block)) return true;
    return false;
  }

 private:
  // One block of each stratum, so that the share is exact, in a place that the seed draws.
  bool block_changed(std::uint64_t block) const {
    if (stratum_ == 0) return false;
    const auto index = static_cast<std::uint64_t>(static_cast<double>(block) / stratum_);
    for (std::uint64_t of : {index, index + 1}) {  // where strata meet, rounding may put the block into the next one
      const auto first = static_cast<std::uint64_t>(static_cast<double>(of) * stratum_);
      const auto behind = static_cast<std::uint64_t>(static_cast<double>(of + 1) * stratum_);
      if (block >= first && block < behind) return block == first + mixed(seed_, change_seed_, of) % (behind - first);
    }
    return false;
  }

  void fill_page(std::uint64_t page, Bytes to) const {
    const bool other = block_changed(page / pages_of_a_change_);
    const std::uint64_t start = mixed(seed_, other ? change_seed_ + 1 : 0, page);
    std::array<std::uint64_t, kPageBytes / 8> made;
    for (std::size_t i = 0; i < random_words_; ++i) made[i] = mixed(start + i * 0x632be59bd9b4e019);
    for (std::size_t i = random_words_; i < made.size(); i += 8) {
      std::uint64_t draw = mixed(start + i);
      for (std::size_t j = i; j < std::min(i + 8, made.size()); ++j, draw >>= 8) made[j] = words_[draw & 255];
    }
    std::memcpy(to.data(), made.data(), kPageBytes);
  }

  std::uint64_t seed_, change_seed_, pages_of_a_change_;
  double stratum_;
  std::size_t random_words_;
  std::array<std::uint64_t, 256> words_{};
};

void write_out(ConstBytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) std::exit(141);  // whom we feed has gone: its exit code tells more
    if (count < 0) fail(std::string("standard output: ") + std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// The content block by block, made or read.
class Blocks {
 public:
  explicit Blocks(const Options& options) : options_(options), content_(options) {
    if (options.input.empty()) return;
    file_ = std::fopen(options.input.c_str(), "rb");
    if (!file_) fail(options.input + ": " + std::strerror(errno));
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() {
    if (file_) std::fclose(file_);
  }

  // The next block at the start of `to`; how long it is, 0 at the end. Only in plain format it may be shorter than
  // `to`.
  std::size_t next(Bytes to) {
    const std::size_t bytes = file_ ? read(to) : make(to);
    offset_ += bytes;
    return bytes;
  }
  bool changed(std::uint64_t offset, std::uint64_t bytes) const { return !file_ && content_.changed(offset, bytes); }

 private:
  std::size_t make(Bytes to) {
    if (offset_ >= options_.bytes) return 0;
    content_.fill(offset_, to);
    if (options_.format != Format::kPlain) return to.size();
    return static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), options_.bytes - offset_));
  }

  std::size_t read(Bytes to) {
    const std::size_t bytes = std::fread(to.data(), 1, to.size(), file_);
    if (std::ferror(file_)) fail(options_.input + " cannot be read");
    if (bytes == 0 || options_.format == Format::kPlain) return bytes;
    std::fill(to.begin() + static_cast<std::ptrdiff_t>(bytes), to.end(), std::byte{0});
    return to.size();
  }

  const Options& options_;
  Content content_;
  std::FILE* file_ = nullptr;
  std::uint64_t offset_ = 0;
};

// The headers as OpenZFS fills them; StreamWriter's own have only what zferry reads.
class Snapshot {
 public:
  Snapshot(const Options& options, Blocks& blocks)
      : options_(options), blocks_(blocks), toguid_(mixed(options.seed, options.change_seed, 99) >> 1 | 1) {}

  void make() {
    const bool zvol = options_.format == Format::kZvol;
    zstream::StreamWriter::Begin begin;
    begin.features = 1 << 2 | 1 << 3;
    begin.creation_time = 1700000000 + options_.change_seed * 86400;
    begin.toguid = toguid_;
    begin.flags = 0xC;
    const std::string name = "made/stream@" + std::to_string(options_.change_seed);
    begin.toname = name;
    writer_.begin(begin);
    std::vector<std::byte> block(options_.record_bytes);
    std::uint64_t object = 1, index = 0;
    if (zvol) put_object(object, 23, {});
    for (; blocks_.next(block) != 0; ++index) {
      const std::uint64_t within = zvol ? index : index % kRecordsOfAFile;
      if (!zvol && within == 0) {
        if (index != 0) writer_.free(object, kRecordsOfAFile * options_.record_bytes, ~0ULL);
        ++object;
        put_object(object, 19, bonus_of(object, index));
      }
      if (std::ranges::any_of(block, [](std::byte b) { return b != std::byte{0}; }))
        put_write(object, zvol ? 23 : 19, within * options_.record_bytes, block);
      if (writer_.bytes().size() >= kFlushBytes) write_out(writer_.take());
    }
    writer_.end();
    write_out(writer_.take());
  }

 private:
  using Header = std::array<std::byte, zstream::kRecordBytes>;

  void put_object(std::uint64_t object, std::uint32_t type, const std::vector<std::byte>& bonus) {
    Header header{};
    store_at(Bytes(header), 0, std::uint32_t{1});
    store_at(Bytes(header), 8, object);
    store_at(Bytes(header), 16, type);
    store_at(Bytes(header), 20, std::uint32_t{bonus.empty() ? 0U : 44U});
    store_at(Bytes(header), 24, static_cast<std::uint32_t>(options_.record_bytes));
    store_at(Bytes(header), 28, static_cast<std::uint32_t>(bonus.size()));
    header[34] = std::byte{1};
    store_at(Bytes(header), 40, toguid_);
    writer_.record(header, bonus);
  }

  // A file's attributes: another change time where something in it has changed.
  std::vector<std::byte> bonus_of(std::uint64_t object, std::uint64_t first_block) const {
    const std::uint64_t bytes = options_.record_bytes;
    const bool changed = blocks_.changed(first_block * bytes, kRecordsOfAFile * bytes);
    std::vector<std::byte> bonus(168);
    store_at(Bytes(bonus), 0, std::uint32_t{0x002f505a});
    store_at(Bytes(bonus), 8, std::uint64_t{0x81a4});
    store_at(Bytes(bonus), 16, kRecordsOfAFile * bytes);
    for (std::size_t at = 40; at < 72; at += 8)
      store_at(Bytes(bonus), at, mixed(object, changed ? options_.change_seed : 0, at));
    return bonus;
  }

  void put_write(std::uint64_t object, std::uint32_t type, std::uint64_t offset, ConstBytes payload) {
    Header header{};
    store_at(Bytes(header), 0, std::uint32_t{3});
    store_at(Bytes(header), 8, object);
    store_at(Bytes(header), 16, type);
    store_at(Bytes(header), 24, offset);
    store_at(Bytes(header), 32, std::uint64_t{payload.size()});
    store_at(Bytes(header), 40, toguid_);
    header[48] = std::byte{7};  // fletcher-4
    const zstream::Fletcher4 sum = zstream::fletcher4(payload);
    const auto sectors = static_cast<std::uint64_t>(payload.size() / 512 - 1);
    // The checksum is of what is on disk: of the payload itself only where that did not compress.
    const bool packed = options_.entropy < 0.875;
    std::size_t at = 56;
    for (std::uint64_t part : {sum.a, sum.b, sum.c, sum.d}) {
      const std::uint64_t bits = part == 0 ? 0 : ~0ULL >> std::countl_zero(part);
      store_at(Bytes(header), at, packed ? mixed(part) & bits : part);
      at += 8;
    }
    const auto on_disk = packed ? static_cast<std::uint64_t>(static_cast<double>(sectors) * options_.entropy) : sectors;
    store_at(Bytes(header), 88, sectors | on_disk << 16);
    writer_.record(header, payload);
  }

  const Options& options_;
  Blocks& blocks_;
  std::uint64_t toguid_;
  zstream::StreamWriter writer_;
};

void make_plain(Blocks& blocks) {
  std::vector<std::byte> piece(kFlushBytes);
  while (const std::size_t bytes = blocks.next(piece)) write_out(ConstBytes(piece).first(bytes));
}

std::uint64_t number(std::string_view name, const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 10);
  const std::string_view suffix = end;
  const int shift = suffix == "K" ? 10 : suffix == "M" ? 20 : suffix == "G" ? 30 : suffix.empty() ? 0 : -1;
  if (text.empty() || text[0] == '-' || errno != 0 || shift < 0) fail(std::string(name) + " is no number: " + text);
  return value << shift;
}

double share(std::string_view name, const std::string& text, double most) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0 || !(value >= 0 && value <= most)) fail(std::string(name) + " is none: " + text);
  return value;
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    if (name == "--help" || i + 1 == count) {
      std::fputs(kUsage, name == "--help" ? stdout : stderr);
      std::exit(name == "--help" ? 0 : 2);
    }
    const std::string text = words[i + 1];
    if (name == "--format" && (text == "zfs" || text == "zvol" || text == "plain"))
      options.format = text == "zfs" ? Format::kZfs : text == "zvol" ? Format::kZvol : Format::kPlain;
    else if (name == "--bytes")
      options.bytes = number(name, text);
    else if (name == "--record-bytes")
      options.record_bytes = number(name, text);
    else if (name == "--seed")
      options.seed = number(name, text);
    else if (name == "--changed")
      options.changed_percent = share(name, text, 100);
    else if (name == "--changed-block")
      options.changed_block_bytes = number(name, text);
    else if (name == "--change-seed")
      options.change_seed = number(name, text);
    else if (name == "--entropy")
      options.entropy = share(name, text, 1);
    else if (name == "--input")
      options.input = text;
    else
      fail("what is " + std::string(name) + " " + text + "? --help tells");
  }
  for (std::uint64_t bytes : {options.record_bytes, options.changed_block_bytes})
    if (bytes == 0 || bytes % kPageBytes != 0 || bytes > (16 << 20))
      fail("a block is a multiple of 4096, at most 16 MiB");
  return options;
}

}  // namespace
}  // namespace zferry

int main(int count, char** words) {
  using namespace zferry;
  const Options options = parse(count, words);
  ::mallopt(M_MMAP_THRESHOLD, int{64 << 20});  // the writer's buffer comes and goes: its pages shall stay
  ::mallopt(M_TRIM_THRESHOLD, int{64 << 20});
  std::signal(SIGPIPE, SIG_IGN);
  ::fcntl(STDOUT_FILENO, F_SETPIPE_SZ, kFlushBytes);  // where it is a pipe: nothing lies in it yet
  Blocks blocks(options);
  if (options.format == Format::kPlain) {
    make_plain(blocks);
  } else {
    Snapshot(options, blocks).make();
  }
  return 0;
}
