// The two handshake messages of a lane: their one size, their clear prologue, their padding, and how each end makes and
// reads them. docs/PROTOCOL.md, "Handshake". Sans I/O; Dialler and Answerer mirror each other. One lane each; one
// thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/host.h"
#include "pipeline/lane_keys.h"
#include "pipeline/settings.h"

namespace zferry::pipeline {

// Who has a secret, where that stands in place of keys.
Principal principal_of_secret(const seal::SecretBytes& secret);

// The dialling end: message 1 out, message 2 in.
class Dialler {
 public:
  // `joins`: the lane is meant for a session that runs. REQUIRES: credentials with `own` and `peer`, or `secret`.
  Dialler(const Host& host, const Credentials& credentials, const LaneSettings& lane, wire::Role role, bool joins);
  std::vector<std::byte> first_message();
  // Fills in all of `lane` but its stream. Errors: kNotAllowed, kProtocol, kBusy, …: what the listener said, or that it
  // did not open.
  Status read_answer(ConstBytes message, EstablishedLane& lane);

 private:
  wire::Role role_;
  std::string own_text_;  // this end's public key, for the error of one that does not allow it
  wire::Offer offer_;
  std::vector<std::byte> prologue_;
  Principal principal_{};
  std::optional<seal::Handshake> handshake_;
};

// The listening end: message 1 in, message 2 out, the dialler's first frame in. Nothing is claimed, allocated or
// started before that.
class Answerer {
 public:
  Answerer(const Host& host, const Credentials& credentials, const LaneSettings& lane, wire::Role role);
  // `busy`: no further lane of this kind (whether it means to join a session) is wanted now. The answer to a message 1
  // that opens; a refusal inside it is told to the dialler alone. Errors: kNotAllowed or kProtocol: what came is not
  // answered at all.
  Result<std::vector<std::byte>> answer(ConstBytes message, const std::function<bool(bool joins)>& busy);
  // Why the dialler was refused in the answer; kNone when it was not.
  Fault refusal() const { return refusal_; }
  // Who claims to be there, after answer(): not proven yet.
  const Principal& claimed() const { return principal_; }
  // The dialler's first frame, JOIN: it proves that the dialler is there now. Fills in all of `lane` but its stream.
  // Errors: kNotAllowed, kProtocol.
  Status read_proof(ConstBytes frame, EstablishedLane& lane);

 private:
  Fault judge(const wire::Offer& offer, const std::function<bool(bool joins)>& busy);

  const Host& host_;
  const Credentials& credentials_;
  const LaneSettings& settings_;
  wire::Role role_;
  Fault refusal_ = Fault::kNone;
  seal::Cipher cipher_ = seal::Cipher::kChaCha20Poly1305;
  Principal principal_{};
  std::optional<seal::Handshake> handshake_;
};

// The dialler's first frame: its length on the wire, and it, sealed by a lane that has its keys.
std::size_t proof_bytes();
std::vector<std::byte> seal_proof(EstablishedLane& lane);

}  // namespace zferry::pipeline
