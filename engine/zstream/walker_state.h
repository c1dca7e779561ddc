// What a RecordWalker knows between two pieces of a stream; walker.cc moves it, walker_saved.cc saves and restores it.
// One thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/saved.h"
#include "zstream/arrivals.h"
#include "zstream/identity.h"
#include "zstream/step_planner.h"
#include "zstream/walker.h"

namespace zferry::zstream {

struct RecordWalker::State {
  // What the next byte belongs to, and where in the nesting of BEGIN and END the current record stands. The numbers of
  // both are saved.
  enum class Phase { kHeader, kPayload, kOpaque };
  enum class Place {
    kOutside,    // before the first BEGIN, or after a stream's own last END
    kOuterList,  // in the BEGIN … END that opens a compound stream
    kBetween,    // in a compound stream, between substreams
    kSubstream,
  };

  WalkSummary summary;
  Phase phase = Phase::kHeader;
  Place place = Place::kOutside;
  bool in_compound = false;
  bool substream_seen = false;
  bool swapped = false;
  std::optional<Error> failed;

  std::uint64_t record = 0;         // the current record's index, or between two the next one's
  std::uint64_t record_offset = 0;  // where the last header began
  std::uint32_t type = 0;
  std::uint64_t payload_left = 0;
  std::array<std::byte, kRecordBytes> held;  // a header that came in pieces
  std::size_t held_bytes = 0;

  std::uint64_t toguid = 0;  // of the current substream, with its name for errors
  std::string toname;
  bool collecting = false;  // the current payload is an outer list
  std::vector<std::byte> outer_list;
  Arrivals arrivals;
  std::uint64_t missing = 0;  // snapshots that compound streams named and ended without
  std::string missing_names;

  StepPlanner planner;
  IdentityHash identity;
  bool identifying = true;  // until the first BEGIN is over

  Status walk(ConstBytes bytes);
  std::size_t take_header(ConstBytes rest, std::size_t offset, Status& status);
  std::size_t take_payload(ConstBytes rest, std::size_t offset, Status& status);
  bool starts_a_stream(ConstBytes prefix);
  void become_opaque();
  Status on_header(ConstBytes header, std::optional<std::size_t> offset);
  Status on_begin(const RecordHeader& header, ConstBytes bytes);
  void on_end();
  Status on_payload_end();
  void end_identity();
  Status check_place(const RecordHeader& header) const;
  void plan_header(const RecordHeader& header, ConstBytes bytes, std::optional<std::size_t> offset);
  void plan_compare(const Fletcher4& expected);
  Status finish();
  // In walker_saved.cc. save() gives nothing where there is nothing to go on with, or not yet.
  std::vector<std::byte> save() const;
  Status restore(ConstBytes saved);
  void save_place(SavedWriter& out) const;
  void restore_place(SavedReader& in);
  bool place_is_possible() const;
  Error damaged(const std::string& why) const;
  Error incomplete(const std::string& why) const;
};

}  // namespace zferry::zstream
