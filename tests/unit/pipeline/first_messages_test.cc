// The two first messages and the proof: both credentials, every refusal, every byte flipped, replays.
#include "pipeline/first_messages.h"

#include <gtest/gtest.h>

#include <numeric>

#include "unit/pipeline/machine.h"
#include "wire/frame.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using seal::Cipher;
using wire::Role;

bool idle(bool) { return false; }
bool busy(bool) { return true; }

// A dialler and an answerer, step by step.
struct Greeting {
  Host& host;
  const Pairing& pair;
  LaneSettings dialling = lane_settings();
  LaneSettings listening = lane_settings();
  Dialler dialler;
  Answerer answerer;
  EstablishedLane at_dialler{};
  EstablishedLane at_listener{};

  Greeting(Host& on, const Pairing& by, Role dialler_role = Role::kSource, Role listener_role = Role::kTarget,
           const std::vector<Cipher>& dialler_ciphers = {Cipher::kChaCha20Poly1305},
           const std::vector<Cipher>& listener_ciphers = {Cipher::kChaCha20Poly1305}, bool joins = false)
      : host(on),
        pair(by),
        dialling(with(dialler_ciphers)),
        listening(with(listener_ciphers)),
        dialler(on, by.dialler, dialling, dialler_role, joins),
        answerer(on, by.listener, listening, listener_role) {}
  static LaneSettings with(const std::vector<Cipher>& ciphers) {
    LaneSettings lane;
    lane.ciphers = ciphers;
    return lane;
  }
  // The fault that the dialler is told; both ends agree on it.
  Fault refused(const std::function<bool(bool)>& busy = idle) {
    auto answer = answerer.answer(dialler.first_message(), busy);
    if (!answer) return answer.error().fault;
    EXPECT_EQ(answer->size(), limits::kFirstMessageBytes);
    Status read = dialler.read_answer(*answer, at_dialler);
    EXPECT_EQ(read.ok(), answerer.refusal() == Fault::kNone);
    EXPECT_EQ(at_dialler.sealer == nullptr, !read.ok());
    if (read) return Fault::kNone;
    EXPECT_EQ(read.error().fault, answerer.refusal());
    return read.error().fault;
  }
  bool meets() {
    if (refused() != Fault::kNone) return false;
    return answerer.read_proof(seal_proof(at_dialler), at_listener).ok();
  }
};

bool carries(EstablishedLane& from, EstablishedLane& to) {
  auto header = wire::encode_frame_header(wire::FrameType::kDone, 0);
  std::vector<std::byte> sealed(seal::kTagBytes);
  from.sealer->seal(header, {}, sealed);
  return to.opener->open(header, sealed, {}).ok();
}

class FirstMessages : public ::testing::TestWithParam<bool> {
 protected:
  OneMachine one{7};
  Pairing pair = GetParam() ? pair_by_keys(one.machine.random) : pair_by_secret(one.machine.random);
};

TEST_P(FirstMessages, MeetWhoeverIsTheSource) {
  for (Role role : {Role::kSource, Role::kTarget}) {
    Greeting greeting(one.host(), pair, role, role == Role::kSource ? Role::kTarget : Role::kSource);
    std::vector<std::byte> first = greeting.dialler.first_message();
    EXPECT_EQ(first.size(), 512u);
    auto answer = greeting.answerer.answer(first, idle);
    ASSERT_TRUE(answer.ok()) << answer.error().what;
    EXPECT_EQ(answer->size(), 512u);
    ASSERT_TRUE(greeting.dialler.read_answer(*answer, greeting.at_dialler).ok());
    ASSERT_TRUE(greeting.answerer.read_proof(seal_proof(greeting.at_dialler), greeting.at_listener).ok());
    EXPECT_TRUE(carries(greeting.at_dialler, greeting.at_listener));
    EXPECT_TRUE(carries(greeting.at_listener, greeting.at_dialler));
    if (GetParam()) {
      EXPECT_EQ(greeting.at_listener.principal, seal::public_key(*pair.dialler.own));
      EXPECT_EQ(greeting.at_dialler.principal, seal::public_key(*pair.listener.own));
    } else {
      EXPECT_EQ(greeting.at_listener.principal, greeting.at_dialler.principal);
      EXPECT_FALSE(std::ranges::equal(greeting.at_listener.principal, pair.dialler.secret->bytes()));
    }
  }
}

