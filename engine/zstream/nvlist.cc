#include "zstream/nvlist.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/limits.h"

namespace zferry::zstream {

namespace {

constexpr std::uint32_t kTypeFlag = 1;
constexpr std::uint32_t kTypeNumber = 8;
constexpr std::uint32_t kTypeText = 9;
constexpr std::uint32_t kTypeList = 19;
constexpr std::uint32_t kTypeListArray = 20;
constexpr std::size_t kStreamHeaderBytes = 4;  // encoding, byte order, two reserved
constexpr std::size_t kListHeaderBytes = 8;    // version, flags
constexpr std::size_t kNativePairBytes = 16;   // before the name
constexpr std::size_t kNativeListBytes = 24;   // a list's own structure, as a value

Error damaged(std::size_t at, const std::string& why) {
  return {Fault::kStreamDamaged, "packed name-value list, byte " + std::to_string(at) + ": " + why, {}};
}

// A position in the packed bytes that never passes `end`.
class Cursor {
 public:
  Cursor(ConstBytes all, bool swapped) : all_(all), end_(all.size()), swapped_(swapped) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return end_ - at_; }
  // REQUIRES: bytes <= left().
  void skip(std::size_t bytes) {
    ZF_ASSERT(bytes <= left());
    at_ += bytes;
  }
  // The next `bytes` as a cursor of their own, which this one passes. REQUIRES: bytes <= left().
  Cursor cut(std::size_t bytes) {
    Cursor part = *this;
    skip(bytes);
    part.end_ = at_;
    return part;
  }
  // REQUIRES: sizeof(T) <= left().
  template <class T>
  T take() {
    T value = load<T>(all_.first(end_), at_);
    at_ += sizeof(T);
    return swapped_ ? swap_bytes(value) : value;
  }
  // REQUIRES: bytes <= left().
  std::string_view take_text(std::size_t bytes) {
    std::string_view text = as_text(all_.subspan(at_, bytes));
    skip(bytes);
    return text;
  }

 private:
  ConstBytes all_;
  std::size_t at_ = 0;
  std::size_t end_;
  bool swapped_;
};

std::string_view up_to_nul(std::string_view text) { return text.substr(0, std::min(text.find('\0'), text.size())); }

// XDR: integers big-endian, everything padded to 4 bytes. A pair says its whole length, embedded lists included.
class XdrReader {
 public:
  explicit XdrReader(NvVisitor& visitor) : visitor_(visitor) {}

  Status list(Cursor& in, int depth) {
    if (depth >= limits::kNvlistDepthMax) return damaged(in.at(), "lists are nested too deep");
    if (in.left() < kListHeaderBytes) return damaged(in.at(), "cut before a list's version");
    in.skip(kListHeaderBytes);
    for (;;) {
      if (in.left() < 8) return damaged(in.at(), "cut before the next pair");
      const std::size_t start = in.at();
      const auto pair_bytes = in.take<std::uint32_t>();
      const auto unpacked_bytes = in.take<std::uint32_t>();
      if (pair_bytes == 0 && unpacked_bytes == 0) return {};
      if (pair_bytes < 8 || pair_bytes - 8 > in.left()) {
        return damaged(start, "a pair claims " + std::to_string(pair_bytes) + " bytes");
      }
      Cursor inner = in.cut(pair_bytes - 8);
      Result<std::string_view> name = pair(inner, depth);
      if (!name) return name.take_error();
      visitor_.pair(depth, *name, start, in.at());
    }
  }

 private:
  static std::optional<std::string_view> text(Cursor& in) {
    if (in.left() < 4) return std::nullopt;
    const auto bytes = in.take<std::uint32_t>();
    if (bytes > in.left()) return std::nullopt;
    std::string_view value = in.take_text(bytes);
    in.skip(std::min<std::size_t>((4 - bytes % 4) % 4, in.left()));
    return value;
  }

  // Gives its name.
  Result<std::string_view> pair(Cursor& in, int depth) {
    const std::size_t start = in.at();
    std::optional<std::string_view> name = text(in);
    if (!name || in.left() < 8) return damaged(start, "a pair is cut in its name");
    const auto type = in.take<std::uint32_t>();
    in.skip(4);  // how many values
    if (type == kTypeNumber) {
      if (in.left() < 8) return damaged(start, "a number is cut");
      visitor_.number(depth, *name, in.take<std::uint64_t>());
    } else if (type == kTypeText) {
      std::optional<std::string_view> value = text(in);
      if (!value) return damaged(start, "a text is cut");
      visitor_.text(depth, *name, *value);
    } else if (type == kTypeFlag) {
      visitor_.flag(depth, *name);
    } else if (type == kTypeList) {
      visitor_.enter(depth, *name);
      if (Status status = list(in, depth + 1); !status) return status.take_error();
      visitor_.leave(depth);
    }
    return *name;
  }

