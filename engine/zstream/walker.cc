#include "zstream/walker.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "zstream/walker_state.h"

namespace zferry::zstream {

namespace {

// Fewer bytes than this are no reason to call an input a cut ZFS stream: up to here a BEGIN is all zeros but for its
// length.
constexpr std::size_t kTellingBytes = 12;
constexpr std::size_t kMissingNamesMax = 3;

std::string type_text(std::uint32_t type) {
  if (type < kRecordTypes) return std::string(record_type_name(static_cast<RecordType>(type)));
  return "unknown type " + std::to_string(type);
}

}  // namespace

Error RecordWalker::State::damaged(const std::string& why) const {
  return {Fault::kStreamDamaged,
          "stream record " + std::to_string(record) + " (" + type_text(type) + ") at byte " +
              std::to_string(record_offset) + ": " + why,
          "send the snapshot again"};
}

Status RecordWalker::State::walk(ConstBytes bytes) {
  std::size_t offset = 0;
  Status status;
  while (offset < bytes.size() && status) {
    const ConstBytes rest = bytes.subspan(offset);
    std::size_t taken = rest.size();
    if (phase == Phase::kHeader) {
      taken = take_header(rest, offset, status);
    } else if (phase == Phase::kPayload) {
      taken = take_payload(rest, offset, status);
    }
    offset += taken;
    summary.stream_bytes += taken;
  }
  return status;
}

// How many bytes of `rest` were taken; `offset` is where `rest` lies in the piece.
std::size_t RecordWalker::State::take_header(ConstBytes rest, std::size_t offset, Status& status) {
  if (held_bytes == 0) record_offset = summary.stream_bytes;
  if (held_bytes == 0 && rest.size() >= kRecordBytes) {
    const ConstBytes header = rest.first(kRecordBytes);
    if (place == Place::kOutside && !starts_a_stream(header)) {
      become_opaque();
      return 0;
    }
    status = on_header(header, offset);
    return kRecordBytes;
  }
  const std::size_t taken = std::min(kRecordBytes - held_bytes, rest.size());
  std::copy_n(rest.begin(), taken, held.begin() + static_cast<std::ptrdiff_t>(held_bytes));
  held_bytes += taken;
  if (place == Place::kOutside && !starts_a_stream(ConstBytes(held).first(held_bytes))) {
    become_opaque();
  } else if (held_bytes == kRecordBytes) {
    held_bytes = 0;
    status = on_header(held, std::nullopt);
  }
  return taken;
}

// False as soon as it is certain that what follows is no BEGIN.
bool RecordWalker::State::starts_a_stream(ConstBytes prefix) {
  for (bool other_order : {false, true}) {
    const BeginMatch match = match_begin(prefix, other_order);
    if (match == BeginMatch::kMaybe) return true;
    if (match == BeginMatch::kYes) {
      swapped = other_order;
      planner.set_swapped(other_order);
      if (summary.kind == Kind::kUndecided) {
        summary.kind = Kind::kZfs;
        summary.byte_swapped = other_order;
      }
      return true;
    }
  }
  return false;
}

void RecordWalker::State::become_opaque() {
  phase = Phase::kOpaque;
  held_bytes = 0;
  if (summary.kind == Kind::kUndecided) {
    summary.kind = Kind::kOpaque;
  } else {
    summary.opaque_rest = true;
    summary.opaque_from = record_offset;
  }
}

// `offset` is the header's place in the piece; nothing where it came in pieces.
Status RecordWalker::State::on_header(ConstBytes bytes, std::optional<std::size_t> offset) {
  Result<RecordHeader> decoded = decode_record(bytes, swapped);
  type = load<std::uint32_t>(bytes, field::kType);
  if (swapped) type = swap_bytes(type);
  if (!decoded) return damaged(decoded.error().what);
  const RecordHeader& header = *decoded;
  if (!header.known() && place == Place::kSubstream) {
    // A sender newer than we are, or damage: where the sender left a checksum, the verifier can tell which.
    plan_header(header, bytes, offset);
    become_opaque();
    return {};
  }
  if (Status status = check_place(header); !status) return status;
  plan_header(header, bytes, offset);
  ++summary.records[header.type_number];
  if (header.is(RecordType::kBegin)) {
    if (Status status = on_begin(header, bytes); !status) return status;
  }
  if (header.is(RecordType::kEnd)) on_end();
  payload_left = header.payload_bytes;
  phase = Phase::kPayload;
  return payload_left == 0 ? on_payload_end() : Status{};
}

Status RecordWalker::State::check_place(const RecordHeader& header) const {
  const bool begin = header.is(RecordType::kBegin);
  const bool end = header.is(RecordType::kEnd);
  if (begin && header.magic != kBeginMagic) return damaged("its magic number is wrong");
  switch (place) {
    case Place::kOutside:
      ZF_ASSERT(begin);  // or it would not have been taken for the start of a stream
      return {};
    case Place::kOuterList:
      if (!end) return damaged("END must follow the BEGIN that opens a compound stream");
      return {};
    case Place::kBetween:
      if (begin && header_kind(header.versioninfo) == kHeaderCompound)
        return damaged("a compound stream inside another");
      if (!begin && !end) return damaged("a record outside of BEGIN and END");
      return {};
    case Place::kSubstream:
      if (begin) return damaged("a BEGIN before the END of " + toname);
      return {};
  }
  return {};
}

Status RecordWalker::State::on_begin(const RecordHeader& header, ConstBytes bytes) {
  const std::uint64_t kind = header_kind(header.versioninfo);
  if (kind != kHeaderSubstream && kind != kHeaderCompound) {
    return damaged("it opens neither a substream nor a compound stream (header type " + std::to_string(kind) + ")");
  }
  toname = escaped(header.toname);
  toguid = header.toguid;
  summary.incompressible_payloads =
      has_feature(header.versioninfo, kFeatureRaw) || has_feature(header.versioninfo, kFeatureCompressed);
  if (identifying) {
    summary.toname = toname;
    identity.header(bytes);
  }
  if (kind == kHeaderCompound) {
    place = Place::kOuterList;
    in_compound = true;
    summary.compound = true;
    arrivals = {};
    collecting = header.payload_bytes > 0 && header.payload_bytes <= limits::kOuterListBytesMax;
    if (header.payload_bytes > limits::kOuterListBytesMax) summary.arrivals_unchecked = true;
    if (collecting) outer_list.reserve(static_cast<std::size_t>(header.payload_bytes));  // within its bound
    return {};
  }
  place = Place::kSubstream;
  if (!substream_seen) {
    substream_seen = true;
    summary.toguid = header.toguid;
    summary.fromguid = header.fromguid;
  }
  return {};
}

void RecordWalker::State::on_end() {
  switch (place) {
    case Place::kSubstream:
      ++summary.snapshots;
      if (in_compound) arrivals.seen(toguid);
      place = in_compound ? Place::kBetween : Place::kOutside;
      return;
    case Place::kOuterList: place = Place::kBetween; return;
    case Place::kBetween:
      if (missing == 0) missing_names = arrivals.missing_names(kMissingNamesMax);
      missing += arrivals.missing();
      arrivals = {};
      in_compound = false;
      place = Place::kOutside;
      return;
    case Place::kOutside: ZF_ASSERT(false);  // check_place() lets only a BEGIN in
  }
}

std::size_t RecordWalker::State::take_payload(ConstBytes rest, std::size_t offset, Status& status) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left, rest.size()));
  const ConstBytes bytes = rest.first(taken);
  planner.sum(offset, bytes);
  if (identifying) {
    identity.payload(bytes);
    if (identity.full()) end_identity();  // the source holds what it reads until it is known what it is
  }
  if (collecting) outer_list.insert(outer_list.end(), bytes.begin(), bytes.end());
  payload_left -= taken;
  summary.payload_bytes += taken;
  if (payload_left == 0) status = on_payload_end();
  return taken;
}

