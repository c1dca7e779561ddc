// ByteStream: a pipe, socket, terminal or file as a flow of bytes, by completions. Every back end (poll, io_uring, sim)
// keeps this contract; tests/contract/ holds them to it.
//
// Threading: all calls and all completions on the loop's thread.
// Completions: each is called once, from the loop, never from inside the call that started it. Destroying the stream
// cancels: its completions are then never called, only destroyed, and not before the kernel is done with the memory of
// the operation. So a completion that owns (captures) the buffer keeps it alive exactly as long as it must.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace zferry::io {

// What the kernel knows of a connection. Fields that it does not tell are zero.
struct LinkFacts {
  Duration rtt{0};
  Duration rtt_min{0};
  std::uint64_t acked_bytes = 0;  // of ours, by the other end's kernel
  Duration buffer_limited{0};     // how long the send buffer was what held us back
  std::size_t send_buffer_bytes = 0;
  std::string congestion;  // the algorithm's name
};
// What an end would like of its connection; what the kernel does not know or allow is left as it is.
struct LinkWishes {
  std::string congestion;             // empty: as it is
  std::size_t send_buffer_bytes = 0;  // at least; 0: as it is
  std::size_t unsent_bytes = 0;       // that may wait in the kernel before they can go; 0: as it is
};

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
  virtual void sync(std::function<void(Status)> done) { std::exchange(done, nullptr)({}); }
  // Bytes written to a pipe that its reader has not taken yet; 0 where that cannot be known.
  virtual std::size_t unread() const = 0;
  // Nothing where this is no connection, or nothing is known of it.
  virtual std::optional<LinkFacts> link_facts() const { return {}; }
  virtual void wish(const LinkWishes&) {}
  // "192.0.2.7:9443", "[2001:db8::1]:9443", "standard input": for messages and for limits per address.
  virtual std::string name() const = 0;
};

}  // namespace zferry::io
