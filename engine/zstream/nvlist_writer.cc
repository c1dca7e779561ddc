#include "zstream/nvlist_writer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "zstream/nvlist.h"

namespace zferry::zstream {

namespace {

constexpr std::uint32_t kTypeNumber = 8;
constexpr std::uint32_t kUniqueNames = 1;
constexpr std::size_t kHeaderBytes = 4 + 8;  // encoding, byte order, two reserved; version, flags
constexpr std::size_t kNativePairBytes = 16;

class Builder {
 public:
  // What a list begins with says how the rest of it is written. REQUIRES: header.size() == kHeaderBytes.
  explicit Builder(ConstBytes header)
      : xdr_(header[0] == std::byte{1}),
        swapped_(xdr_ || header[1] != std::byte{1}),
        out_(header.begin(), header.end()) {}

  void bytes(ConstBytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void number(const NvNumber& number) { xdr_ ? xdr_number(number) : native_number(number); }
  std::vector<std::byte> finish() {
    put(std::uint32_t{0});
    if (xdr_) {
      put(std::uint32_t{0});
      pad(0, 8);  // payloads of records are that long, but for natively encoded lists with lists in them
    }
    return std::move(out_);
  }

 private:
  template <class T>
  void put(T value) {
    if (swapped_) value = swap_bytes(value);
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void pad(std::size_t from, std::size_t to) {
    const std::size_t length = out_.size() - from;
    out_.resize(from + (length + to - 1) / to * to);
  }
  void native_number(const NvNumber& number) {
    const std::size_t start = out_.size();
    const std::size_t named = (kNativePairBytes + number.name.size() + 1 + 7) / 8 * 8;
    put(static_cast<std::uint32_t>(named + sizeof number.value));
    put(static_cast<std::uint16_t>(number.name.size() + 1));
    put(std::uint16_t{0});
    put(std::uint32_t{1});
    put(kTypeNumber);
    bytes(as_bytes(number.name));
    out_.resize(start + named);
    put(number.value);
  }
  void xdr_number(const NvNumber& number) {
    const auto name_bytes = static_cast<std::uint32_t>(number.name.size());
    put(8 + 4 + (name_bytes + 3) / 4 * 4 + 8 + 8);                                         // packed
    put(static_cast<std::uint32_t>((kNativePairBytes + name_bytes + 1 + 7) / 8 * 8 + 8));  // in memory
    put(name_bytes);
    bytes(as_bytes(number.name));
    pad(kHeaderBytes, 4);
    put(kTypeNumber);
    put(std::uint32_t{1});
    put(number.value);
  }

  bool xdr_, swapped_;
  std::vector<std::byte> out_;
};

// Where the outermost pairs lie, without those that are to be set anew.
class Outermost : public NvVisitor {
 public:
  struct Pair {
    std::size_t from, to;
    bool is_list;
  };
  explicit Outermost(std::span<const NvNumber> set) : set_(set) {}

  void enter(int depth, std::string_view) override { list_ |= depth == 0; }
  void pair(int depth, std::string_view name, std::size_t from, std::size_t to) override {
    if (depth > 0) return;
    const bool replaced = std::ranges::any_of(set_, [&](const NvNumber& number) { return number.name == name; });
    if (!replaced) pairs_.push_back({from, to, list_});
    list_ = false;
  }
  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  std::span<const NvNumber> set_;
  std::vector<Pair> pairs_;
  bool list_ = false;
};

}  // namespace

std::vector<std::byte> make_nvlist(std::span<const NvNumber> numbers, NvEncoding encoding) {
  std::array<std::byte, kHeaderBytes> header{};
  header[0] = std::byte{encoding == NvEncoding::kXdr};
  header[1] = std::byte{1};  // made on a little-endian host
  store_at(Bytes(header), 8, encoding == NvEncoding::kXdr ? swap_bytes(kUniqueNames) : kUniqueNames);
  Builder builder(header);
  for (const NvNumber& number : numbers) builder.number(number);
  return builder.finish();
}

Result<std::vector<std::byte>> set_numbers(ConstBytes packed, std::span<const NvNumber> numbers) {
  Outermost outermost(numbers);
  if (Status status = read_nvlist(packed, outermost); !status) return status.take_error();
  Builder builder(packed.first(kHeaderBytes));
  bool set = false;
  auto put_numbers = [&] {
    for (const NvNumber& number : numbers) builder.number(number);
    set = true;
  };
  for (const Outermost::Pair& pair : outermost.pairs()) {
    if (pair.is_list && !set) put_numbers();
    builder.bytes(packed.subspan(pair.from, pair.to - pair.from));
  }
  if (!set) put_numbers();
  return builder.finish();
}

}  // namespace zferry::zstream
