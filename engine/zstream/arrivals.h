// Arrivals: the snapshots that a compound stream's outer list promises, and which of them came. libzfs ends a compound
// stream with a good END even where it gave up in the middle, so this is the only way to tell. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/saved.h"

namespace zferry::zstream {

class Arrivals {
 public:
  // The packed nvlist of the outer BEGIN; kept, at most kOuterListBytesMax. Every file system in it that lists a
  // snapshot by the name of `tosnap` promises that one; the others promise nothing. Errors: kStreamDamaged, when it
  // cannot be read.
  Status expect(std::vector<std::byte> list);
  // A substream ended well.
  void seen(std::uint64_t toguid);

  bool empty() const { return list_.empty(); }  // no list came
  std::uint64_t expected() const { return snapshots_.size(); }
  std::uint64_t missing() const { return missing_; }
  // "tank/h@3, tank/h/a@3 and 7 more"; escaped.
  std::string missing_names(std::size_t names_max) const;

  // The list, as it came, and a bit for each of its snapshots.
  void save(SavedWriter& out) const;
  // Takes the place of what is here.
  void restore(SavedReader& in);

 private:
  struct Snapshot {
    std::uint64_t guid = 0;
    std::string_view filesystem;  // in list_
    bool seen = false;
  };
  std::vector<std::byte> list_;
  std::string_view tosnap_;          // in list_
  std::vector<Snapshot> snapshots_;  // by guid, and then as they stand in the list: saved bits follow this order
  std::uint64_t missing_ = 0;
};

}  // namespace zferry::zstream
