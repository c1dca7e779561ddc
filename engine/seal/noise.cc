// The two handshake patterns as token lists, and the walk over them that writing and reading share. Source: the Noise
// Protocol Framework, revision 34, sections 5.3, 7.5 (IK) and 9 (the psk modifier).
#include "seal/noise.h"

#include <algorithm>
#include <string_view>

#include "seal/noise_symmetric.h"

namespace zferry::seal {
namespace {

constexpr std::size_t kTagBytes = NoiseSymmetric::kTagBytes;
constexpr std::size_t kMessageBytesMax = 65535;  // of any Noise message

enum class Token { kE, kS, kEe, kEs, kSe, kSs, kPsk };
using enum Token;

struct Pattern {
  std::string_view name;
  std::array<std::vector<Token>, 2> messages;
  bool psk;
};

const Pattern& ik_pattern() {
  static const Pattern pattern{"Noise_IK_25519_ChaChaPoly_BLAKE2b", {{{kE, kEs, kS, kSs}, {kE, kEe, kSe}}}, false};
  return pattern;
}
const Pattern& nnpsk0_pattern() {
  static const Pattern pattern{"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b", {{{kPsk, kE}, {kE, kEe}}}, true};
  return pattern;
}

Error refused(const char* why) { return {Fault::kNotAllowed, std::string("handshake: ") + why, {}}; }

}  // namespace

struct Handshake::State {
  State(const Pattern& of, const Dh& with, RandomSource& from, bool is_initiator)
      : pattern(of), dh(with), random(from), initiator(is_initiator), symmetric(of.name) {}

  const Pattern& pattern;
  const Dh& dh;
  RandomSource& random;
  const bool initiator;
  NoiseSymmetric symmetric;
  SecretBytes own, own_ephemeral, psk;
  PublicKey own_public{}, own_ephemeral_public{};
  std::optional<PublicKey> peer, peer_ephemeral;
  std::size_t next = 0;  // the message whose turn it is
  bool failed = false;
  bool taken = false;
  bool has_ephemeral = false;