TEST_P(FirstMessages, RefusalsReachTheDialler) {
  EXPECT_EQ(Greeting(one.host(), pair).refused(busy), Fault::kBusy);
  EXPECT_EQ(Greeting(one.host(), pair, Role::kSource, Role::kSource).refused(), Fault::kProtocol);
  EXPECT_EQ(Greeting(one.host(), pair, Role::kTarget, Role::kTarget).refused(), Fault::kProtocol);
  Greeting no_cipher(one.host(), pair, Role::kSource, Role::kTarget, {Cipher::kAes256Gcm}, {Cipher::kChaCha20Poly1305});
  EXPECT_EQ(no_cipher.refused(), Fault::kProtocol);
  EXPECT_EQ(Greeting(one.host(), pair).refused(), Fault::kNone);
}

TEST_P(FirstMessages, TheListenersFirstCommonCipherIsTaken) {
  const Cipher chacha = Cipher::kChaCha20Poly1305;
  const Cipher aes = Cipher::kAes256Gcm;
  struct Case {
    std::vector<Cipher> dialler, listener;
    Cipher chosen;
  };
  for (const Case& each :
       {Case{{chacha, aes}, {aes, chacha}, aes}, Case{{aes, chacha}, {chacha, aes}, chacha},
        Case{{chacha}, {aes, chacha}, chacha}, Case{{aes, chacha}, {aes}, aes}, Case{{chacha}, {chacha}, chacha}}) {
    if (each.chosen == aes && seal::ciphers_by_speed().size() < 2) continue;
    Greeting greeting(one.host(), pair, Role::kSource, Role::kTarget, each.dialler, each.listener);
    ASSERT_TRUE(greeting.meets());
    EXPECT_EQ(greeting.at_dialler.cipher, each.chosen);
    EXPECT_EQ(greeting.at_listener.cipher, each.chosen);
    EXPECT_TRUE(carries(greeting.at_listener, greeting.at_dialler));
  }
}

TEST_P(FirstMessages, NoByteOfMessageOneMayDiffer) {
  const std::vector<std::byte> good = Greeting(one.host(), pair).dialler.first_message();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= static_cast<std::byte>(1u << one.machine.random.below(8));
    auto answer = Greeting(one.host(), pair).answerer.answer(bad, idle);
    if (answer.ok()) {
      ADD_FAILURE() << "byte " << i;
      continue;
    }
    EXPECT_EQ(answer.error().fault, i < 8 ? Fault::kProtocol : Fault::kNotAllowed) << "byte " << i;
    ++refused;
  }
  EXPECT_EQ(refused, 512u);
  for (std::size_t bytes : {0, 16, 511})
    EXPECT_FALSE(Greeting(one.host(), pair).answerer.answer(ConstBytes(good).first(bytes), idle).ok()) << bytes;
  EXPECT_TRUE(Greeting(one.host(), pair).answerer.answer(good, idle).ok());
}

TEST_P(FirstMessages, NoByteOfMessageTwoMayDiffer) {
  std::size_t refused = 0;
  for (std::size_t i = 0; i < limits::kFirstMessageBytes; ++i) {
    Greeting greeting(one.host(), pair);
    auto answer = greeting.answerer.answer(greeting.dialler.first_message(), idle);
    ASSERT_TRUE(answer.ok());
    (*answer)[i] ^= static_cast<std::byte>(1u << one.machine.random.below(8));
    Status read = greeting.dialler.read_answer(*answer, greeting.at_dialler);
    if (!read && read.error().fault == Fault::kNotAllowed && !greeting.at_dialler.sealer) ++refused;
  }
  EXPECT_EQ(refused, limits::kFirstMessageBytes);
}

TEST_P(FirstMessages, NoBitOfTheProofMayDiffer) {
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * proof_bytes(); ++bit) {
    Greeting greeting(one.host(), pair);
    ASSERT_EQ(greeting.refused(), Fault::kNone);
    std::vector<std::byte> proof = seal_proof(greeting.at_dialler);
    proof[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    if (!greeting.answerer.read_proof(proof, greeting.at_listener).ok() && greeting.at_listener.join.fresh()) ++refused;
  }
  EXPECT_EQ(refused, 8 * proof_bytes());
}

