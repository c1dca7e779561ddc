// Puts numbers into packed nvlists, in the encoding and byte order that a list has: what the BEGIN of a resuming stream
// says of its place. The rest of the list is carried as it is. Thread-safe. Mirror: nvlist.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::zstream {

struct NvNumber {
  std::string_view name;  // at most kNvNameBytesMax
  std::uint64_t value;
};
inline constexpr std::size_t kNvNameBytesMax = 255;

enum class NvEncoding { kNative, kXdr };
// A list of these numbers.
std::vector<std::byte> make_nvlist(std::span<const NvNumber> numbers, NvEncoding encoding);
// `packed` with these numbers at its outermost level, in place of pairs of the same names; they stand before the first
// list that is inside it, as ZFS puts them. Errors: kStreamDamaged, as of read_nvlist().
Result<std::vector<std::byte>> set_numbers(ConstBytes packed, std::span<const NvNumber> numbers);

}  // namespace zferry::zstream
