// SimDiskFile: a growing file as a disk and a page cache hold it: what is surely there, what was written and may still
// be lost, and what was lost and nobody knows. Part of the simulator; single-threaded.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace zferry::io {

// What files that are gone have left on the platters: it may stand where a length survived and its content did not.
class SimRemains {
 public:
  void add(std::vector<std::byte> content);
  // Zeros, or old bytes, half of the time those that once stood at the same offset of some file.
  void fill(Bytes into, std::uint64_t at, SeededRandom& random) const;

 private:
  std::deque<std::vector<std::byte>> old_;
};

class SimDiskFile {
 public:
  // As a process reads it now. Tests may change bytes: as if the disk had.
  std::vector<std::byte>& content() { return content_; }
  // That survive whatever comes.
  std::uint64_t synced_bytes() const { return synced_bytes_; }

  // `goes_on`: more of the last append(), of which this is the rest.
  void append(ConstBytes bytes, bool goes_on = false);
  void sync();
  // As Linux does it: what was not yet written counts as clean from now on, so it never will be, and the next sync()
  // succeeds. It may be read still, for a while.
  void fail_sync(SeededRandom& random, const SimRemains& remains);
  // Some length from what was synced to what was written; below it each append() survives, is garbage, or is torn.
  void lose_power(SeededRandom& random, const SimRemains& remains);

 private:
  enum class Fate : std::uint8_t { kOpen, kWritten, kLost };
  struct Piece {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Fate fate = Fate::kOpen;
  };
  Bytes range(std::uint64_t begin, std::uint64_t end);
  std::uint64_t surviving_length(SeededRandom& random) const;
  void tear(std::uint64_t begin, std::uint64_t end, SeededRandom& random, const SimRemains& remains);

  std::vector<std::byte> content_;
  std::uint64_t synced_bytes_ = 0;
  std::vector<Piece> pieces_;  // by place; what is in none of them is on disk
};

}  // namespace zferry::io