TEST_P(FirstMessages, TheProofCarriesWhichSessionTheLaneIsFor) {
  Greeting fresh(one.host(), pair);
  ASSERT_TRUE(fresh.meets());
  EXPECT_TRUE(fresh.at_listener.join.fresh());
  EXPECT_EQ(fresh.at_dialler.transcript, fresh.at_listener.transcript);
  EXPECT_NE(fresh.at_dialler.transcript, Transcript{});

  Greeting joining(one.host(), pair);
  ASSERT_EQ(joining.refused(), Fault::kNone);
  Ticket ticket(seal::SecretBytes::random(one.machine.random), 7);
  joining.at_dialler.join = ticket.join(joining.at_dialler.transcript);
  ASSERT_TRUE(joining.answerer.read_proof(seal_proof(joining.at_dialler), joining.at_listener).ok());
  EXPECT_EQ(joining.at_listener.join.session, ticket.session());
  EXPECT_EQ(joining.at_listener.join.incarnation, 7u);
  EXPECT_TRUE(ticket.proves(joining.at_listener.join, joining.at_listener.transcript));
  EXPECT_FALSE(ticket.proves(joining.at_listener.join, fresh.at_listener.transcript));
}

TEST_P(FirstMessages, AListenerMayBeBusyForOneKindOfLane) {
  const std::vector<Cipher> chacha = {Cipher::kChaCha20Poly1305};
  int asked = 0;
  for (bool joins : {false, true}) {
    for (bool refuses : {false, true}) {
      Greeting greeting(one.host(), pair, Role::kSource, Role::kTarget, chacha, chacha, joins);
      Fault fault = greeting.refused([&](bool says) {
        ++asked;
        EXPECT_EQ(says, joins);
        return refuses;
      });
      EXPECT_EQ(fault, refuses ? Fault::kBusy : Fault::kNone);
    }
  }
  EXPECT_EQ(asked, 4);
}

// The keys are right, and yet the first frame must be a JOIN of its length, and nothing else.
TEST_P(FirstMessages, NoOtherFrameIsAProof) {
  int refused = 0;
  for (unsigned type = 1; type <= 12; ++type) {
    for (std::size_t bytes : {std::size_t{1}, proof_bytes() - wire::kFrameOverheadBytes}) {
      Greeting greeting(one.host(), pair);
      ASSERT_EQ(greeting.refused(), Fault::kNone);
      std::vector<std::byte> frame(proof_bytes());
      auto header = wire::encode_frame_header(static_cast<wire::FrameType>(type), bytes);
      std::copy(header.begin(), header.end(), frame.begin());
      greeting.at_dialler.sealer->seal(header, std::vector<std::byte>(bytes),
                                       Bytes(frame).subspan(wire::kFrameHeaderBytes, bytes + seal::kTagBytes));
      bool right = type == static_cast<unsigned>(wire::FrameType::kJoin) && bytes > 1;
      bool taken = greeting.answerer.read_proof(frame, greeting.at_listener).ok();
      EXPECT_EQ(taken, right) << type;
      refused += !taken;
    }
  }
  EXPECT_EQ(refused, 23);
}

