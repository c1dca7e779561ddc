// InputReader: the source's first stage: reads the input into buffers and cuts it into blocks, as slices of them: no
// copy. A block ends where a leaf ends, at the input's end, at the length that is wanted now, or as soon as somebody
// downstream would take what there is: bytes never wait for a block to fill.
#pragma once

#include <functional>
#include <memory>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "io/byte_stream.h"
#include "io/loop.h"

namespace zferry::pipeline {

class InputReader {
 public:
  struct Events {
    std::function<bool()> hungry;            // whether a block that is cut now would be worked on at once
    std::function<bool()> room;              // whether more may be read ahead; else read_on() is called when it may
    std::function<std::size_t()> length;     // of the next block at most
    std::function<void(flow::Slice)> block;  // the next bytes of the stream, 1..leaf_bytes, never across a leaf's end
    std::function<void()> ended;
    std::function<void(Error)> failed;
  };
  // REQUIRES: the pool's buffers hold leaf_bytes, and read_on() is called when one comes back. Each block that is out
  // holds its buffer.
  InputReader(io::ByteStream& input, flow::BufferPool& pool, std::size_t leaf_bytes, Events events);
  void read_on();
  // Cuts what was read so far, if the downstream is hungry for it.
  void offer();

 private:
  void read_done(Result<std::size_t> count);
  void cut(bool all);

  io::ByteStream& input_;
  flow::BufferPool& pool_;
  const std::size_t leaf_bytes_;
  Events events_;
  flow::Buffer buffer_;
  std::size_t cut_ = 0;     // of the buffer: given downstream
  std::size_t filled_ = 0;  // of the buffer: read
  bool reading_ = false;
  bool over_ = false;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
