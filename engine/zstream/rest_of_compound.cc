#include "zstream/rest_of_compound.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace zferry::zstream {
namespace {

constexpr std::size_t kStubBytesMax = 64 * limits::KiB;  // with its payload, the keys of an encrypted file system

}  // namespace

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
  if (top_begins_) stub_.insert(stub_.end(), piece.begin(), piece.end());
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
    if (Status begun = begin(*record, out); !begun) return begun;
  } else if (!inside_) {
    way_ = Way::kPass;  // the END of all
    put_stub(out);
  }
  closing_ = record->is(RecordType::kEnd);
  payload_left_ = record->payload_bytes;
  if (Status taken = take(bytes, out); !taken) return taken;
  if (payload_left_ == 0) end_record();
  return {};
}

Status RestOfCompound::begin(const RecordHeader& record, std::vector<std::byte>& out) {
  inside_ = true;
  way_ = Way::kPass;
  const std::size_t at = std::min(record.toname.find('@'), record.toname.size());
  const std::string name(record.toname.substr(0, at));
  if (top_.empty()) {
    top_ = name;
    place_ = received_.place_of(name);
  }
  if (header_kind(record.versioninfo) != kHeaderSubstream) {
    compound_ = true;
    return {};
  }
  const bool below = name == top_ || name.starts_with(top_ + "/");
  if (!below) {  // nobody knows where that goes
    put_stub(out);
    return {};
  }
  const std::string here = place_ + name.substr(top_.size());
  const auto there = received_.snapshots.find(here + std::string(record.toname.substr(at)));
  if (there != received_.snapshots.end() && there->second == record.toguid && name != going_on_) {
    way_ = Way::kLeaveOut;
    ++left_out_;
    top_begins_ = compound_ && name == top_ && record.payload_bytes <= kStubBytesMax;
    if (top_begins_) stub_.clear();
    return {};
  }
  going_on_ = name;
  if (name == top_) stub_.clear();  // it stands for itself
  put_stub(out);
  const auto token = received_.tokens.find(here);
  if (token == received_.tokens.end() || token->second.toguid != record.toguid) return {};
  auto resuming = ResumingStream::begin(StreamContext(), token->second);
  if (!resuming) return resuming.take_error();
  resuming_ = std::move(*resuming);
  way_ = Way::kResume;
  return {};
}

// A snapshot that is there already, as its own increment and empty: ZFS passes over it. Tried: a BEGIN alone is not
// enough, and a full one is refused.
void RestOfCompound::put_stub(std::vector<std::byte>& out) {
  if (stub_.empty()) return;
  const ConstBytes guid = ConstBytes(stub_).subspan(field::kBeginToguid, 8);
  auto record = [&, swapped = swapped_](RecordType type, std::size_t guid_at) {
    std::array<std::byte, kRecordBytes> bytes{};
    auto number = static_cast<std::uint32_t>(type);
    store_at(Bytes(bytes), 0, swapped ? swap_bytes(number) : number);
    std::copy(guid.begin(), guid.end(), bytes.begin() + static_cast<std::ptrdiff_t>(guid_at));
    return bytes;
  };
  const auto nothing = record(RecordType::kFreeObjects, field::kPlaces[2].toguid);
  const auto end = record(RecordType::kEnd, field::kPlaces[5].toguid);
  std::copy_n(guid.begin(), 8, stub_.begin() + field::kFromguid);
  for (ConstBytes part : {ConstBytes(stub_), ConstBytes(nothing), ConstBytes(end)})
    out.insert(out.end(), part.begin(), part.end());
  stub_.clear();
}

void RestOfCompound::end_record() {
  top_begins_ = false;
  if (!closing_) return;
  over_ = !inside_;
  inside_ = false;
  closing_ = false;
}

}  // namespace zferry::zstream
