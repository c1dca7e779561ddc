#include "zstream/stream_context.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <sodium.h>

#include "base/limits.h"
#include "zstream/context_state.h"

namespace zferry::zstream {

namespace {

// What is saved, little-endian: version, the numbers below, five pieces of bytes each with its length before it, and
// BLAKE2b-256 of all that.
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kUnfitBytesMax = 512;

std::array<std::byte, kHashBytes> hash_of(ConstBytes bytes) {
  ZF_ASSERT(sodium_init() >= 0);
  std::array<std::byte, kHashBytes> hash;
  crypto_generichash(as_uchar(Bytes(hash)), hash.size(), as_uchar(bytes), bytes.size(), nullptr, 0);
  return hash;
}

class Saver {
 public:
  template <class T>
  void put(T value) {
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void piece(ConstBytes piece) {
    put(static_cast<std::uint32_t>(piece.size()));
    bytes(piece);
  }
  std::vector<std::byte> finish() {
    bytes(hash_of(out_));
    return std::move(out_);
  }

 private:
  void bytes(ConstBytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::byte> out_;
};

// Gives zeros and nothing once something was missing: ok() is asked at the end.
class Loader {
 public:
  explicit Loader(ConstBytes from) : left_(from) {}
  template <class T>
  T take() {
    const ConstBytes bytes = some(sizeof(T));
    return bytes.size() == sizeof(T) ? load<T>(bytes) : T{};
  }
  bool flag() {
    const auto value = take<std::uint8_t>();
    ok_ &= value < 2;
    return value == 1;
  }
  ConstBytes piece() { return some(take<std::uint32_t>()); }
  bool ok() const { return ok_ && left_.empty(); }

 private:
  ConstBytes some(std::size_t count) {
    ok_ &= count <= left_.size();
    if (!ok_) return {};
    const ConstBytes bytes = left_.first(count);
    left_ = left_.subspan(count);
    return bytes;
  }
  ConstBytes left_;
  bool ok_ = true;
};

// The head is made of whole records of this object, but for the end of the last one, of which `missing` bytes are still
// to come.
bool is_head(ConstBytes head, std::uint64_t object, bool swapped, std::uint64_t missing) {
  for (bool first = true; !head.empty(); first = false) {
    if (head.size() < kRecordBytes) return false;
    const auto record = decode_record(head.first(kRecordBytes), swapped);
    if (!record || !record->known() || record->is(RecordType::kObject) != first || record->object != object)
      return false;
    if (!first && !record->is(RecordType::kFree) && !record->is(RecordType::kSpill)) return false;
    head = head.subspan(kRecordBytes);
    if (record->payload_bytes > head.size()) return record->payload_bytes - head.size() == missing;
    head = head.subspan(static_cast<std::size_t>(record->payload_bytes));
  }
  return missing == 0;
}

bool is_consistent(const StreamContext::State& state) {
  using Hold = StreamContext::State::Hold;
  const std::uint64_t left = state.reader.payload_left();
  const bool swapped = state.reader.swapped();
  if (!state.begun()) {
    const auto at = state.reader.position();
    return !at.begun && state.hold == Hold::kNone && state.range.empty() && state.head.empty();
  }
  if (!state.reader.position().begun || state.begin.size() < kRecordBytes) return false;
  const auto begin = decode_record(ConstBytes(state.begin).first(kRecordBytes), swapped);
  if (!begin || !begin->is(RecordType::kBegin) || begin->magic != kBeginMagic) return false;
  const std::uint64_t begin_left = state.hold == Hold::kBegin ? left : 0;
  if (begin->payload_bytes != state.begin.size() - kRecordBytes + begin_left) return false;
  if (state.hold != Hold::kNone && left == 0) return false;
  if (!state.range.empty()) {
    if (state.range.size() != kRecordBytes) return false;
    const auto range = decode_record(state.range, swapped);
    if (!range || !range->is(RecordType::kObjectRange)) return false;
  }
  if (state.hold == Hold::kHead && state.head.empty()) return false;
  return is_head(state.head, state.object, swapped, state.hold == Hold::kHead ? left : 0);
}

Error not_saved() {
  return {Fault::kStoreFailed, "a checkpoint's record of the ZFS stream is damaged, or of another version", {}};
}

}  // namespace

StreamContext::StreamContext() : state_(std::make_unique<State>()) {}
StreamContext::StreamContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
StreamContext::StreamContext(StreamContext&&) noexcept = default;
StreamContext& StreamContext::operator=(StreamContext&&) noexcept = default;
StreamContext::~StreamContext() = default;

void StreamContext::follow(ConstBytes bytes) { state_->follow(bytes); }
bool StreamContext::resumable() const { return state_->unfit.empty(); }
bool StreamContext::lies_before(const ResumeToken& token) const { return state_->lies_before(token); }

std::vector<std::byte> StreamContext::save() const {
  const State& state = *state_;
  const RecordReader::Position at = state.reader.position();
  Saver saver;
  saver.put(kVersion);
  for (bool flag : {at.begun, at.swapped, at.closed, state.content_seen, state.any_passed}) {
    saver.put(static_cast<std::uint8_t>(flag));
  }
  saver.put(static_cast<std::uint8_t>(state.hold));
  for (std::uint64_t number : {at.payload_left, state.object, state.passed.object, state.passed.offset,
                               state.last_write.object, state.last_write.offset}) {
    saver.put(number);
  }
  saver.piece(at.held);
  saver.piece(state.begin);
  saver.piece(state.range);
  saver.piece(state.head);
  saver.piece(as_bytes(std::string_view(state.unfit).substr(0, kUnfitBytesMax)));
  std::vector<std::byte> saved = saver.finish();
  ZF_ASSERT(saved.size() <= kContextBytesMax);
  return saved;
}

Result<StreamContext> StreamContext::restore(ConstBytes saved) {
  if (saved.size() < kHashBytes || saved.size() > kContextBytesMax) return not_saved();
  const ConstBytes content = saved.first(saved.size() - kHashBytes);
  const auto hash = hash_of(content);
  if (!std::ranges::equal(hash, saved.last(kHashBytes))) return not_saved();

  Loader loader(content);
  auto state = std::make_unique<State>();
  if (loader.take<std::uint32_t>() != kVersion) return not_saved();
  RecordReader::Position at;
  for (bool* flag : {&at.begun, &at.swapped, &at.closed, &state->content_seen, &state->any_passed})
    *flag = loader.flag();
  const auto hold = loader.take<std::uint8_t>();
  if (hold > static_cast<std::uint8_t>(State::Hold::kHead)) return not_saved();
  state->hold = static_cast<State::Hold>(hold);
  for (std::uint64_t* number : {&at.payload_left, &state->object, &state->passed.object, &state->passed.offset,
                                &state->last_write.object, &state->last_write.offset}) {
    *number = loader.take<std::uint64_t>();
  }
  at.held = loader.piece();
  for (std::vector<std::byte>* kept : {&state->begin, &state->range, &state->head}) {
    const ConstBytes piece = loader.piece();
    kept->assign(piece.begin(), piece.end());
  }
  state->unfit = as_text(loader.piece());
  const std::optional<RecordReader> reader = RecordReader::at(at);
  if (!loader.ok() || !reader) return not_saved();
  state->reader = *reader;
  if (!is_consistent(*state)) return not_saved();
  return StreamContext(std::move(state));
}

}  // namespace zferry::zstream
