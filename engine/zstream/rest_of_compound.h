// RestOfCompound: makes, from a compound stream (`zfs send -R`, `-I`, `-p`) and what ZFS has of it, the stream that
// brings the rest: the outer BEGIN with its list and the last END as they came, the snapshot that ZFS holds a part of
// from its resume token on, those that it has left out, all others as they are. Where nothing of the stream's first
// file system is left, a stub of its last snapshot stands for it: libzfs takes the first that it is fed for the top of
// all. ZFS takes that in one `zfs receive` of the same words, with and without -s, -F, -d and -e (docs/decisions/0011).
// One thread; holds no payload but a BEGIN's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "zstream/format.h"
#include "zstream/remainder.h"
#include "zstream/resume_token.h"
#include "zstream/resuming_stream.h"

namespace zferry::zstream {

// What a receiving ZFS has: by name, so that a copy elsewhere, or what has the guid of a snapshot and is none, is not
// taken for what the stream would make.
struct ReceivedSoFar {
  std::map<std::string, std::uint64_t> snapshots;  // "pool/a@one" -> its guid
  std::map<std::string, ResumeToken> tokens;       // "pool/a" -> of what it keeps a part of
  // Where a stream goes whose first file system has this name with the sender.
  std::function<std::string(const std::string& dataset)> place_of;
};

class RestOfCompound final : public Remainder {
 public:
  // The first byte fed is the stream's first.
  explicit RestOfCompound(ReceivedSoFar received) : received_(std::move(received)) {}
  // Errors also: kStreamDamaged: a record that is of no known type, which nobody can step over.
  Status feed(ConstBytes original, std::vector<std::byte>& out) override;

  // Of the stream so far: snapshots that were left out.
  std::uint64_t left_out() const { return left_out_; }

 private:
  enum class Way { kPass, kLeaveOut, kResume };
  Status take(ConstBytes piece, std::vector<std::byte>& out);
  Status header(ConstBytes bytes, std::vector<std::byte>& out);
  Status begin(const RecordHeader& record, std::vector<std::byte>& out);
  void put_stub(std::vector<std::byte>& out);
  void end_record();
  Status failed(const std::string& why);

  ReceivedSoFar received_;
  bool begun_ = false;
  bool compound_ = false;
  bool swapped_ = false;
  bool inside_ = false;   // between a BEGIN and its END
  bool closing_ = false;  // the record in hand is END
  bool over_ = false;     // the stream's own end has come
  Way way_ = Way::kPass;
  std::optional<ResumingStream> resuming_;
  std::uint64_t payload_left_ = 0;
  std::array<std::byte, kRecordBytes> held_{};  // of a header
  std::size_t held_bytes_ = 0;
  std::uint64_t left_out_ = 0;
  std::string top_;              // the first file system's name with the sender, ...
  std::string place_;            // ... and here
  std::string going_on_;         // a file system of which something is sent: no later snapshot of it is left out
  std::vector<std::byte> stub_;  // BEGIN and its payload of the last snapshot of it that was left out, until it is put
  bool top_begins_ = false;      // the record in hand is that BEGIN
  std::optional<Error> error_;
};

}  // namespace zferry::zstream
