// What can go wrong, as one closed list. A fault travels on the wire, picks the exit code, and tells whether the
// same command may succeed when it is run again. docs/EXIT-CODES.md is the same table for users; a test holds the two
// together.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace zferry {

enum class Fault : std::uint8_t {
  kNone = 0,
  kInternal = 1,           // a bug in zferry, caught
  kUsage = 2,              // the command line
  kConfig = 3,             // a key, peer or allow file: missing, damaged, or readable by others
  kUnreachable = 10,       // no connection could be made (refused, no route, no such name, time-out)
  kLinkLost = 11,          // the lane was cut or fell silent before anything was decided
  kInterrupted = 12,       // SIGINT or SIGTERM on either end
  kBusy = 13,              // the target is in another session
  kOutcomeUnknown = 14,    // FINAL was sent, no FINAL-ACK came back
  kSessionGone = 15,       // the other end was started anew and knows nothing of this session
  kFenced = 16,            // a newer run of the same source took the session over
  kNotAllowed = 20,        // the peer could not prove who it is, or is not on the list
  kProtocol = 21,          // the peer broke the protocol, or speaks another version
  kProducerFailed = 30,    // the producer exited with an error or by a signal
  kStreamDamaged = 31,     // a record, its checksum or its place is wrong
  kStreamIncomplete = 32,  // the input ended before the stream did
  kInputFailed = 33,       // reading the input failed
  kConsumerFailed = 40,    // the consumer exited with an error, by a signal, or before it had taken everything
  kOutputFailed = 41,      // writing the output failed (ENOSPC, EPIPE, EIO)
  kCannotRun = 42,         // a command could not be started
  kStateFailed = 43,       // the state folder cannot be read or written
  kStoreFull = 44,         // the store's capacity, or its disk, does not hold what crash cover needs
  kStoreFailed = 45,       // the store cannot be read or written, is damaged, or is of another key or version
  kDigestMismatch = 50,    // both ends finished and their digests differ
  kDifferentStream = 51,   // what the target holds of this identity has other bytes
};

struct FaultFacts {
  Fault fault;
  std::string_view name;     // stable, for --json and scripts: "link-lost"
  int exit_code;             // what the process returns
  bool retryable;            // the same command may succeed later, unchanged
  std::string_view meaning;  // one clause for people
};

// Facts of a fault; every enumerator has them.
const FaultFacts& facts(Fault fault);
// A fault from a byte that a peer sent; nothing for a number that is not on the list.
std::optional<Fault> fault_from_wire(std::uint8_t byte);

}  // namespace zferry
