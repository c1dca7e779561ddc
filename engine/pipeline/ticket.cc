#include "pipeline/ticket.h"

#include <sodium.h>

#include "seal/blake2b.h"

namespace zferry::pipeline {
namespace {

wire::Id proof_of(const seal::SecretBytes& key, const wire::Join& join, const Transcript& transcript) {
  wire::Id proof;
  seal::Blake2b(proof.size(), key.bytes())
      .add("zferry join")
      .add(transcript)
      .add(join.session)
      .add_u64(join.incarnation)
      .finish(proof);
  return proof;
}

}  // namespace

Ticket::Ticket(const seal::SecretBytes& leaf_key, std::uint64_t incarnation) : incarnation_(incarnation) {
  seal::Blake2b(session_.size(), leaf_key.bytes()).add("zferry session").finish(session_);
  seal::Blake2b(seal::kKeyBytes, leaf_key.bytes()).add("zferry join key").finish(key_.writable());
}

wire::Join Ticket::join(const Transcript& transcript) const {
  wire::Join join{session_, incarnation_, {}};
  join.proof = proof_of(key_, join, transcript);
  return join;
}

bool Ticket::proves(const wire::Join& join, const Transcript& transcript) const {
  wire::Id right = proof_of(key_, join, transcript);
  return join.session == session_ && sodium_memcmp(right.data(), join.proof.data(), right.size()) == 0;
}

}  // namespace zferry::pipeline