// Whoever recorded a greeting gets an answer and nothing else: the proof belongs to the answer.
TEST_P(FirstMessages, AReplayedGreetingProvesNothing) {
  Greeting live(one.host(), pair);
  const std::vector<std::byte> first = live.dialler.first_message();
  auto answer = live.answerer.answer(first, idle);
  ASSERT_TRUE(answer.ok());
  ASSERT_TRUE(live.dialler.read_answer(*answer, live.at_dialler).ok());
  const std::vector<std::byte> proof = seal_proof(live.at_dialler);
  ASSERT_TRUE(live.answerer.read_proof(proof, live.at_listener).ok());
  for (const std::vector<std::byte>& sent : {proof, random_bytes(one.machine.random, proof_bytes())}) {
    Greeting replay(one.host(), pair);
    auto again = replay.answerer.answer(first, idle);
    ASSERT_TRUE(again.ok());
    EXPECT_NE(*again, *answer);
    EXPECT_FALSE(replay.answerer.read_proof(sent, replay.at_listener).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(ByKeysAndBySecret, FirstMessages, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Keys" : "Secret"; });

TEST(FirstMessagesOfStrangers, LearnOnlyWhatTheyMay) {
  OneMachine one(8);
  RandomSource& random = one.machine.random;
  Pairing pair = pair_by_keys(random);
  // A key that is not on the list: it proved to know ours, so it is told.
  Pairing stranger = pair_by_keys(random);
  stranger.dialler.peer = seal::public_key(*pair.listener.own);
  stranger.listener = std::move(pair.listener);
  EXPECT_EQ(Greeting(one.host(), stranger).refused(), Fault::kNotAllowed);
  EXPECT_EQ(Greeting(one.host(), stranger).refused(busy), Fault::kNotAllowed) << "whether we are busy is not for it";
  // One that does not know our key, or another secret, or another kind of credential: no answer at all.
  Pairing other = pair_by_keys(random);
  other.dialler.peer = seal::public_key(seal::SecretBytes::random(random));
  EXPECT_EQ(Greeting(one.host(), other).refused(), Fault::kNotAllowed);
  EXPECT_EQ(Greeting(one.host(), other).answerer.refusal(), Fault::kNone);
  Pairing secrets = pair_by_secret(random);
  secrets.dialler.secret = seal::SecretBytes::random(random);
  EXPECT_EQ(Greeting(one.host(), secrets).refused(), Fault::kNotAllowed);
  secrets.dialler = std::move(other.dialler);
  EXPECT_EQ(Greeting(one.host(), secrets).refused(), Fault::kNotAllowed);
}

// What a peer that holds the keys may put inside: any bytes, any versions.
class Inside : public ::testing::Test {
 protected:
  std::vector<std::byte> first_message(const std::vector<std::byte>& inner, std::size_t said_bytes) {
    Greeting greeting(one.host(), pair);
    std::vector<std::byte> message = greeting.dialler.first_message();
    message.resize(16);
    auto noise = seal::Handshake::nnpsk0(one.host().dh, one.machine.random, true, *pair.dialler.secret, message);
    std::vector<std::byte> payload(limits::kFirstMessageBytes - 16 - noise.overhead(1));
    store_at(Bytes(payload), 0, static_cast<std::uint16_t>(said_bytes));
    std::copy(inner.begin(), inner.end(), payload.begin() + 2);
    std::vector<std::byte> sealed = noise.write_message(payload);
    message.insert(message.end(), sealed.begin(), sealed.end());
    return message;
  }
  Fault answered(const std::vector<std::byte>& inner, std::size_t said_bytes) {
    Greeting greeting(one.host(), pair);
    auto answer = greeting.answerer.answer(first_message(inner, said_bytes), idle);
    return answer ? greeting.answerer.refusal() : answer.error().fault;
  }
  Fault answered(const wire::Offer& offer) {
    wire::Message inner = encode(offer);
    return answered(inner, inner.size());
  }
  OneMachine one{9};
  Pairing pair = pair_by_secret(one.machine.random);
};

TEST_F(Inside, VersionsMustOverlap) {
  wire::Offer offer;
  offer.ciphers = {99, 1};
  EXPECT_EQ(answered(offer), Fault::kNone);
  offer.version_max = 7;
  EXPECT_EQ(answered(offer), Fault::kNone);
  offer.version_min = 2;
  EXPECT_EQ(answered(offer), Fault::kProtocol);
  offer.version_min = 1;
  offer.ciphers = {99, 98};
  EXPECT_EQ(answered(offer), Fault::kProtocol);
}

TEST_F(Inside, AnyBytesAreAnsweredOrRefused) {
  wire::Offer offer;
  offer.ciphers = {1};
  const wire::Message good = encode(offer);
  EXPECT_EQ(answered(good, good.size()), Fault::kNone);
  for (std::size_t said : {0, 1, 11, 13, 446, 447, 65535}) EXPECT_EQ(answered(good, said), Fault::kProtocol) << said;
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::size_t bytes = 1 + one.machine.random.below(440);
    if (answered(random_bytes(one.machine.random, bytes), bytes) == Fault::kProtocol) ++refused;
  }
  EXPECT_EQ(refused, 200);
}

}  // namespace
}  // namespace zferry::pipeline
