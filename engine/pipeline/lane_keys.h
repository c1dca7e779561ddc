// What a lane has once both ends have proved themselves: the connection, the keys, who is there, and what was agreed.
#pragma once

#include <memory>
#include <optional>

#include "io/byte_stream.h"
#include "pipeline/ticket.h"
#include "seal/lane_cipher.h"
#include "seal/noise.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// The peer as this end knows it: its public key, or for a shared secret a hash of it. Completion records are kept by
// principal.
using Principal = wire::Id;

struct EstablishedLane {
  std::unique_ptr<io::ByteStream> stream;
  seal::Cipher cipher;
  std::unique_ptr<seal::Sealer> sealer;
  std::unique_ptr<seal::Opener> opener;
  Principal principal{};
  Transcript transcript{};  // of the handshake
  wire::Join join{};        // the dialler's: which session the lane is for
};

}  // namespace zferry::pipeline
