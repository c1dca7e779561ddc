// Any bytes as message 1, as message 2 and as the proof, and any bytes inside of messages from a peer that holds the
// keys: nothing may crash, and nobody is let in. The first byte picks which. With real cryptography; seeded, so that a
// corpus can hold bytes that open.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "pipeline/first_messages.h"
#include "unit/pipeline/machine.h"
#include "wire/frame.h"

namespace {

using namespace zferry;
using namespace zferry::pipeline;
using namespace zferry::pipeline::testing;

void demand(bool holds) {
  if (!holds) std::abort();
}

constexpr std::size_t kPrologueBytes = 16;

bool idle(bool) { return false; }

// Both ends, the same at every input.
struct Ends {
  OneMachine one{1};
  Pairing pair;
  LaneSettings lane = lane_settings();
  Dialler dialler;
  Answerer answerer;

  explicit Ends(bool by_keys)
      : pair(by_keys ? pair_by_keys(one.machine.random) : pair_by_secret(one.machine.random)),
        dialler(one.host(), pair.dialler, lane, wire::Role::kSource, false),
        answerer(one.host(), pair.listener, lane, wire::Role::kTarget) {}
};

void as_message_one(Ends& ends, ConstBytes bytes) {
  auto answer = ends.answerer.answer(bytes, idle);
  if (!answer || ends.answerer.refusal() != Fault::kNone) return;
  demand(answer->size() == limits::kFirstMessageBytes);
  std::vector<std::byte> proof(proof_bytes());
  std::copy_n(bytes.begin(), proof.size(), proof.begin());
  EstablishedLane lane;
  demand(!ends.answerer.read_proof(proof, lane).ok());
}

void as_message_two(Ends& ends, ConstBytes bytes) {
  ends.dialler.first_message();
  EstablishedLane lane;
  demand(!ends.dialler.read_answer(bytes, lane).ok() && lane.sealer == nullptr);
}

void as_proof(Ends& ends, ConstBytes bytes) {
  std::vector<std::byte> proof(proof_bytes());
  std::copy_n(bytes.begin(), std::min(bytes.size(), proof.size()), proof.begin());
  auto answer = ends.answerer.answer(ends.dialler.first_message(), idle);
  demand(answer.ok());
  EstablishedLane lane;
  demand(!ends.answerer.read_proof(proof, lane).ok());
}

// What a peer that holds the keys may say.
std::vector<std::byte> payload(ConstBytes inner, std::size_t room) {
  std::vector<std::byte> out(room);
  std::copy_n(inner.begin(), std::min(inner.size(), room), out.begin());
  return out;
}

seal::Handshake peer_of(Ends& ends, bool by_keys, bool initiator, ConstBytes prologue) {
  Host& host = ends.one.host();
  if (!by_keys) return seal::Handshake::nnpsk0(host.dh, host.random, initiator, *ends.pair.dialler.secret, prologue);
  if (initiator)
    return seal::Handshake::ik_initiator(host.dh, host.random, *ends.pair.dialler.own, *ends.pair.dialler.peer,
                                         prologue);
  return seal::Handshake::ik_responder(host.dh, host.random, *ends.pair.listener.own, prologue);
}

void inside_message_one(Ends& ends, bool by_keys, ConstBytes inner) {
  std::vector<std::byte> message = ends.dialler.first_message();
  message.resize(kPrologueBytes);
  seal::Handshake peer = peer_of(ends, by_keys, true, message);
  std::size_t room = limits::kFirstMessageBytes - kPrologueBytes - peer.overhead(1);
  std::vector<std::byte> noise = peer.write_message(payload(inner, room));
  message.insert(message.end(), noise.begin(), noise.end());
  auto answer = ends.answerer.answer(message, idle);
  demand(answer.ok() ? answer->size() == limits::kFirstMessageBytes : answer.error().fault == Fault::kProtocol);
}

void inside_message_two(Ends& ends, bool by_keys, ConstBytes inner) {
  std::vector<std::byte> first = ends.dialler.first_message();
  seal::Handshake peer = peer_of(ends, by_keys, false, ConstBytes(first).first(kPrologueBytes));
  demand(peer.read_message(ConstBytes(first).subspan(kPrologueBytes)).ok());
  std::size_t room = limits::kFirstMessageBytes - peer.overhead(2);
  EstablishedLane lane;
  Status read = ends.dialler.read_answer(peer.write_message(payload(inner, room)), lane);
  demand(read.ok() == (lane.sealer != nullptr));
}

// A proof that opens: any type and length that its header may give, any bytes inside.
void inside_proof(Ends& ends, ConstBytes inner) {
  auto answer = ends.answerer.answer(ends.dialler.first_message(), idle);
  demand(answer.ok());
  EstablishedLane dialler, listener;
  demand(ends.dialler.read_answer(*answer, dialler).ok());
  constexpr std::size_t kMost = 72;
  unsigned type = inner.empty() ? 11 : 1 + static_cast<unsigned>(inner[0]) % 12;
  std::vector<std::byte> plain = payload(inner, std::max<std::size_t>(1, std::min(inner.size(), kMost)));
  std::vector<std::byte> frame(proof_bytes());
  auto header = wire::encode_frame_header(static_cast<wire::FrameType>(type), plain.size());
  std::copy(header.begin(), header.end(), frame.begin());
  dialler.sealer->seal(header, plain, Bytes(frame).subspan(wire::kFrameHeaderBytes, plain.size() + seal::kTagBytes));
  bool right = type == static_cast<unsigned>(wire::FrameType::kJoin) && plain.size() == kMost;
  demand(ends.answerer.read_proof(frame, listener).ok() == right);
  if (right) demand(std::ranges::equal(wire::encode(listener.join), plain));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ConstBytes bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const bool by_keys = data[0] % 2 == 0;
  Ends ends(by_keys);
  switch (data[0] / 2 % 6) {
    case 0: as_message_one(ends, bytes); break;
    case 1: as_message_two(ends, bytes); break;
    case 2: as_proof(ends, bytes); break;
    case 3: inside_message_one(ends, by_keys, bytes); break;
    case 4: inside_message_two(ends, by_keys, bytes); break;
    default: inside_proof(ends, bytes);
  }
  return 0;
}
