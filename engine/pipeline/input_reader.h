// InputReader: the source's first stage: reads the input into buffers and cuts it into blocks, as slices of them: no
// copy, but of what stands behind the last block of a buffer that is full. Where a block ends is its owner's to say.
#pragma once

#include <functional>
#include <memory>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "io/byte_stream.h"
#include "io/loop.h"

namespace zferry::pipeline {

// Why a block should be cut now.
enum class CutFor {
  kLength,  // it is long enough, if it is
  kHunger,  // somebody downstream would take what there is: bytes never wait for a block to fill
  kPause,   // the input is slow: what makes sense by itself goes
  kMust,    // nothing more fits in, or nothing more comes
};

class InputReader {
 public:
  struct Cut {
    std::size_t bytes = 0;     // of the next block; 0: none yet. REQUIRES, for kMust: > 0
    bool ends_buffer = false;  // what follows had better begin a buffer
  };
  struct Events {
    std::function<bool()> hungry;          // whether a block that is cut now would be worked on at once
    std::function<bool()> room;            // whether more may be read ahead; else read_on() is called when it may
    std::function<void(ConstBytes)> read;  // the next bytes of the stream
    std::function<std::size_t(std::size_t there)> more;     // how many may be read behind `there` waiting bytes
    std::function<Cut(std::size_t there, CutFor why)> cut;  // where the next block ends, of `there` waiting bytes
    std::function<void(flow::Slice)> block;                 // the next block, as it was cut
    std::function<void()> ended;
    std::function<void(Error)> failed;
  };
  // REQUIRES: read_on() is called when a buffer comes back to the pool. Each block that is out holds its buffer.
  InputReader(io::ByteStream& input, flow::BufferPool& pool, std::size_t buffer_bytes, Events events);
  void read_on();
  // Cuts what was read so far, if the downstream is hungry for it.
  void offer();
  bool waits_for_input() const { return reading_; }
  // Cuts what was read so far, for that reason.
  void cut(CutFor why);

 private:
  void read_done(Result<std::size_t> count);
  bool renew_buffer();
  std::size_t there() const { return buffer_ ? filled_ - cut_ : 0; }

  io::ByteStream& input_;
  flow::BufferPool& pool_;
  const std::size_t buffer_bytes_;
  Events events_;
  flow::Buffer buffer_;
  std::size_t cut_ = 0;     // of the buffer: given downstream
  std::size_t filled_ = 0;  // of the buffer: read
  bool reading_ = false;
  bool over_ = false;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
