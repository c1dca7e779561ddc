// RecordWalker: follows a stream record by record, headers only, in whatever pieces it comes. docs/ARCHITECTURE.md,
// "The stream". It decides what the stream is, names what is wrong with it, and lays out for each piece which bytes its
// fletcher-4 sums cover, so that the sums themselves can be computed elsewhere, on whole blocks in parallel. One
// thread; never holds payload bytes, but for the first BEGIN's list of snapshots (bounded by kOuterListBytesMax).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/checksum_plan.h"
#include "zstream/format.h"

namespace zferry::zstream {

enum class Kind { kUndecided, kZfs, kOpaque };  // their numbers are saved

inline constexpr std::size_t kSavedWalkerBytesMax = std::size_t{20} * 1024 * 1024;

// What has been seen of a stream; the counts include everything walked so far.
struct WalkSummary {
  Kind kind = Kind::kUndecided;
  std::array<std::uint64_t, kRecordTypes> records{};  // by RecordType
  std::uint64_t payload_bytes = 0;
  std::uint64_t stream_bytes = 0;
  std::uint64_t snapshots = 0;  // substreams whose END was seen
  bool byte_swapped = false;
  bool compound = false;
  bool opaque_rest = false;       // from the first unknown record type on, or after the stream's own end
  std::uint64_t opaque_from = 0;  // offset, where opaque_rest
  std::string toname;             // of the first BEGIN, escaped
  std::uint64_t toguid = 0;       // of the first substream
  std::uint64_t fromguid = 0;
  bool incompressible_payloads =
      false;  // the latest BEGIN's features say that its payloads are compressed or encrypted already
  bool arrivals_unchecked =
      false;  // an outer list was longer than kOuterListBytesMax: what it names was not looked for
  std::uint64_t missing_snapshots =
      0;  // that an outer list names and that never came; set by a finish() that fails for this alone
  bool operator==(const WalkSummary&) const = default;
};

class RecordWalker {
 public:
  RecordWalker();
  RecordWalker(RecordWalker&&) noexcept;
  RecordWalker& operator=(RecordWalker&&) noexcept;
  ~RecordWalker();

  // The next bytes of the stream, at most 4 GiB. Gives the plan of the checksums in them. Errors: kStreamDamaged, with
  // record, offset and why (bad magic, length beyond its bound, unbalanced BEGIN and END). After an error nothing more
  // may be walked: the error is repeated.
  Result<ChecksumPlan> walk(ConstBytes bytes);
  // The input ended; decides kind where that was still open. Errors: kStreamIncomplete, with what is missing: END, the
  // rest of a record, snapshots that the outer list names (`zfs send -X` may leave its excluded ones on that list:
  // OpenZFS pull request 18278).
  Status finish();

  const WalkSummary& summary() const;
  // A hash of the whole first BEGIN with its payload, as soon as that is known; nothing for what is not a ZFS stream.
  // Of a payload longer than kOuterListBytesMax only that much is hashed.
  std::optional<std::array<std::byte, 32>> identity() const;
  // True once kind is decided and, for ZFS, identity() is known.
  bool identified() const;

  // So that another process can go on behind the last byte walked, wherever in a record that is: its walker then does
  // what this one would, plans included. (What the plans are summed up to is the ChecksumVerifier's, who is not saved.)
  // At most kSavedWalkerBytesMax; above some KiB only while there is an outer list. Empty, for "not now": between the
  // first header and the identity; and after an error.
  std::vector<std::byte> save() const;
  // Errors: kStoreFailed: not what save() gave. Any bytes at all may be given; but not every change in them is noticed.
  static Result<RecordWalker> restore(ConstBytes saved);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zferry::zstream
