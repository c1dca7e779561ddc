#include "io/sim_disk_file.h"

#include <algorithm>
#include <utility>

namespace zferry::io {

namespace {
constexpr std::size_t kOldFilesMax = 8;
constexpr std::size_t kOldBytesMax = std::size_t{256} * 1024;  // of each
constexpr std::uint64_t kTearsMax = 3;                         // of a piece
constexpr std::uint64_t kLuckyOneIn = 8;                       // pieces that a failed sync had written before it failed
}  // namespace

void SimRemains::add(std::vector<std::byte> content) {
  if (content.empty()) return;
  if (content.size() > kOldBytesMax) content.resize(kOldBytesMax);
  old_.push_back(std::move(content));
  if (old_.size() > kOldFilesMax) old_.pop_front();
}

void SimRemains::fill(Bytes into, std::uint64_t at, SeededRandom& random) const {
  std::fill(into.begin(), into.end(), std::byte{0});
  if (old_.empty() || random.chance(0.5)) return;
  const auto& from = old_[random.below(old_.size())];
  const std::uint64_t begin = random.chance(0.5) ? at : random.below(from.size());
  if (begin >= from.size()) return;
  const std::size_t count = std::min<std::size_t>(into.size(), from.size() - begin);
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(begin), count, into.begin());
}

Bytes SimDiskFile::range(std::uint64_t begin, std::uint64_t end) { return Bytes(content_).subspan(begin, end - begin); }

void SimDiskFile::append(ConstBytes bytes, bool goes_on) {
  if (bytes.empty()) return;
  const std::uint64_t begin = content_.size();
  content_.insert(content_.end(), bytes.begin(), bytes.end());
  if (goes_on && !pieces_.empty()) {
    pieces_.back().end = content_.size();
    return;
  }
  pieces_.push_back({begin, content_.size(), Fate::kOpen});
}

void SimDiskFile::sync() {
  std::erase_if(pieces_, [](const Piece& piece) { return piece.fate != Fate::kLost; });
  synced_bytes_ = content_.size();
}

void SimDiskFile::fail_sync(SeededRandom& random, const SimRemains& remains) {
  for (Piece& piece : pieces_) {
    if (piece.fate != Fate::kOpen) continue;
    piece.fate = random.below(kLuckyOneIn) == 0 ? Fate::kWritten : Fate::kLost;
    const bool evicted = random.chance(0.5);
    if (piece.fate == Fate::kLost && evicted) remains.fill(range(piece.begin, piece.end), piece.begin, random);
  }
}

std::uint64_t SimDiskFile::surviving_length(SeededRandom& random) const {
  switch (random.below(4)) {
    case 0: return synced_bytes_;
    case 1: return content_.size();
    case 2: return std::max(synced_bytes_, pieces_[random.below(pieces_.size())].end);
    default: return synced_bytes_ + random.below(content_.size() - synced_bytes_ + 1);
  }
}

void SimDiskFile::tear(std::uint64_t begin, std::uint64_t end, SeededRandom& random, const SimRemains& remains) {
  std::vector<std::uint64_t> places = {begin, end};
  for (std::uint64_t tears = random.below(kTearsMax + 1); tears > 0; --tears) {
    places.push_back(begin + random.below(end - begin));
  }
  std::sort(places.begin(), places.end());
  for (std::size_t index = 0; index + 1 < places.size(); ++index) {
    if (random.chance(0.5)) remains.fill(range(places[index], places[index + 1]), places[index], random);
  }
}

void SimDiskFile::lose_power(SeededRandom& random, const SimRemains& remains) {
  if (pieces_.empty()) return;  // nothing to decide: it takes nothing from the random source
  const std::uint64_t length = surviving_length(random);
  enum class Mood : std::uint8_t { kKeepsAll, kLosesAll, kHoles, kTears };
  const auto mood = static_cast<Mood>(random.below(4));
  for (const Piece& piece : pieces_) {
    if (piece.begin >= length) break;
    const std::uint64_t end = std::min(piece.end, length);
    if (piece.fate == Fate::kWritten) continue;
    const bool hole = mood == Mood::kHoles && random.chance(0.5);
    if (piece.fate == Fate::kLost || mood == Mood::kLosesAll || hole) {
      remains.fill(range(piece.begin, end), piece.begin, random);
    } else if (mood == Mood::kTears) {
      tear(piece.begin, end, random, remains);
    }
  }
  content_.resize(length);
  synced_bytes_ = length;
  pieces_.clear();
}

}  // namespace zferry::io