  NvVisitor& visitor_;
};

// Native: the sender's structures as they lay in its memory, padded to 8 bytes; the pairs of an embedded list follow
// its pair.
class NativeReader {
 public:
  explicit NativeReader(NvVisitor& visitor) : visitor_(visitor) {}

  Status list(Cursor& in) {
    if (in.left() < kListHeaderBytes) return damaged(in.at(), "cut before the list's version");
    in.skip(kListHeaderBytes);
    return pairs(in, 0);
  }

 private:
  Status pairs(Cursor& in, int depth) {
    if (depth >= limits::kNvlistDepthMax) return damaged(in.at(), "lists are nested too deep");
    for (;;) {
      if (in.left() < 4) return damaged(in.at(), "cut before the next pair");
      const std::size_t start = in.at();
      const auto pair_bytes = in.take<std::uint32_t>();
      if (pair_bytes == 0) return {};
      if (pair_bytes < kNativePairBytes || pair_bytes - 4 > in.left()) {
        return damaged(start, "a pair claims " + std::to_string(pair_bytes) + " bytes");
      }
      Cursor inner = in.cut(pair_bytes - 4);
      const auto name_bytes = inner.take<std::uint16_t>();
      inner.skip(2);
      const auto count = inner.take<std::uint32_t>();
      const auto type = inner.take<std::uint32_t>();
      const std::size_t padded = (kNativePairBytes + name_bytes + 7) / 8 * 8 - kNativePairBytes;
      if (padded > inner.left()) return damaged(start, "a pair is cut in its name");
      std::string_view name = up_to_nul(inner.take_text(padded).substr(0, name_bytes));
      if (Status status = value(inner, in, depth, {name, type, count, start}); !status) return status;
      visitor_.pair(depth, name, start, in.at());
    }
  }

  struct Pair {
    std::string_view name;
    std::uint32_t type, count;
    std::size_t start;
  };
  Status value(Cursor& inner, Cursor& in, int depth, const Pair& pair) {
    if (pair.type == kTypeNumber) {
      if (inner.left() < 8) return damaged(pair.start, "a number is cut");
      visitor_.number(depth, pair.name, inner.take<std::uint64_t>());
    } else if (pair.type == kTypeText) {
      visitor_.text(depth, pair.name, up_to_nul(inner.take_text(inner.left())));
    } else if (pair.type == kTypeFlag) {
      visitor_.flag(depth, pair.name);
    } else if (pair.type == kTypeList || pair.type == kTypeListArray) {
      const std::uint32_t lists = pair.type == kTypeList ? 1 : pair.count;
      if (pair.type == kTypeList && inner.left() < kNativeListBytes) return damaged(pair.start, "a list is cut");
      for (std::uint32_t i = 0; i < lists; ++i) {  // each takes 4 bytes at least, so `in` bounds the loop
        visitor_.enter(depth, pair.name);
        if (Status status = pairs(in, depth + 1); !status) return status;
        visitor_.leave(depth);
      }
    }
    return {};
  }

  NvVisitor& visitor_;
};

}  // namespace

void NvVisitor::number(int, std::string_view, std::uint64_t) {}
void NvVisitor::text(int, std::string_view, std::string_view) {}
void NvVisitor::flag(int, std::string_view) {}
void NvVisitor::enter(int, std::string_view) {}
void NvVisitor::leave(int) {}
void NvVisitor::pair(int, std::string_view, std::size_t, std::size_t) {}

Status read_nvlist(ConstBytes packed, NvVisitor& visitor) {
  if (packed.size() < kStreamHeaderBytes) return damaged(0, "shorter than its own header");
  const auto encoding = std::to_integer<unsigned>(packed[0]);
  const bool little_endian = packed[1] == std::byte{1};
  if (encoding == 1) {
    Cursor in(packed, true);
    in.skip(kStreamHeaderBytes);
    return XdrReader(visitor).list(in, 0);
  }
  if (encoding == 0) {
    Cursor in(packed, !little_endian);
    in.skip(kStreamHeaderBytes);
    return NativeReader(visitor).list(in);
  }
  return damaged(0, "unknown encoding " + std::to_string(encoding));
}

}  // namespace zferry::zstream
