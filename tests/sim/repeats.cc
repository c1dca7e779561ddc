#include "repeats.h"

#include <algorithm>

namespace zferry::transfer {
namespace {

constexpr std::size_t kFamilyPieces = 12;
constexpr std::size_t kPiecesMax = 24;

// Noise, or runs of one byte: what is packed well and what is not.
std::vector<std::byte> new_piece(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> piece(bytes);
  if (random.chance(0.7)) {
    random.fill(piece);
    return piece;
  }
  for (std::size_t at = 0; at < bytes;) {
    const std::size_t run = std::min<std::size_t>(1 + random.below(200), bytes - at);
    std::ranges::fill(Bytes(piece).subspan(at, run), static_cast<std::byte>(random.below(256)));
    at += run;
  }
  return piece;
}

}  // namespace

// Many of one length: only those can be taken for each other.
Repeats::Repeats(std::uint64_t family, double share, std::size_t piece_bytes_max) : share_(share) {
  SeededRandom random(family);
  const std::size_t most = std::max<std::size_t>(piece_bytes_max / 8 * 8, 8);
  while (pieces_.size() < kFamilyPieces)
    pieces_.push_back(new_piece(random, random.chance(0.6) ? most : 8 * (1 + random.below(most / 8))));
}

std::vector<std::byte> Repeats::next(SeededRandom& random, std::size_t bytes) {
  if (!random.chance(share_)) {
    std::vector<std::byte> fresh = new_piece(random, bytes);
    if (!random.chance(0.5)) return fresh;
    if (pieces_.size() < kPiecesMax)
      pieces_.push_back(fresh);
    else
      pieces_[random.below(pieces_.size())] = fresh;
    return fresh;
  }
  std::vector<std::byte> piece = pieces_[random.below(pieces_.size())];
  if (piece.size() > bytes) piece.resize(bytes);
  if (!random.chance(0.25)) return piece;
  const std::size_t at = random.below(piece.size());
  random.fill(Bytes(piece).subspan(at, 1 + random.below(piece.size() - at)));
  return piece;
}

}  // namespace zferry::transfer