void RecordWalker::State::end_identity() {
  identity.finish();
  identifying = false;
}

Status RecordWalker::State::on_payload_end() {
  planner.end_run();
  if (identifying) end_identity();
  if (collecting) {
    collecting = false;
    if (Status status = arrivals.expect(std::exchange(outer_list, {})); !status) return damaged(status.error().what);
  }
  ++record;
  phase = Phase::kHeader;
  return {};
}

void RecordWalker::State::plan_header(const RecordHeader& header, ConstBytes bytes, std::optional<std::size_t> offset) {
  auto sum = [&](std::size_t from, std::size_t count) {
    if (offset) {
      planner.sum(*offset + from, bytes.subspan(from, count));
    } else {
      planner.sum_held(bytes.subspan(from, count));
    }
  };
  if (header.is(RecordType::kBegin)) {
    planner.reset();
    sum(0, kRecordBytes);
    return;
  }
  plan_compare(header.end_checksum);  // END says the running value before itself
  sum(0, kChecksumOffset);
  plan_compare(header.checksum);
  sum(kChecksumOffset, kChecksumBytes);
}

void RecordWalker::State::plan_compare(const Fletcher4& expected) {
  if (expected.is_zero()) return;  // the sender left it out, as receivers accept
  planner.compare({.what = ChecksumStep::What::kCompare,
                   .type = type,
                   .record = record,
                   .stream_offset = record_offset,
                   .expected = expected});
}

