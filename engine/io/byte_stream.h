// ByteStream: a pipe, socket, terminal or file as a flow of bytes, by completions. Every back end (poll, io_uring, sim)
// keeps this contract; tests/contract/ holds them to it.
//
// Threading: all calls and all completions on the loop's thread.
// Completions: each is called once, from the loop, never from inside the call that started it. Destroying the stream
// cancels: its completions are then never called, only destroyed, and not before the kernel is done with the memory of
// the operation. So a completion that owns (captures) the buffer keeps it alive exactly as long as it must.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::io {

using SizeDone = std::function<void(Result<std::size_t>)>;

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Reads 1..into.size() bytes, what there is, as soon as there is some; 0 is the end. One read at a time.
  // Errors: kLinkLost on a socket, kInputFailed elsewhere.
  virtual void read(Bytes into, SizeDone done) = 0;
  // Writes all of `from`, then completes with from.size(). One write at a time.
  // Errors: kLinkLost on a socket, kOutputFailed elsewhere (EPIPE comes as an error, never as a signal).
  virtual void write(ConstBytes from, SizeDone done) = 0;
  // On a socket: no more writes; what was written still goes out, then the peer reads an end. Elsewhere: nothing.
  virtual void shutdown_write() = 0;
  // What was written to a regular file is on disk; elsewhere there is nothing to do, and `done` is called at once.
  // Errors: kOutputFailed.
  virtual void sync(std::function<void(Status)> done) { done({}); }
  // Bytes written to a pipe that its reader has not taken yet; 0 where that cannot be known.
  virtual std::size_t unread() const = 0;
  // "192.0.2.7:9443", "[2001:db8::1]:9443", "standard input": for messages and for limits per address.
  virtual std::string name() const = 0;
};

}  // namespace zferry::io
