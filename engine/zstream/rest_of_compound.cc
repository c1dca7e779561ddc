#include "zstream/rest_of_compound.h"

#include <algorithm>
#include <utility>

namespace zferry::zstream {

RestOfCompound::RestOfCompound(std::vector<std::uint64_t> has, std::vector<ResumeToken> tokens)
    : has_(std::move(has)), tokens_(std::move(tokens)) {
  std::sort(has_.begin(), has_.end());
}

Status RestOfCompound::failed(const std::string& why) {
  error_ = Error{Fault::kStreamDamaged, "the rest of the stored stream cannot be made: " + why, {}};
  return *error_;
}

Status RestOfCompound::feed(ConstBytes original, std::vector<std::byte>& out) {
  if (error_) return *error_;
  while (!original.empty()) {
    std::size_t taken = original.size();
    Status status;
    if (over_) {
      out.insert(out.end(), original.begin(), original.end());
    } else if (payload_left_ > 0) {
      taken = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, taken));
      status = take(original.first(taken), out);
      payload_left_ -= taken;
      if (payload_left_ == 0) end_record();
    } else {
      taken = std::min(kRecordBytes - held_bytes_, taken);
      std::copy_n(original.begin(), taken, held_.begin() + static_cast<std::ptrdiff_t>(held_bytes_));
      held_bytes_ += taken;
      if (held_bytes_ == kRecordBytes) status = header(held_, out);
    }
    if (!status) {
      error_ = status.error();
      return status;
    }
    original = original.subspan(taken);
  }
  return {};
}

// Part of a record, by the way of the substream that it is of.
Status RestOfCompound::take(ConstBytes piece, std::vector<std::byte>& out) {
  if (way_ == Way::kResume) return resuming_->feed(piece, out);
  if (way_ == Way::kPass) out.insert(out.end(), piece.begin(), piece.end());
  return {};
}

Status RestOfCompound::header(ConstBytes bytes, std::vector<std::byte>& out) {
  held_bytes_ = 0;
  if (!begun_) {
    swapped_ = match_begin(bytes, true) == BeginMatch::kYes;
    if (!swapped_ && match_begin(bytes, false) != BeginMatch::kYes) return failed("it is no ZFS stream");
    begun_ = true;
  }
  auto record = decode_record(bytes, swapped_);
  if (!record) return failed("one of its records " + record.error().what);
  if (!record->known()) return failed("it holds a record of the unknown type " + std::to_string(record->type_number));
  if (record->is(RecordType::kBegin)) {
    if (Status begun = begin(*record); !begun) return begun;
  } else if (!inside_) {
    way_ = Way::kPass;  // the END of all
  }
  closing_ = record->is(RecordType::kEnd);
  payload_left_ = record->payload_bytes;
  if (Status taken = take(bytes, out); !taken) return taken;
  if (payload_left_ == 0) end_record();
  return {};
}

Status RestOfCompound::begin(const RecordHeader& record) {
  inside_ = true;
  way_ = Way::kPass;
  if (header_kind(record.versioninfo) != kHeaderSubstream) return {};
  if (std::binary_search(has_.begin(), has_.end(), record.toguid)) {
    way_ = Way::kLeaveOut;
    ++left_out_;
    return {};
  }
  auto token = std::find_if(tokens_.begin(), tokens_.end(), [&](const ResumeToken& known) {
    return known.toguid == record.toguid && known.fromguid == record.fromguid;
  });
  if (token == tokens_.end()) return {};
  auto resuming = ResumingStream::begin(StreamContext(), *token);
  if (!resuming) return resuming.take_error();
  resuming_ = std::move(*resuming);
  way_ = Way::kResume;
  return {};
}

void RestOfCompound::end_record() {
  if (!closing_) return;
  over_ = !inside_;
  inside_ = false;
  closing_ = false;
}

}  // namespace zferry::zstream
