// What a StreamContext is: for itself and for ResumingStream, which follows a stream by it as far as the token's place.
// One thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "zstream/record_reader.h"
#include "zstream/resume_token.h"
#include "zstream/stream_context.h"

namespace zferry::zstream {

// A stream is sorted by this: ZFS takes no write that goes backwards.
struct StreamPlace {
  std::uint64_t object = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const StreamPlace&) const = default;
};

struct StreamContext::State : public RecordReader::Sink {
  enum class Hold : std::uint8_t { kNone, kBegin, kHead };

  RecordReader reader;
  std::string unfit;             // why no resuming stream can be made of it; empty: one can, for all that is known
  Hold hold = Hold::kNone;       // where the payload of the record in hand is kept
  std::vector<std::byte> begin;  // BEGIN, as it came
  std::vector<std::byte> range;  // the last OBJECT_RANGE, or empty
  // OBJECT, and what stands at the head of an object before its content: ZFS sends it again in front of a place in that
  // object. Empty before the first object.
  std::vector<std::byte> head;
  std::uint64_t object = 0;   // whose head that is
  bool content_seen = false;  // of that object: what follows is not its head
  bool any_passed = false;    // a record was followed that is not kept
  StreamPlace passed;         // the farthest of them
  StreamPlace last_write;

  // RecordReader::Sink: keeps what must be kept. Errors, here and of read(): such a stream cannot be resumed.
  Status header(const RecordHeader& record, ConstBytes bytes) override;
  void payload(ConstBytes piece) override;
  void end() override { hold = Hold::kNone; }

  void follow(ConstBytes bytes);
  void give_up(const std::string& why);
  bool begun() const { return !begin.empty(); }
  RecordHeader begin_header() const;  // REQUIRES: begun()
  bool has_object() const { return !head.empty(); }
  // Whether a record comes before the token's place, given what was followed. REQUIRES: begun().
  bool is_before(const RecordHeader& record, const ResumeToken& token) const;
  bool lies_before(const ResumeToken& token) const;
  // Errors: kDifferentStream: the token is not of this stream. REQUIRES: begun().
  Status check_identity(const ResumeToken& token) const;

 private:
  Status on_begin(const RecordHeader& record, ConstBytes bytes);
  Status keep_in_head(const RecordHeader& record, ConstBytes bytes);
  Status pass(const RecordHeader& record);
  bool belongs_to_head(const RecordHeader& record) const;
};

// Of a record with content, FREEOBJECTS included: the last place that it touches.
StreamPlace place_of(const RecordHeader& record);

}  // namespace zferry::zstream
