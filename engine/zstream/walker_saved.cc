// A walker's state as bytes and back: what was seen, the place in the stream, what is still to arrive, the identity.
// The bytes of a place that no walker can be in are refused, so that going on from any bytes at all is safe.
#include <algorithm>

#include "base/limits.h"
#include "zstream/walker_state.h"

namespace zferry::zstream {

namespace {

constexpr std::uint32_t kSavedVersion = 1;
constexpr std::size_t kTonameBytesMax = 4 * field::kTonameBytes;  // escaped
constexpr std::size_t kMissingNamesBytesMax = 16 * limits::KiB;   // Arrivals bounds each of its few names
// An outer list is there once: while it comes, or once it is read. The arrivals take a bit for many bytes of it.
static_assert(limits::kOuterListBytesMax + limits::kOuterListBytesMax / 64 + limits::MiB < kSavedWalkerBytesMax);

void save_summary(SavedWriter& out, const WalkSummary& summary) {
  out.enumerator(summary.kind);
  for (const std::uint64_t count : summary.records) out.integer(count);
  out.integer(summary.payload_bytes).integer(summary.stream_bytes).integer(summary.snapshots);
  out.flag(summary.byte_swapped).flag(summary.compound).flag(summary.opaque_rest).integer(summary.opaque_from);
  out.text(summary.toname).integer(summary.toguid).integer(summary.fromguid);
  out.flag(summary.incompressible_payloads).flag(summary.arrivals_unchecked).integer(summary.missing_snapshots);
}

void restore_summary(SavedReader& in, WalkSummary& summary) {
  summary.kind = in.enumerator("kind", Kind::kOpaque);
  for (std::uint64_t& count : summary.records) count = in.integer<std::uint64_t>("records");
  summary.payload_bytes = in.integer<std::uint64_t>("payload bytes");
  summary.stream_bytes = in.integer<std::uint64_t>("stream bytes");
  summary.snapshots = in.integer<std::uint64_t>("snapshots");
  summary.byte_swapped = in.flag("byte order");
  summary.compound = in.flag("compound");
  summary.opaque_rest = in.flag("opaque rest");
  summary.opaque_from = in.integer<std::uint64_t>("opaque from");
  summary.toname = in.text("name", kTonameBytesMax);
  summary.toguid = in.integer<std::uint64_t>("toguid");
  summary.fromguid = in.integer<std::uint64_t>("fromguid");
  summary.incompressible_payloads = in.flag("incompressible");
  summary.arrivals_unchecked = in.flag("arrivals unchecked");
  summary.missing_snapshots = in.integer<std::uint64_t>("missing snapshots");
}

bool may_begin(ConstBytes prefix) {
  return match_begin(prefix, false) != BeginMatch::kNo || match_begin(prefix, true) != BeginMatch::kNo;
}
bool begins(ConstBytes prefix) {
  return match_begin(prefix, false) == BeginMatch::kYes || match_begin(prefix, true) == BeginMatch::kYes;
}

}  // namespace

std::vector<std::byte> RecordWalker::State::save() const {
  const bool hashing = identifying && place != Place::kOutside;  // the library's state of a hash is not for others
  if (failed || hashing) return {};
  SavedWriter out(kSavedVersion);
  save_summary(out, summary);
  save_place(out);
  out.bytes(outer_list);
  arrivals.save(out);
  out.integer(missing).text(missing_names);
  out.flag(identity.value().has_value());
  if (identity.value()) out.array(*identity.value());
  return out.take();
}

Status RecordWalker::State::restore(ConstBytes saved) {
  SavedReader in("a walk through a stream", kSavedVersion, saved);
  in.check("length", saved.size() <= kSavedWalkerBytesMax);
  restore_summary(in, summary);
  restore_place(in);
  const ConstBytes list = in.bytes("outer list", limits::kOuterListBytesMax);
  arrivals.restore(in);
  missing = in.integer<std::uint64_t>("missing");
  missing_names = in.text("missing names", kMissingNamesBytesMax);
  identifying = !in.flag("identified");
  if (!identifying) identity.restore(in.array<32>("identity"));
  in.check("outer list", collecting ? payload_left <= limits::kOuterListBytesMax - list.size() : list.empty());
  in.check("arrivals", arrivals.empty() || (in_compound && !collecting));
  if (!in.check("place", place_is_possible())) return in.finish();
  if (collecting) outer_list.reserve(list.size() + static_cast<std::size_t>(payload_left));
  outer_list.assign(list.begin(), list.end());
  return in.finish();
}

void RecordWalker::State::save_place(SavedWriter& out) const {
  out.enumerator(phase).enumerator(place).flag(in_compound).flag(substream_seen).flag(swapped).flag(collecting);
  out.integer(record).integer(record_offset).integer(type).integer(payload_left);
  out.bytes(ConstBytes(held).first(held_bytes)).bytes(planner.part());
  out.integer(toguid).text(toname);
}

void RecordWalker::State::restore_place(SavedReader& in) {
  phase = in.enumerator("phase", Phase::kOpaque);
  place = in.enumerator("place", Place::kSubstream);
  in_compound = in.flag("in compound");
  substream_seen = in.flag("substream seen");
  swapped = in.flag("byte order");
  collecting = in.flag("collecting");
  record = in.integer<std::uint64_t>("record");
  record_offset = in.integer<std::uint64_t>("record offset");
  type = in.integer<std::uint32_t>("type");
  payload_left = in.integer<std::uint64_t>("payload", 0, limits::kBeginPayloadBytesMax);
  const ConstBytes header = in.bytes("header", kRecordBytes - 1);
  std::copy(header.begin(), header.end(), held.begin());
  held_bytes = header.size();
  const ConstBytes part = in.bytes("word", 3);
  in.check("word", part.empty() || phase == Phase::kPayload);
  planner.restore(swapped, part);
  toguid = in.integer<std::uint64_t>("toguid");
  toname = in.text("name", kTonameBytesMax);
}

// What walk() relies on, and finish().
bool RecordWalker::State::place_is_possible() const {
  const bool outside = place == Place::kOutside;
  const ConstBytes header = ConstBytes(held).first(held_bytes);
  if (held_bytes > 0 && (phase != Phase::kHeader || (outside && !may_begin(header)))) return false;
  if ((payload_left > 0) != (phase == Phase::kPayload)) return false;
  if (phase == Phase::kPayload && place != Place::kOuterList && place != Place::kSubstream) return false;
  if (collecting && (place != Place::kOuterList || phase != Phase::kPayload)) return false;
  if (place != Place::kSubstream && in_compound == outside) return false;
  switch (summary.kind) {
    case Kind::kUndecided: return phase == Phase::kHeader && outside && identifying && record == 0;
    case Kind::kOpaque: return phase == Phase::kOpaque && outside && identifying;
    case Kind::kZfs: return !identifying || (phase == Phase::kHeader && outside && record == 0 && begins(header));
  }
  return false;
}

}  // namespace zferry::zstream
