// Streams of our own making that ZFS could be interrupted in, with what `zfs send -t` would make of them at each place,
// and resume tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "unit/zstream/sample_streams.h"
#include "zstream/resume_token.h"
#include "zstream/writer.h"

namespace zferry::zstream::testing {

struct ResumableStream {
  enum class Role { kBegin, kRange, kHead, kWrite, kOther };
  struct Record {
    Role role;
    std::uint64_t object, offset;
    std::size_t start, header_end, end;  // in `bytes`
  };
  StreamWriter::Options options;
  std::uint64_t toguid = 0x5eb0c80c0de050f9, fromguid = 0;
  bool raw = false;
  std::vector<std::byte> bytes;
  std::vector<Record> records;

  std::vector<std::size_t> writes() const;  // where ZFS can stop, by their place in `records`
  ResumeToken token(std::size_t write) const;
  ResumeToken first_token() const;  // nothing was written yet
  // What the resuming stream must be, made by the writer of streams.
  std::vector<std::byte> resumed(const ResumeToken& token, std::size_t from_record) const;
};

struct ResumableShape {
  bool swapped = false;
  bool raw = false;        // with OBJECT_RANGE, an encrypted BEGIN, and payloads of odd lengths
  bool increment = false;  // objects without writes, holes before writes, spill blocks that did not change
  int objects = 8;
  std::size_t payload_bytes_max = 700;
  std::uint64_t toguid = 0x5eb0c80c0de050f9;
  std::uint32_t record_bytes = 4096;  // that a WRITE stands for
  int writes_max = 5;                 // of an object, but one
  // What WRITE records hold, of about so many bytes; nothing: noise.
  std::function<std::vector<std::byte>(SeededRandom& random, std::size_t bytes)> content{};
};
ResumableStream make_resumable(SeededRandom& random, const ResumableShape& shape);

// A token as ZFS writes it.
std::string encode_token(ConstBytes packed);
std::string encode_token(const ResumeToken& token, NvlistBuilder::Encoding encoding = NvlistBuilder::Encoding::kNative);

}  // namespace zferry::zstream::testing
