#include "zstream/record_reader.h"

#include <algorithm>

#include "base/limits.h"

namespace zferry::zstream {

namespace {
Error damaged(const std::string& why) { return {Fault::kStreamDamaged, why, {}}; }
}  // namespace

Status RecordReader::read(ConstBytes bytes, Sink& sink) {
  while (!bytes.empty()) {
    if (closed_) return damaged("more follows its END");
    std::size_t taken = 0;
    if (payload_left_ > 0) {
      taken = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, bytes.size()));
      payload_left_ -= taken;
      sink.payload(bytes.first(taken));
      if (payload_left_ == 0) end_record(sink);
    } else if (held_bytes_ == 0 && bytes.size() >= kRecordBytes) {
      taken = kRecordBytes;
      if (Status status = take_header(bytes.first(taken), sink); !status) return status;
    } else {
      taken = std::min(kRecordBytes - held_bytes_, bytes.size());
      std::copy_n(bytes.begin(), taken, held_.begin() + static_cast<std::ptrdiff_t>(held_bytes_));
      held_bytes_ += taken;
      if (held_bytes_ == kRecordBytes) {
        held_bytes_ = 0;
        if (Status status = take_header(held_, sink); !status) return status;
      }
    }
    bytes = bytes.subspan(taken);
  }
  return {};
}

Status RecordReader::take_header(ConstBytes bytes, Sink& sink) {
  if (!begun_) {
    swapped_ = match_begin(bytes, true) == BeginMatch::kYes;
    if (!swapped_ && match_begin(bytes, false) != BeginMatch::kYes) return damaged("it is no ZFS stream");
    begun_ = true;
  }
  Result<RecordHeader> record = decode_record(bytes, swapped_);
  if (!record) return damaged("one of its records " + record.error().what);
  if (!record->known()) return damaged("it holds a record of the unknown type " + std::to_string(record->type_number));
  closing_ = record->is(RecordType::kEnd);
  payload_left_ = record->payload_bytes;
  if (Status status = sink.header(*record, bytes); !status) return status;
  if (payload_left_ == 0) end_record(sink);
  return {};
}

void RecordReader::end_record(Sink& sink) {
  closed_ = closing_;
  sink.end();
}

RecordReader::Position RecordReader::position() const {
  return {begun_, swapped_, closed_, payload_left_, ConstBytes(held_).first(held_bytes_)};
}

std::optional<RecordReader> RecordReader::at(const Position& position) {
  const bool busy = position.payload_left > 0 || position.closed || position.swapped;
  if (position.held.size() >= kRecordBytes || (!position.begun && busy)) return std::nullopt;
  if (!position.held.empty() && (position.payload_left > 0 || position.closed)) return std::nullopt;
  if (position.closed && position.payload_left > 0) return std::nullopt;
  if (position.payload_left > limits::kBeginPayloadBytesMax) return std::nullopt;
  RecordReader reader;
  reader.begun_ = position.begun;
  reader.swapped_ = position.swapped;
  reader.closed_ = position.closed;
  reader.payload_left_ = position.payload_left;
  reader.held_bytes_ = position.held.size();
  std::copy_n(position.held.begin(), position.held.size(), reader.held_.begin());
  return reader;
}

}  // namespace zferry::zstream
