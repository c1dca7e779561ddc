// Ticket: what lets a further lane into a session: both ends derive it from the session's leaf key, which only they
// know. It proves itself anew on each lane, bound to that lane's handshake. docs/PROTOCOL.md, "Joining".
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "seal/keys.h"
#include "seal/noise.h"
#include "wire/messages.h"

namespace zferry::pipeline {

using Transcript = std::array<std::byte, seal::kHandshakeHashBytes>;

class Ticket {
 public:
  // `incarnation`: of the source's run. A newer one of the same session makes the older's ticket void.
  Ticket(const seal::SecretBytes& leaf_key, std::uint64_t incarnation);
  const wire::Id& session() const { return session_; }
  std::uint64_t incarnation() const { return incarnation_; }
  wire::Join join(const Transcript& transcript) const;
  // Whether the sender of this JOIN has the session's key. In constant time.
  bool proves(const wire::Join& join, const Transcript& transcript) const;

 private:
  wire::Id session_{};
  std::uint64_t incarnation_;
  seal::SecretBytes key_;
};

}  // namespace zferry::pipeline
