// StreamWriter: builds a send stream record by record, the mirror of RecordWalker: for tests, and for resuming streams
// that are made without the sender. It computes every checksum. What it is told is our own doing, so a wrong call is a
// bug. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "zstream/fletcher4.h"
#include "zstream/format.h"

namespace zferry::zstream {

class StreamWriter {
 public:
  struct Options {
    bool swapped = false;   // write in the other byte order
    bool checksums = true;  // false: leave them zero, as old senders do
  };
  StreamWriter() = default;
  explicit StreamWriter(Options options) : options_(options) {}

  struct Begin {
    std::uint64_t header_kind = kHeaderSubstream;
    std::uint64_t features = 0;  // from bit 0
    std::uint64_t creation_time = 0;
    std::uint64_t toguid = 0;
    std::uint64_t fromguid = 0;
    std::uint32_t flags = 0;
    std::string_view toname;  // at most 255 bytes
  };
  void begin(const Begin& begin, ConstBytes payload = {});
  // The bonus is padded to 8 bytes, but for a raw one.
  void object(std::uint64_t object, ConstBytes bonus, bool raw = false);
  void free_objects(std::uint64_t first, std::uint64_t count);
  // compression 0: logical_bytes must be the payload's.
  void write(std::uint64_t object, std::uint64_t offset, std::uint64_t logical_bytes, ConstBytes payload,
             std::uint8_t compression = 0);
  void free(std::uint64_t object, std::uint64_t offset, std::uint64_t length);
  // Closes what the last begin() opened.
  void end();
  // Closes a compound stream: an END without any checksum.
  void end_compound();
  void write_byref(std::uint64_t object, std::uint64_t offset, std::uint64_t length);
  void spill(std::uint64_t object, std::uint64_t length,
             ConstBytes payload);  // compressed where it is shorter than length
  // The payload is padded to 8 bytes.
  void write_embedded(std::uint64_t object, std::uint64_t offset, std::uint32_t logical_bytes, ConstBytes payload);
  void object_range(std::uint64_t first, std::uint64_t slots);
  void redact(std::uint64_t object, std::uint64_t offset, std::uint64_t length);

  // Any record from its first 280 bytes (BEGIN: all 312), in the writer's byte order, and its whole payload; checksums
  // are made anew. REQUIRES: header.size() == kRecordBytes, and the payload is as long as the header says.
  void record(ConstBytes header, ConstBytes payload);

  // What was written since the last take().
  ConstBytes bytes() const { return out_; }
  std::vector<std::byte> take();

 private:
  class Header;
  Header start(RecordType type) const;
  void place(Header& header, RecordType type, std::uint64_t object, std::uint64_t offset, std::uint64_t length) const;
  void put(const Header& header, ConstBytes payload);
  void put_padded(const Header& header, ConstBytes payload);
  void put_checksum(std::size_t at);
  void put_record(ConstBytes header, ConstBytes payload, bool checksums);
  void sum(ConstBytes bytes);

  Options options_;
  std::uint64_t toguid_ = 0;
  Fletcher4 running_;
  std::vector<std::byte> out_;
};

}  // namespace zferry::zstream
