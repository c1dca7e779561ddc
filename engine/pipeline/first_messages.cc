#include "pipeline/first_messages.h"

#include <sodium.h>

#include <algorithm>

#include "wire/frame.h"

namespace zferry::pipeline {
namespace {

// The clear start of message 1, and the prologue that both ends hash into the handshake: magic, version, pattern.
constexpr std::size_t kPrologueBytes = 16;
constexpr char kMagic[] = "zferry\r\n";
constexpr std::uint16_t kHandshakeVersion = 1;
enum class Pattern : std::uint8_t { kIk = 1, kNnPsk0 = 2 };

std::vector<std::byte> make_prologue(Pattern pattern) {
  std::vector<std::byte> prologue(kPrologueBytes);
  std::memcpy(prologue.data(), kMagic, 8);
  store_at<std::uint16_t>(prologue, 8, kHandshakeVersion);
  prologue[10] = static_cast<std::byte>(pattern);
  return prologue;
}

Pattern pattern_of(const Credentials& credentials) { return credentials.secret ? Pattern::kNnPsk0 : Pattern::kIk; }

// A payload, its length before it and zeros behind it, so long that the whole message has the one size of first
// messages.
std::vector<std::byte> padded(const wire::Message& payload, std::size_t room) {
  ZF_ASSERT(payload.size() + 2 <= room);
  std::vector<std::byte> out(room);
  store_at(Bytes(out), 0, static_cast<std::uint16_t>(payload.size()));
  std::copy(payload.begin(), payload.end(), out.begin() + 2);
  return out;
}

Result<ConstBytes> unpadded(ConstBytes bytes) {
  if (bytes.size() < 2) return Error{Fault::kProtocol, "a handshake message is too short", {}};
  auto length = load<std::uint16_t>(bytes);
  if (length > bytes.size() - 2)
    return Error{Fault::kProtocol, "a handshake message gives a length beyond its end", {}};
  return bytes.subspan(2, length);
}

void take_keys(seal::Handshake& handshake, seal::Cipher cipher, const Principal& principal, EstablishedLane& lane) {
  seal::HandshakeKeys keys = handshake.take_keys();
  lane.cipher = cipher;
  lane.sealer = std::make_unique<seal::Sealer>(cipher, std::move(keys.send));
  lane.opener = std::make_unique<seal::Opener>(cipher, std::move(keys.receive));
  lane.principal = principal;
  lane.transcript = keys.transcript;
}

std::string refusal_text(Fault refusal) {
  switch (refusal) {
    case Fault::kNotAllowed: return "the listening end does not allow this key";
    case Fault::kBusy: return "the listening end is in another session";
    default: return "the listening end declined: no common version or cipher, or both ends have the same role";
  }
}

}  // namespace

Principal principal_of_secret(const seal::SecretBytes& secret) {
  Principal principal;
  constexpr std::string_view label = "zferry principal of a secret";
  crypto_generichash(as_uchar(Bytes(principal)), principal.size(), as_uchar(as_bytes(label)), label.size(),
                     as_uchar(secret.bytes()), secret.bytes().size());
  return principal;
}

std::size_t proof_bytes() { return wire::kFrameOverheadBytes + wire::encode(wire::Join{}).size(); }

std::vector<std::byte> seal_proof(EstablishedLane& lane) {
  std::vector<std::byte> frame(proof_bytes());
  wire::Message join = wire::encode(lane.join);
  auto header = wire::encode_frame_header(wire::FrameType::kJoin, join.size());
  std::copy(header.begin(), header.end(), frame.begin());
  lane.sealer->seal(header, join, Bytes(frame).subspan(wire::kFrameHeaderBytes));
  return frame;
}

Dialler::Dialler(const Host& host, const Credentials& credentials, const LaneSettings& lane, wire::Role role,
                 bool joins)
    : role_(role), prologue_(make_prologue(pattern_of(credentials))) {
  offer_.role = role;
  offer_.joins = joins;
  for (seal::Cipher cipher : lane.ciphers) offer_.ciphers.push_back(static_cast<std::uint8_t>(cipher));
  if (credentials.secret) {
    principal_ = principal_of_secret(*credentials.secret);
    handshake_ = seal::Handshake::nnpsk0(host.dh, host.random, true, *credentials.secret, prologue_);
  } else {
    ZF_ASSERT(credentials.own && credentials.peer);
    principal_ = *credentials.peer;
    own_text_ = seal::public_key_text(host.dh.public_of(*credentials.own));
    handshake_ = seal::Handshake::ik_initiator(host.dh, host.random, *credentials.own, *credentials.peer, prologue_);
  }
}

std::vector<std::byte> Dialler::first_message() {
  std::size_t room = limits::kFirstMessageBytes - kPrologueBytes - handshake_->overhead(1);
  std::vector<std::byte> message = prologue_;
  std::vector<std::byte> noise = handshake_->write_message(padded(wire::encode(offer_), room));
  message.insert(message.end(), noise.begin(), noise.end());
  ZF_ASSERT(message.size() == limits::kFirstMessageBytes);
  return message;
}

Status Dialler::read_answer(ConstBytes message, EstablishedLane& lane) {
  Result<std::vector<std::byte>> payload = handshake_->read_message(message);
  if (!payload) return payload.take_error();
  Result<ConstBytes> inner = unpadded(*payload);
  if (!inner) return inner.take_error();
  Result<wire::Choice> choice = wire::decode_choice(*inner);
  if (!choice) return choice.take_error();
  if (choice->refusal == Fault::kNotAllowed)
    return Error{Fault::kNotAllowed, refusal_text(choice->refusal),
                 "there, add this line to the file of --allow, and start it again: " + own_text_};
  if (choice->refusal != Fault::kNone) return Error{choice->refusal, refusal_text(choice->refusal), {}};
  bool offered = std::find(offer_.ciphers.begin(), offer_.ciphers.end(), choice->cipher) != offer_.ciphers.end();
  if (!offered || choice->version < offer_.version_min || choice->version > offer_.version_max || choice->role == role_)
    return Error{Fault::kProtocol, "the listening end chose what was not offered", {}};
  take_keys(*handshake_, static_cast<seal::Cipher>(choice->cipher), principal_, lane);
  return {};
}

Answerer::Answerer(const Host& host, const Credentials& credentials, const LaneSettings& lane, wire::Role role)
    : host_(host), credentials_(credentials), settings_(lane), role_(role) {}

Result<std::vector<std::byte>> Answerer::answer(ConstBytes message, const std::function<bool(bool joins)>& busy) {
  std::vector<std::byte> prologue = make_prologue(pattern_of(credentials_));
  if (message.size() != limits::kFirstMessageBytes || std::memcmp(message.data(), prologue.data(), 8) != 0)
    return Error{Fault::kProtocol, "what connected does not speak zferry's protocol", {}};
  if (std::memcmp(message.data(), prologue.data(), kPrologueBytes) != 0)
    return Error{Fault::kNotAllowed, "a peer uses another kind of credential (key or secret), or another version", {}};
  if (credentials_.secret) {
    principal_ = principal_of_secret(*credentials_.secret);
    handshake_ = seal::Handshake::nnpsk0(host_.dh, host_.random, false, *credentials_.secret, prologue);
  } else {
    handshake_ = seal::Handshake::ik_responder(host_.dh, host_.random, *credentials_.own, prologue);
  }
  Result<std::vector<std::byte>> payload = handshake_->read_message(message.subspan(kPrologueBytes));
  if (!payload) return payload.take_error();
  if (!credentials_.secret) principal_ = *handshake_->remote_static();
  Result<ConstBytes> inner = unpadded(*payload);
  if (!inner) return inner.take_error();
  Result<wire::Offer> offer = wire::decode_offer(*inner);
  if (!offer) return offer.take_error();

  refusal_ = judge(*offer, busy);
  wire::Choice choice;
  choice.refusal = refusal_;
  choice.role = role_;
  choice.cipher = static_cast<std::uint8_t>(cipher_);
  std::size_t room = limits::kFirstMessageBytes - handshake_->overhead(2);
  return handshake_->write_message(padded(wire::encode(choice), room));
}

Fault Answerer::judge(const wire::Offer& offer, const std::function<bool(bool joins)>& busy) {
  if (!credentials_.secret) {
    const auto& allowed = credentials_.allowed;
    if (std::find(allowed.begin(), allowed.end(), principal_) == allowed.end()) return Fault::kNotAllowed;
  }
  if (busy(offer.joins)) return Fault::kBusy;
  if (offer.version_min > 1 || offer.version_max < 1 || offer.role == role_) return Fault::kProtocol;
  // The first of our own order that the dialler can do as well: whoever is slower at it loses less than the other
  // would.
  for (seal::Cipher mine : settings_.ciphers) {
    if (std::find(offer.ciphers.begin(), offer.ciphers.end(), static_cast<std::uint8_t>(mine)) != offer.ciphers.end()) {
      cipher_ = mine;
      return Fault::kNone;
    }
  }
  return Fault::kProtocol;
}

Status Answerer::read_proof(ConstBytes frame, EstablishedLane& lane) {
  ZF_ASSERT(frame.size() == proof_bytes() && refusal_ == Fault::kNone);
  take_keys(*handshake_, cipher_, principal_, lane);
  Result<wire::FrameHeader> header = wire::decode_frame_header(frame.first(wire::kFrameHeaderBytes));
  if (!header) return header.take_error();
  wire::Message join(frame.size() - wire::kFrameOverheadBytes);
  if (header->type != wire::FrameType::kJoin || header->sealed_bytes != join.size() + seal::kTagBytes)
    return Error{Fault::kProtocol, "the dialler's first frame is not what it must be", {}};
  Status opened = lane.opener->open(frame.first(wire::kFrameHeaderBytes), frame.subspan(wire::kFrameHeaderBytes), join);
  if (!opened)
    return Error{Fault::kNotAllowed, "the dialler could not prove that it is there (a replayed greeting?)", {}};
  Result<wire::Join> decoded = wire::decode_join(join);
  if (!decoded) return decoded.take_error();
  lane.join = *decoded;
  return {};
}

}  // namespace zferry::pipeline
