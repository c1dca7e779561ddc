#include "zstream/resuming_stream.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "zstream/context_state.h"
#include "zstream/nvlist_writer.h"
#include "zstream/running_sum.h"

namespace zferry::zstream {

namespace {

constexpr std::uint64_t kResuming = std::uint64_t{1} << (2 + kFeatureResuming);

Error cannot_resume(const std::string& why) {
  return {Fault::kStreamDamaged, "no resuming stream can be made of the stored stream: " + why,
          "discard what was received with zfs receive -A DATASET, and send again"};
}

}  // namespace

struct ResumingStream::State : public RecordReader::Sink {
  std::unique_ptr<StreamContext::State> before;  // its reader takes the stream apart all the way
  ResumeToken token;
  bool reached = false;
  std::optional<RunningSum> sum;
  std::vector<std::byte>* out = nullptr;  // during feed()
  std::optional<Error> failed;

  Status header(const RecordHeader& record, ConstBytes bytes) override;
  void payload(ConstBytes piece) override;
  void end() override;

  Status take(const RecordHeader& record, ConstBytes bytes);
  Status check_place(const RecordHeader& record) const;
  Status reach(const RecordHeader& record);
  Status emit_begin();
  void emit_kept(ConstBytes records);
  void emit_header(ConstBytes bytes, bool is_end);
  void emit_payload(ConstBytes piece);
  void emit_sum(std::size_t at);
};

Status ResumingStream::State::header(const RecordHeader& record, ConstBytes bytes) {
  Status status = take(record, bytes);
  if (!status) failed = status.error();
  return status;
}

Status ResumingStream::State::take(const RecordHeader& record, ConstBytes bytes) {
  if (!reached) {
    if (!before->begun() || before->is_before(record, token)) {
      if (Status status = before->header(record, bytes); !status) return cannot_resume(status.error().what);
      return record.is(RecordType::kBegin) ? before->check_identity(token) : Status{};
    }
    if (Status status = reach(record); !status) return status;
  }
  if (record.is(RecordType::kBegin) || record.is(RecordType::kWriteByref)) {
    return cannot_resume(before->header(record, bytes).error().what);  // it refuses these
  }
  emit_header(bytes, record.is(RecordType::kEnd));
  return {};
}

void ResumingStream::State::payload(ConstBytes piece) {
  if (!reached) return before->payload(piece);
  emit_payload(piece);
}

void ResumingStream::State::end() {
  if (!reached) return before->end();
  sum->end_payload();
}

// The write at which ZFS stopped comes again, so it is known whether the stream is the one that ZFS had begun to take.
// Before the first write the place is a made-up one, {1, 0}.
Status ResumingStream::State::check_place(const RecordHeader& record) const {
  if (token.object == 1 && token.offset == 0) return {};
  const bool write = record.is(RecordType::kWrite) || record.is(RecordType::kWriteEmbedded);
  if (write && record.object == token.object && record.offset == token.offset && before->has_object() &&
      before->object == token.object) {
    return {};
  }
  return Error{Fault::kDifferentStream,
               "the stored stream has no write at the place of the resume token (object " +
                   std::to_string(token.object) + ", offset " + std::to_string(token.offset) +
                   "): it was made in another way than what ZFS had begun to receive",
               "finish that one with zfs send -t TOKEN, or discard it with zfs receive -A DATASET"};
}

// `record` is the first that ZFS does not have, or has to get again.
Status ResumingStream::State::reach(const RecordHeader& record) {
  if (Status status = check_place(record); !status) return status;
  reached = true;
  sum.emplace(before->reader.swapped());
  if (Status status = emit_begin(); !status) return status;
  emit_kept(before->range);
  if (before->has_object() && before->object == token.object) emit_kept(before->head);
  return {};
}

Status ResumingStream::State::emit_begin() {
  const bool swapped = before->reader.swapped();
  const std::array<NvNumber, 2> place{{{"resume_object", token.object}, {"resume_offset", token.offset}}};
  const ConstBytes list = ConstBytes(before->begin).subspan(kRecordBytes);
  // ZFS takes natively encoded lists of its own byte order only.
  Result<std::vector<std::byte>> changed =
      list.empty() ? make_nvlist(place, swapped ? NvEncoding::kXdr : NvEncoding::kNative) : set_numbers(list, place);
  if (!changed) return cannot_resume("its BEGIN: " + changed.error().what);

  std::array<std::byte, kRecordBytes> bytes;
  std::copy_n(before->begin.begin(), bytes.size(), bytes.begin());
  auto payload_bytes = static_cast<std::uint32_t>(changed->size());
  store_at(Bytes(bytes), field::kBeginPayloadBytes, swapped ? swap_bytes(payload_bytes) : payload_bytes);
  const std::uint64_t versioninfo = before->begin_header().versioninfo | kResuming;
  store_at(Bytes(bytes), field::kVersionInfo, swapped ? swap_bytes(versioninfo) : versioninfo);
  emit_payload(bytes);  // a BEGIN carries no checksum
  emit_payload(*changed);
  sum->end_payload();
  return {};
}

// Whole records.
void ResumingStream::State::emit_kept(ConstBytes records) {
  while (!records.empty()) {
    const ConstBytes bytes = records.first(kRecordBytes);
    const auto record = decode_record(bytes, before->reader.swapped());
    ZF_ASSERT(record.ok());
    const auto payload_bytes = static_cast<std::size_t>(record->payload_bytes);
    emit_header(bytes, false);
    emit_payload(records.subspan(kRecordBytes, payload_bytes));
    sum->end_payload();
    records = records.subspan(kRecordBytes + payload_bytes);
  }
}

void ResumingStream::State::emit_header(ConstBytes bytes, bool is_end) {
  const std::size_t start = out->size();
  out->insert(out->end(), bytes.begin(), bytes.end());
  if (is_end) emit_sum(start + field::kEndChecksum);
  sum->add(ConstBytes(*out).subspan(start, kChecksumOffset));
  emit_sum(start + kChecksumOffset);
  sum->add(ConstBytes(*out).subspan(start + kChecksumOffset, kChecksumBytes));
}

void ResumingStream::State::emit_payload(ConstBytes piece) {
  out->insert(out->end(), piece.begin(), piece.end());
  sum->add(piece);
}

void ResumingStream::State::emit_sum(std::size_t at) {
  const Fletcher4& value = sum->value();
  for (std::uint64_t part : {value.a, value.b, value.c, value.d}) {
    store_at(Bytes(*out), at, before->reader.swapped() ? swap_bytes(part) : part);
    at += sizeof part;
  }
}

ResumingStream::ResumingStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ResumingStream::ResumingStream(ResumingStream&&) noexcept = default;
ResumingStream& ResumingStream::operator=(ResumingStream&&) noexcept = default;
ResumingStream::~ResumingStream() = default;

Result<ResumingStream> ResumingStream::begin(StreamContext before, const ResumeToken& token) {
  const StreamContext::State& context = *before.state_;
  if (!context.unfit.empty()) return cannot_resume(context.unfit);
  if (context.begun()) {
    if (Status status = context.check_identity(token); !status) return status.take_error();
  }
  if (!context.lies_before(token)) return cannot_resume("it is not kept from the place of the resume token on");
  auto state = std::make_unique<State>();
  state->before = std::move(before.state_);
  state->token = token;
  return ResumingStream(std::move(state));
}

Status ResumingStream::feed(ConstBytes original, std::vector<std::byte>& out) {
  State& state = *state_;
  if (state.failed) return *state.failed;
  state.out = &out;
  const Status status = state.before->reader.read(original, state);
  state.out = nullptr;
  if (status) return {};
  if (!state.failed) state.failed = cannot_resume(status.error().what);
  return *state.failed;
}

}  // namespace zferry::zstream