  bool our_turn() const { return (next == 0) == initiator; }
  std::size_t overhead(std::size_t message) const;
  void make_ephemeral();
  bool mix_dh(Token token);
  void write_token(Token token, std::vector<std::byte>& message);
  Status read_token(Token token, ConstBytes& rest);
  Status read(ConstBytes message, std::vector<std::byte>& payload);
};

std::size_t Handshake::State::overhead(std::size_t message) const {
  std::size_t bytes = kTagBytes;
  for (Token token : pattern.messages[message]) {
    if (token == kE) bytes += kKeyBytes;
    if (token == kS) bytes += kKeyBytes + kTagBytes;
  }
  return bytes;
}

void Handshake::State::make_ephemeral() {
  own_ephemeral = SecretBytes::random(random);
  own_ephemeral_public = dh.public_of(own_ephemeral);
  has_ephemeral = true;
}

// The first letter of es and se is the initiator's key, the second the responder's.
bool Handshake::State::mix_dh(Token token) {
  const bool with_own_static = token == kSs || token == (initiator ? kSe : kEs);
  const bool with_peer_static = token == kSs || token == (initiator ? kEs : kSe);
  SecretBytes shared;
  if (!dh.shared(with_own_static ? own : own_ephemeral, with_peer_static ? *peer : *peer_ephemeral, shared))
    return false;
  symmetric.mix_key(shared.bytes());
  return true;
}

void Handshake::State::write_token(Token token, std::vector<std::byte>& message) {
  switch (token) {
    case kE:
      if (!has_ephemeral) make_ephemeral();
      message.insert(message.end(), own_ephemeral_public.begin(), own_ephemeral_public.end());
      symmetric.mix_hash(own_ephemeral_public);
      if (pattern.psk) symmetric.mix_key(own_ephemeral_public);
      return;
    case kS: symmetric.encrypt_and_hash(own_public, message); return;
    case kPsk: symmetric.mix_key_and_hash(psk.bytes()); return;
    default:
      // Keys of low order were refused where they came in: the peer's ephemeral and claimed static key when message 1
      // was read, a static key of the configuration by its parser.
      ZF_ASSERT(mix_dh(token));
  }
}

Status Handshake::State::read_token(Token token, ConstBytes& rest) {
  switch (token) {
    case kE:
      peer_ephemeral.emplace();
      std::ranges::copy(rest.first(kKeyBytes), peer_ephemeral->begin());
      rest = rest.subspan(kKeyBytes);
      symmetric.mix_hash(*peer_ephemeral);
      if (pattern.psk) symmetric.mix_key(*peer_ephemeral);
      return {};
    case kS: {
      std::vector<std::byte> key;
      if (!symmetric.decrypt_and_hash(rest.first(kKeyBytes + kTagBytes), key))
        return refused("it does not open: made for another key, or damaged");
      rest = rest.subspan(kKeyBytes + kTagBytes);
      peer.emplace();
      std::ranges::copy(key, peer->begin());
      return {};
    }
    case kPsk: symmetric.mix_key_and_hash(psk.bytes()); return {};
    default:
      if (!mix_dh(token)) return refused("the peer's key is of low order");
      return {};
  }
}

Status Handshake::State::read(ConstBytes message, std::vector<std::byte>& payload) {
  if (failed) return refused("it has failed already");
  if (next >= 2 || our_turn()) return refused("no message is expected now");
  if (message.size() < overhead(next) || message.size() > kMessageBytesMax) return refused("wrong length");
  for (Token token : pattern.messages[next])
    if (Status status = read_token(token, message); !status) return status;
  if (!symmetric.decrypt_and_hash(message, payload))
    return refused("it does not open: a wrong key or secret, or damage");
  if (pattern.psk && next == 0) {
    // Message 1 of NNpsk0 does no DH, so the low-order check that IK makes on the way is made here.
    make_ephemeral();
    SecretBytes unused;
    if (!dh.shared(own_ephemeral, *peer_ephemeral, unused)) return refused("the peer's key is of low order");
  }
  return {};
}

Handshake::Handshake(std::unique_ptr<State> state) : state_(std::move(state)) {}
Handshake::Handshake(Handshake&&) noexcept = default;
Handshake& Handshake::operator=(Handshake&&) noexcept = default;
Handshake::~Handshake() = default;

Handshake Handshake::ik_initiator(const Dh& dh, RandomSource& random, const SecretBytes& own, const PublicKey& peer,
                                  ConstBytes prologue) {
  auto state = std::make_unique<State>(ik_pattern(), dh, random, true);
  state->own = own.copy();
  state->own_public = dh.public_of(own);
  state->peer = peer;
  state->symmetric.mix_hash(prologue);
  state->symmetric.mix_hash(peer);
  return Handshake(std::move(state));
}

Handshake Handshake::ik_responder(const Dh& dh, RandomSource& random, const SecretBytes& own, ConstBytes prologue) {
  auto state = std::make_unique<State>(ik_pattern(), dh, random, false);
  state->own = own.copy();
  state->own_public = dh.public_of(own);
  state->symmetric.mix_hash(prologue);
  state->symmetric.mix_hash(state->own_public);
  return Handshake(std::move(state));
}

Handshake Handshake::nnpsk0(const Dh& dh, RandomSource& random, bool initiator, const SecretBytes& secret,
                            ConstBytes prologue) {
  auto state = std::make_unique<State>(nnpsk0_pattern(), dh, random, initiator);
  state->psk = secret.copy();
  state->symmetric.mix_hash(prologue);
  return Handshake(std::move(state));
}

std::size_t Handshake::overhead(int message) const {
  ZF_ASSERT(message == 1 || message == 2);
  return state_->overhead(static_cast<std::size_t>(message - 1));
}

std::vector<std::byte> Handshake::write_message(ConstBytes payload) {
  State& state = *state_;
  ZF_ASSERT(!state.failed && state.next < 2 && state.our_turn());
  const std::size_t bytes = state.overhead(state.next) + payload.size();
  ZF_ASSERT(bytes <= kMessageBytesMax);
  std::vector<std::byte> message;
  message.reserve(bytes);
  for (Token token : state.pattern.messages[state.next]) state.write_token(token, message);
  state.symmetric.encrypt_and_hash(payload, message);
  ++state.next;
  return message;
}

Result<std::vector<std::byte>> Handshake::read_message(ConstBytes message) {
  std::vector<std::byte> payload;
  if (Status status = state_->read(message, payload); !status) {
    state_->failed = true;
    return status.take_error();
  }
  ++state_->next;
  return payload;
}

std::optional<PublicKey> Handshake::remote_static() const {
  if (state_->failed || state_->next == 0) return std::nullopt;
  return state_->peer;
}

bool Handshake::complete() const { return !state_->failed && state_->next == 2; }

HandshakeKeys Handshake::take_keys() {
  ZF_ASSERT(complete() && !state_->taken);
  state_->taken = true;
  auto [from_initiator, from_responder] = state_->symmetric.split();
  HandshakeKeys keys{std::move(from_initiator), std::move(from_responder), state_->symmetric.hash(), state_->peer};
  if (!state_->initiator) std::swap(keys.send, keys.receive);
  return keys;
}

}  // namespace zferry::seal
