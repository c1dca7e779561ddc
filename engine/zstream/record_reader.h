// RecordReader: takes one substream apart, in whatever pieces it comes: whole headers, payloads as they come. It holds
// nothing but a header that is not complete. It judges no more than it needs to; RecordWalker does. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/format.h"

namespace zferry::zstream {

class RecordReader {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    // A record of a known type begins; the first is a BEGIN. `bytes` is its whole header.
    virtual Status header(const RecordHeader& record, ConstBytes bytes) = 0;
    virtual void payload(ConstBytes piece) = 0;  // never empty
    virtual void end() = 0;                      // the record is complete
  };

  // Errors: kStreamDamaged: no ZFS stream, a record that is not known or too long, bytes after END; and the sink's.
  // After an error nothing may be read any more.
  Status read(ConstBytes bytes, Sink& sink);

  bool swapped() const { return swapped_; }
  bool closed() const { return closed_; }  // END has come
  std::uint64_t payload_left() const { return payload_left_; }

  // What read() depends on, to be kept elsewhere.
  struct Position {
    bool begun = false;  // the first header was complete: `swapped` counts
    bool swapped = false;
    bool closed = false;
    std::uint64_t payload_left = 0;
    ConstBytes held;  // of a header, in the reader's memory
  };
  Position position() const;
  // Nothing where position() cannot have given that.
  static std::optional<RecordReader> at(const Position& position);

 private:
  Status take_header(ConstBytes bytes, Sink& sink);
  void end_record(Sink& sink);

  bool begun_ = false;
  bool swapped_ = false;
  bool closed_ = false;
  bool closing_ = false;  // the record in hand is END
  std::uint64_t payload_left_ = 0;
  std::array<std::byte, kRecordBytes> held_{};
  std::size_t held_bytes_ = 0;
};

}  // namespace zferry::zstream
