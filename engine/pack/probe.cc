// The probe looks at 128 lines of 64 bytes spread over the block. A line of random bytes has some 57 distinct values;
// text, code, tables, zeros and lz4 output have far fewer, so counting the repetitive lines sees mixed blocks too,
// where a sample's average would not. Encrypted and well-compressed bytes are uniform as well, which ends it there; the
// few that are neither repetitive nor uniform (pictures, sound) are settled by packing four small pieces.
#include "pack/probe.h"

#include <algorithm>
#include <array>

#include "pack/context.h"

namespace zferry::pack {
namespace {

constexpr std::size_t kShortBytes = 16 * 1024;  // below, sampling saves nothing worth having
constexpr std::size_t kLines = 128;
constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kRepeatsMin = 18;         // of 64 bytes; random ones have 7.1 +- 2.3
constexpr std::size_t kRepetitiveLinesMin = 8;  // such a line packs to a half or better: 8 of 128 save 1/32
constexpr std::size_t kPieces = 4;
constexpr std::size_t kPieceBytes = 4 * 1024;
constexpr std::size_t kLeastSavingShift = 5;  // 1/32

struct Sample {
  std::size_t repetitive_lines = 0;
  std::size_t constant_lines = 0;
  std::array<std::uint32_t, 256> counts{};  // of each byte value, over all lines
};

Sample sample_lines(ConstBytes raw) {
  Sample sample;
  std::array<std::uint8_t, 256> seen{};  // the last line that held the value, plus one
  static_assert(kLines <= 255);
  const std::size_t stride = raw.size() / kLines;
  const std::size_t slack = stride - kLineBytes;
  for (std::size_t line = 0; line < kLines; ++line) {
    // Off the beat, lest every line meet the same place of a structure whose length divides the stride.
    const std::byte* at = raw.data() + line * stride + (line * 997) % (slack + 1);
    const auto mark = static_cast<std::uint8_t>(line + 1);
    std::size_t repeats = 0;
    for (std::size_t i = 0; i < kLineBytes; ++i) {
      const auto value = std::to_integer<std::size_t>(at[i]);
      repeats += seen[value] == mark;
      seen[value] = mark;
      ++sample.counts[value];
    }
    sample.repetitive_lines += repeats >= kRepeatsMin;
    sample.constant_lines += repeats == kLineBytes - 1;
  }
  return sample;
}

// Pearson's chi-squared against the uniform distribution: 255 +- 23 for random bytes, up to 400 for deflate and zstd
// output.
bool uniform(const Sample& sample) {
  constexpr std::uint64_t kExpected = kLines * kLineBytes / 256;
  constexpr std::uint64_t kChiSquaredMax = 448;
  std::uint64_t sum = 0;
  for (std::uint64_t count : sample.counts) sum += count * count;
  // sum((n - e)^2 / e) = sum(n^2) / e - total
  return sum / kExpected - kLines * kLineBytes <= kChiSquaredMax;
}

bool pieces_pack(ConstBytes raw) {
  std::array<std::byte, kPieceBytes> scratch;
  std::size_t packed_bytes = 0;
  const std::size_t stride = raw.size() / kPieces;
  for (std::size_t piece = 0; piece < kPieces; ++piece) {
    const std::size_t bytes =
        compress(1, raw.subspan(piece * stride + (stride - kPieceBytes) / 2, kPieceBytes), scratch);
    packed_bytes += bytes == 0 ? kPieceBytes : bytes;
  }
  constexpr std::size_t kTotal = kPieces * kPieceBytes;
  return packed_bytes <= kTotal - (kTotal >> kLeastSavingShift);
}

}  // namespace

Texture texture_of(ConstBytes raw) {
  if (raw.size() < kShortBytes) return Texture::kText;
  static_assert(kShortBytes / kLines >= kLineBytes && kShortBytes / kPieces >= kPieceBytes);
  const Sample sample = sample_lines(raw);
  if (sample.constant_lines >= kLines / 2) return Texture::kSparse;
  if (sample.repetitive_lines >= kRepetitiveLinesMin) return Texture::kText;
  return !uniform(sample) && pieces_pack(raw) ? Texture::kText : Texture::kDense;
}

}  // namespace zferry::pack
