#include "zstream/arrivals.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "zstream/nvlist.h"

namespace zferry::zstream {

namespace {

// The list is {tosnap, fss: {<guid of a file system>: {name, snaps: {<snapshot>: <guid>}, …}}}; tosnap may come last.
class TosnapFinder final : public NvVisitor {
 public:
  std::optional<std::string_view> tosnap;
  void text(int depth, std::string_view name, std::string_view value) override {
    if (depth == 0 && name == "tosnap") tosnap = value;
  }
};

class SnapshotFinder final : public NvVisitor {
 public:
  SnapshotFinder(std::string_view tosnap, std::function<void(std::string_view, std::uint64_t)> found)
      : tosnap_(tosnap), found_(std::move(found)) {}

  void enter(int depth, std::string_view name) override {
    if (depth == 0) in_filesystems_ = name == "fss";
    if (depth == 1) {
      filesystem_ = {};
      guid_.reset();
    }
    if (depth == 2) in_snapshots_ = in_filesystems_ && name == "snaps";
  }
  void leave(int depth) override {
    if (depth == 0) in_filesystems_ = false;
    if (depth == 1 && guid_) found_(filesystem_, *guid_);
    if (depth == 1) guid_.reset();
    if (depth == 2) in_snapshots_ = false;
  }
  void text(int depth, std::string_view name, std::string_view value) override {
    if (depth == 2 && in_filesystems_ && name == "name") filesystem_ = value;
  }
  void number(int depth, std::string_view name, std::uint64_t value) override {
    if (depth == 3 && in_snapshots_ && name == tosnap_) guid_ = value;
  }

 private:
  std::string_view tosnap_;
  std::function<void(std::string_view, std::uint64_t)> found_;
  bool in_filesystems_ = false;
  bool in_snapshots_ = false;
  std::string_view filesystem_;
  std::optional<std::uint64_t> guid_;
};

}  // namespace

Status Arrivals::expect(std::vector<std::byte> list) {
  ZF_ASSERT(list.size() <= limits::kOuterListBytesMax);
  *this = {};
  list_ = std::move(list);
  TosnapFinder tosnap;
  if (Status status = read_nvlist(list_, tosnap); !status) return status;
  if (!tosnap.tosnap) return {};
  tosnap_ = *tosnap.tosnap;
  SnapshotFinder snapshots(tosnap_, [this](std::string_view filesystem, std::uint64_t guid) {
    snapshots_.push_back({.guid = guid, .filesystem = filesystem});
  });
  if (Status status = read_nvlist(list_, snapshots); !status) return status;
  std::stable_sort(snapshots_.begin(), snapshots_.end(), [](const auto& x, const auto& y) { return x.guid < y.guid; });
  missing_ = snapshots_.size();
  return {};
}

void Arrivals::seen(std::uint64_t toguid) {
  auto at = std::lower_bound(snapshots_.begin(), snapshots_.end(), toguid,
                             [](const Snapshot& snapshot, std::uint64_t guid) { return snapshot.guid < guid; });
  for (; at != snapshots_.end() && at->guid == toguid && !at->seen; ++at) {
    at->seen = true;
    --missing_;
  }
}

std::string Arrivals::missing_names(std::size_t names_max) const {
  std::string text;
  std::size_t named = 0;
  for (const Snapshot& snapshot : snapshots_) {
    if (snapshot.seen) continue;
    if (named == names_max) break;
    if (named++ > 0) text += ", ";
    text += escaped(snapshot.filesystem) + "@" + escaped(tosnap_);
  }
  if (missing_ > named) text += " and " + std::to_string(missing_ - named) + " more";
  return text;
}

void Arrivals::save(SavedWriter& out) const {
  std::vector<std::byte> seen((snapshots_.size() + 7) / 8);
  for (std::size_t i = 0; i < snapshots_.size(); ++i) {
    if (snapshots_[i].seen) seen[i / 8] |= std::byte{1} << (i % 8);
  }
  out.bytes(list_).bytes(seen);
}

void Arrivals::restore(SavedReader& in) {
  *this = {};
  const ConstBytes list = in.bytes("list of snapshots", limits::kOuterListBytesMax);
  const ConstBytes seen = in.bytes("arrivals", limits::kOuterListBytesMax);
  if (!list.empty()) in.check("list of snapshots", expect({list.begin(), list.end()}).ok());
  if (!in.check("arrivals", seen.size() == (snapshots_.size() + 7) / 8)) return;
  for (std::size_t i = 0; i < snapshots_.size(); ++i) {
    snapshots_[i].seen = (seen[i / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
    if (snapshots_[i].seen) --missing_;
  }
}

}  // namespace zferry::zstream
