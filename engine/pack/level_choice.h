// LevelChoice: how hard to pack the next block, by what is scarce: the link or the cores. It knows what each level has
// cost and saved on blocks of the same texture, how fast the link is, and how many workers there are; a level's time
// for a byte is then the longer of packing it (shared by the workers) and carrying what is left of it. Level 0 carries
// blocks as they are. docs/PERFORMANCE.md, "Compression". Plain: no clock, no I/O. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "pack/probe.h"

namespace zferry::pack {

// The levels between which it chooses. Above, a zstd context takes more memory than a worker has (limits.h).
inline constexpr std::array<int, 5> kLadder = {0, 1, 3, 5, 7};
inline constexpr std::size_t kRungs = kLadder.size();

class LevelChoice {
 public:
  // Cores that are there for packing.
  explicit LevelChoice(double workers) : workers_(workers) {}
  // What the link carries when it is full, in bytes a second. 0: not known yet.
  void set_link(double bytes_per_s) { link_bytes_per_s_ = bytes_per_s; }
  // What the stream moves at now where neither link nor cores hold it up, in bytes a second; 0 where one of them does.
  void set_pace(double bytes_per_s) { pace_bytes_per_s_ = bytes_per_s; }
  // For the next block, should it be of this texture. Now and then a level beside the best one, to see what it does.
  int level(Texture texture);
  // A block of `raw_bytes` was packed to `packed_bytes` (raw_bytes: it did not shrink) in `work` of one worker.
  void learn(Texture texture, int level, std::size_t raw_bytes, std::size_t packed_bytes, Duration work);

 private:
  struct Rung {
    double work_s = 0;  // of one worker, for a raw byte
    double share = 1;   // of the raw bytes that is left
    bool known = false;
    std::uint64_t learnt_at = 0;
  };
  struct Ladder {
    std::array<Rung, kRungs> rungs;
    std::uint64_t blocks = 0;
  };
  std::array<Rung, kRungs> estimates(const Ladder& ladder) const;
  double time(const Rung& rung) const;
  std::size_t best(const std::array<Rung, kRungs>& rungs) const;

  double workers_;
  double link_bytes_per_s_ = 0;
  double pace_bytes_per_s_ = 0;
  std::array<Ladder, kPackableTextures> ladders_;
};

}  // namespace zferry::pack
