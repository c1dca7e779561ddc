#include "zstream/context_state.h"

#include <limits>

#include "base/limits.h"

namespace zferry::zstream {

namespace {

constexpr std::uint64_t kToTheEnd = std::numeric_limits<std::uint64_t>::max();
// Real ones have up to a few KiB. With what else is saved they fit into kContextBytesMax.
constexpr std::size_t kBeginBytesMax = 512 * limits::KiB;
constexpr std::size_t kHeadBytesMax = 1024 * limits::KiB;

Error unfit_error(const std::string& why) { return {Fault::kStreamDamaged, why, {}}; }

void append(std::vector<std::byte>& to, ConstBytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace

StreamPlace place_of(const RecordHeader& record) {
  switch (record.type()) {
    case RecordType::kSpill: return {record.object, kToTheEnd};  // behind the object's content
    case RecordType::kFreeObjects: {
      const std::uint64_t more = record.length == 0 ? 0 : record.length - 1;
      return {record.object > kToTheEnd - more ? kToTheEnd : record.object + more, kToTheEnd};
    }
    default: return {record.object, record.offset};
  }
}

void StreamContext::State::follow(ConstBytes bytes) {
  if (!unfit.empty()) return;
  if (Status status = reader.read(bytes, *this); !status) give_up(status.error().what);
}

void StreamContext::State::give_up(const std::string& why) {
  *this = State();
  unfit = why;
}

RecordHeader StreamContext::State::begin_header() const {
  ZF_ASSERT(begun());
  const auto record = decode_record(ConstBytes(begin).first(kRecordBytes), reader.swapped());
  ZF_ASSERT(record.ok());
  return *record;
}

Status StreamContext::State::header(const RecordHeader& record, ConstBytes bytes) {
  switch (record.type()) {
    case RecordType::kBegin: return on_begin(record, bytes);
    case RecordType::kWriteByref: return unfit_error("it is deduplicated: ZFS cannot resume such a stream");
    case RecordType::kObjectRange: range.assign(bytes.begin(), bytes.end()); return {};
    case RecordType::kObject:
      head.clear();
      object = record.object;
      content_seen = false;
      return keep_in_head(record, bytes);
    case RecordType::kEnd: return {};
    default: break;
  }
  return belongs_to_head(record) ? keep_in_head(record, bytes) : pass(record);
}

Status StreamContext::State::on_begin(const RecordHeader& record, ConstBytes bytes) {
  if (begun()) return unfit_error("it holds more than one snapshot");
  if (header_kind(record.versioninfo) != kHeaderSubstream) {
    return unfit_error(
        "it is a compound stream (of zfs send -R, -p, -I and the like): a resume token is of one snapshot");
  }
  if (has_feature(record.versioninfo, kFeatureDedup)) {
    return unfit_error("it is deduplicated: ZFS cannot resume such a stream");
  }
  if (record.payload_bytes > kBeginBytesMax) return unfit_error("its BEGIN is longer than any that is known");
  append(begin, bytes);
  hold = Hold::kBegin;
  return {};
}

// ZFS frees what lies behind an object's end, and sends a spill block that has not changed, right after OBJECT.
bool StreamContext::State::belongs_to_head(const RecordHeader& record) const {
  if (!has_object() || content_seen || record.object != object) return false;
  if (record.is(RecordType::kFree)) return record.length >= kToTheEnd - record.offset;
  return record.is(RecordType::kSpill);
}

Status StreamContext::State::keep_in_head(const RecordHeader& record, ConstBytes bytes) {
  if (head.size() + bytes.size() + record.payload_bytes > kHeadBytesMax) {
    return unfit_error("the head of object " + std::to_string(record.object) + " is longer than any that is known");
  }
  append(head, bytes);
  hold = Hold::kHead;
  return {};
}

Status StreamContext::State::pass(const RecordHeader& record) {
  const StreamPlace place = place_of(record);
  if (record.is(RecordType::kWrite) || record.is(RecordType::kWriteEmbedded)) {
    if (place < last_write) return unfit_error("its writes go backwards, which ZFS does not take");
    last_write = place;
  }
  if (has_object() && record.object == object) content_seen = true;
  if (!any_passed || passed < place) passed = place;
  any_passed = true;
  return {};
}

void StreamContext::State::payload(ConstBytes piece) {
  if (hold == Hold::kBegin) append(begin, piece);
  if (hold == Hold::kHead) append(head, piece);
}

bool StreamContext::State::is_before(const RecordHeader& record, const ResumeToken& token) const {
  switch (record.type()) {
    case RecordType::kBegin:
    case RecordType::kWriteByref: return true;  // header() says what is wrong with them
    case RecordType::kEnd: return false;
    case RecordType::kObject:
    case RecordType::kObjectRange: return record.object <= token.object;
    default: break;
  }
  if (belongs_to_head(record)) return true;
  return place_of(record) < StreamPlace{token.object, token.offset};
}

bool StreamContext::State::lies_before(const ResumeToken& token) const {
  if (!unfit.empty() || reader.closed()) return false;
  if (!begun()) return true;
  if (!check_identity(token)) return false;
  if (any_passed && !(passed < StreamPlace{token.object, token.offset})) return false;
  if (has_object() && object > token.object) return false;  // the head of the token's object is gone
  if (range.empty()) return true;
  const auto record = decode_record(range, reader.swapped());
  ZF_ASSERT(record.ok());
  return record->object <= token.object;
}

Status StreamContext::State::check_identity(const ResumeToken& token) const {
  const RecordHeader record = begin_header();
  const bool raw = has_feature(record.versioninfo, kFeatureRaw);
  if (record.toguid == token.toguid && record.fromguid == token.fromguid && raw == token.raw) return {};
  auto told = [](std::uint64_t toguid, std::uint64_t fromguid, bool is_raw, std::string_view name) {
    return escaped(name) + " (guid " + std::to_string(toguid) + ", " +
           (fromguid == 0 ? "in full" : "from guid " + std::to_string(fromguid)) + (is_raw ? ", raw)" : ")");
  };
  return Error{Fault::kDifferentStream,
               "the resume token is of another stream: of " +
                   told(token.toguid, token.fromguid, token.raw, token.toname) + "; this one is of " +
                   told(record.toguid, record.fromguid, raw, record.toname),
               "finish or abort the other one: zfs send -t TOKEN, or zfs receive -A DATASET"};
}

}  // namespace zferry::zstream
