#include "pack/level_choice.h"

#include <algorithm>

namespace zferry::pack {
namespace {

// Before anything was seen: text at level 3 on a core of today, and how the other levels stand to it.
constexpr double kFirstWork = 1.0 / 300e6;
constexpr double kFirstShare = 0.4;
constexpr std::array<double, kRungs> kWorkOf = {0, 0.6, 1, 2.3, 3.6};
constexpr std::array<double, kRungs> kShareOf = {0, 1.08, 1, 0.96, 0.94};
constexpr std::size_t kMiddle = 2;
constexpr double kFirstLink = 125e6;

constexpr double kNews = 0.2;              // weight of the latest block
constexpr double kAsGood = 1.02;           // times within this are the same: the cheaper one is taken
constexpr double kTrialCost = 1.6;         // what is slower than this by its estimate is not worth a trial
constexpr std::uint64_t kTrialEvery = 24;  // blocks
constexpr std::uint64_t kFirstTrialEvery = 4;
constexpr std::uint64_t kStaleAfter = 96;
constexpr double kFarBelow = 0.3;
constexpr double kSpareCores = 0.5;  // of them that may be spent where nothing is scarce

double scale_of(const std::array<double, kRungs>& prior, std::size_t to, std::size_t from) {
  return prior[to] / prior[from];
}

}  // namespace

// What was not seen yet stands to what was seen nearest to it as it does in general.
std::array<LevelChoice::Rung, kRungs> LevelChoice::estimates(const Ladder& ladder) const {
  std::array<Rung, kRungs> rungs = ladder.rungs;
  rungs[0] = {0, 1, true, ladder.blocks};
  for (std::size_t at = 1; at < kRungs; ++at) {
    if (rungs[at].known) continue;
    std::size_t nearest = 0;
    for (std::size_t other = 1; other < kRungs; ++other) {
      auto away = [at](std::size_t rung) { return rung > at ? rung - at : at - rung; };
      if (ladder.rungs[other].known && (nearest == 0 || away(other) < away(nearest))) nearest = other;
    }
    double work = nearest == 0 ? kFirstWork : ladder.rungs[nearest].work_s;
    double share = nearest == 0 ? kFirstShare : ladder.rungs[nearest].share;
    std::size_t from = nearest == 0 ? kMiddle : nearest;
    rungs[at].work_s = work * scale_of(kWorkOf, at, from);
    rungs[at].share = std::min(1.0, share * scale_of(kShareOf, at, from));
  }
  return rungs;
}

double LevelChoice::time(const Rung& rung) const {
  double link = link_bytes_per_s_ > 0 ? link_bytes_per_s_ : kFirstLink;
  return std::max(rung.work_s / workers_, rung.share / link);
}

// The quickest; of those that are about as quick, the one that costs the cores least. Where the stream is far slower
// than both link and cores could carry it, time is not what counts: the smallest that a part of the cores can do.
std::size_t LevelChoice::best(const std::array<Rung, kRungs>& rungs) const {
  double least = time(rungs[0]);
  for (const Rung& rung : rungs) least = std::min(least, time(rung));
  if (pace_bytes_per_s_ > 0 && least * pace_bytes_per_s_ < kFarBelow) {
    std::size_t chosen = 0;
    for (std::size_t at = 1; at <= kMiddle; ++at)
      if (rungs[at].work_s / workers_ * pace_bytes_per_s_ <= kSpareCores && rungs[at].share < rungs[chosen].share)
        chosen = at;
    return chosen;
  }
  for (std::size_t at = 0; at < kRungs; ++at)
    if (time(rungs[at]) <= kAsGood * least) return at;
  return 0;
}

int LevelChoice::level(Texture texture) {
  if (texture == Texture::kDense) return 0;
  Ladder& ladder = ladders_[static_cast<std::size_t>(texture)];
  std::array<Rung, kRungs> rungs = estimates(ladder);
  std::size_t chosen = best(rungs);
  ++ladder.blocks;
  // What packing costs and saves is not known before it was tried: the first rung is, soon, whatever is expected of it.
  bool untried = std::none_of(ladder.rungs.begin(), ladder.rungs.end(), [](const Rung& rung) { return rung.known; });
  if (untried && chosen == 0 && ladder.blocks % kFirstTrialEvery == 0) return kLadder[1];
  if (ladder.blocks % kTrialEvery != 0) return kLadder[chosen];
  // A neighbour, above and below in turn.
  bool up = ladder.blocks / kTrialEvery % 2 == 0;
  std::size_t beside = up ? chosen + 1 : chosen - 1;
  if (beside == 0 || beside >= kRungs) return kLadder[chosen];  // (chosen - 1 wraps); rung 0 needs no trial
  bool stale = !rungs[beside].known || ladder.blocks - rungs[beside].learnt_at > kStaleAfter;
  bool dear = time(rungs[beside]) > kTrialCost * time(rungs[chosen]);
  return kLadder[stale && !dear ? beside : chosen];
}

void LevelChoice::learn(Texture texture, int level, std::size_t raw_bytes, std::size_t packed_bytes, Duration work) {
  if (texture == Texture::kDense || level == 0 || raw_bytes == 0) return;
  auto at = static_cast<std::size_t>(std::find(kLadder.begin(), kLadder.end(), level) - kLadder.begin());
  if (at == kRungs) return;
  Ladder& ladder = ladders_[static_cast<std::size_t>(texture)];
  Rung& rung = ladder.rungs[at];
  auto bytes = static_cast<double>(raw_bytes);
  double work_s = seconds(work) / bytes;
  double share = static_cast<double>(packed_bytes) / bytes;
  rung.work_s = rung.known ? rung.work_s + kNews * (work_s - rung.work_s) : work_s;
  rung.share = rung.known ? rung.share + kNews * (share - rung.share) : share;
  rung.known = true;
  rung.learnt_at = ladder.blocks;
}

}  // namespace zferry::pack