Status RecordWalker::State::finish() {
  if (place == Place::kOutside && held_bytes < kTellingBytes && (held_bytes > 0 || summary.kind == Kind::kUndecided)) {
    become_opaque();
  }
  const bool unknown_rest = phase == Phase::kOpaque && place != Place::kOutside;
  if (summary.kind == Kind::kOpaque || unknown_rest) return {};
  if (phase == Phase::kHeader && held_bytes > 0) {
    return incomplete("it is cut in record " + std::to_string(record) + ", after " + std::to_string(held_bytes) +
                      " of the " + std::to_string(kRecordBytes) + " bytes of its header");
  }
  if (phase == Phase::kPayload) {
    return incomplete("it is cut in record " + std::to_string(record) + " (" + type_text(type) + ") at byte " +
                      std::to_string(record_offset) + ": " + std::to_string(payload_left) +
                      " bytes of its payload are missing");
  }
  if (place == Place::kSubstream || place == Place::kOuterList)
    return incomplete("the END of " + toname + " is missing");
  if (place == Place::kBetween) return incomplete("the END of the whole compound stream is missing");
  if (missing > 0) {
    summary.missing_snapshots = missing;
    return incomplete("its list of snapshots names " + std::to_string(missing) +
                      " that did not come: " + missing_names);
  }
  return {};
}

Error RecordWalker::State::incomplete(const std::string& why) const {
  return {Fault::kStreamIncomplete,
          "the stream ended too early, after " + std::to_string(summary.stream_bytes) + " bytes: " + why,
          "see what zfs send said, and send again"};
}

RecordWalker::RecordWalker() : state_(std::make_unique<State>()) {}
RecordWalker::RecordWalker(RecordWalker&&) noexcept = default;
RecordWalker& RecordWalker::operator=(RecordWalker&&) noexcept = default;
RecordWalker::~RecordWalker() = default;

Result<ChecksumPlan> RecordWalker::walk(ConstBytes bytes) {
  ZF_ASSERT(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  State& state = *state_;
  if (state.failed) return *state.failed;
  if (Status status = state.walk(bytes); !status) {
    state.failed = status.error();
    return *state.failed;
  }
  return state.planner.take();
}

Status RecordWalker::finish() {
  if (state_->failed) return *state_->failed;
  return state_->finish();
}

const WalkSummary& RecordWalker::summary() const { return state_->summary; }

std::optional<std::array<std::byte, 32>> RecordWalker::identity() const { return state_->identity.value(); }

bool RecordWalker::identified() const {
  return state_->summary.kind == Kind::kOpaque || state_->identity.value().has_value();
}

std::vector<std::byte> RecordWalker::save() const { return state_->save(); }

Result<RecordWalker> RecordWalker::restore(ConstBytes saved) {
  RecordWalker walker;
  if (Status status = walker.state_->restore(saved); !status) return status.take_error();
  return walker;
}

}  // namespace zferry::zstream
