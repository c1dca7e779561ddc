// Two walkers side by side over the rest of a stream: one that goes on, and one that is saved and restored again and
// again; nobody may be able to tell them apart.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "base/random.h"
#include "zstream/walker.h"

namespace zferry::zstream::testing {

struct TwoWalkers {
  RecordWalker one, other;
  std::uint64_t pieces = 0;    // walked by both, all that can be seen of them compared
  std::uint64_t restores = 0;  // of `other`

  // What differs, if anything.
  std::optional<std::string> difference() const {
    if (one.summary() != other.summary()) return "their summaries";
    if (one.identity() != other.identity() || one.identified() != other.identified()) return "their identities";
    if (one.save() != other.save()) return "what they save";
    return std::nullopt;
  }
  std::optional<std::string> difference(const Status& x, const Status& y) const {
    if (x.ok() != y.ok()) return "only one fails: " + (x.ok() ? y : x).error().what;
    if (!x &&
        (x.error().what != y.error().what || x.error().fault != y.error().fault || x.error().next != y.error().next))
      return x.error().what + " / " + y.error().what;
    return difference();
  }
  // Another process takes the place of `other`, if there is something to save.
  std::optional<std::string> restore() {
    const std::vector<std::byte> saved = other.save();
    if (saved.empty()) return std::nullopt;
    if (saved.size() > kSavedWalkerBytesMax) return "too much was saved";
    Result<RecordWalker> restored = RecordWalker::restore(saved);
    if (!restored) return restored.error().what;
    other = std::move(*restored);
    ++restores;
    return difference();
  }
  std::optional<std::string> walk(ConstBytes piece) {
    const Result<ChecksumPlan> x = one.walk(piece), y = other.walk(piece);
    ++pieces;
    if (x && y && *x != *y) return "their plans";
    return difference(x ? Status{} : Status(x.error()), y ? Status{} : Status(y.error()));
  }
  std::optional<std::string> finish() {
    const Status x = one.finish(), y = other.finish();
    return difference(x, y);
  }
  // The rest of a stream in pieces of 1 to `bound` bytes, with a restore between some of them and before the end.
  std::optional<std::string> follow(ConstBytes rest, SeededRandom& random, std::size_t bound, double restore_chance) {
    while (!rest.empty()) {
      const ConstBytes piece = rest.first(std::min<std::size_t>(rest.size(), 1 + random.below(bound)));
      rest = rest.subspan(piece.size());
      if (auto differs = walk(piece)) return differs;
      if (random.chance(restore_chance)) {
        if (auto differs = restore()) return differs;
      }
    }
    if (auto differs = finish()) return differs;
    if (auto differs = restore()) return differs;
    return finish();
  }
};

}  // namespace zferry::zstream::testing
