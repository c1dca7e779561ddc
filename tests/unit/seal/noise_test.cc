// Handshakes that must fail, fail: damage anywhere, wrong keys, wrong lengths, another prologue, messages out of turn.
#include "seal/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace zferry::seal {
namespace {

using Blob = std::vector<std::byte>;

enum class Kind { kIk, kPsk };

// Two ends that would agree, with every ingredient open to change.
struct Pair {
  SeededRandom random{1};
  SecretBytes source = SecretBytes::random(random), target = SecretBytes::random(random);
  SecretBytes source_secret = SecretBytes::random(random), target_secret = source_secret.copy();
  PublicKey target_public = public_key(target);
  Blob source_prologue = Blob(4, std::byte{7}), target_prologue = source_prologue;

  Handshake initiator(Kind kind) {
    return kind == Kind::kIk ? Handshake::ik_initiator(x25519(), random, source, target_public, source_prologue)
                             : Handshake::nnpsk0(x25519(), random, true, source_secret, source_prologue);
  }
  Handshake responder(Kind kind) {
    return kind == Kind::kIk ? Handshake::ik_responder(x25519(), random, target, target_prologue)
                             : Handshake::nnpsk0(x25519(), random, false, target_secret, target_prologue);
  }
};

const Blob kPayload(40, std::byte{0x5a});

class Noise : public testing::TestWithParam<Kind> {
 protected:
  Pair pair_;
};
INSTANTIATE_TEST_SUITE_P(Patterns, Noise, testing::Values(Kind::kIk, Kind::kPsk),
                         [](const auto& which) { return which.param == Kind::kIk ? "IK" : "NNpsk0"; });

void expect_refused(Handshake& reader, ConstBytes message) {
  auto payload = reader.read_message(message);
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().fault, Fault::kNotAllowed);
  EXPECT_FALSE(reader.complete());
  EXPECT_FALSE(reader.remote_static());
}

TEST_P(Noise, Agrees) {
  auto initiator = pair_.initiator(GetParam()), responder = pair_.responder(GetParam());
  const bool ik = GetParam() == Kind::kIk;
  const Blob first = initiator.write_message(kPayload);
  EXPECT_EQ(first.size(), kPayload.size() + (ik ? 96 : 48));
  auto first_back = responder.read_message(first);
  ASSERT_TRUE(first_back);
  EXPECT_EQ(*first_back, kPayload);
  EXPECT_EQ(responder.remote_static().has_value(), ik);
  const Blob second = responder.write_message({});
  EXPECT_EQ(second.size(), 48u);
  EXPECT_TRUE(responder.complete());
  EXPECT_FALSE(initiator.complete());
  ASSERT_TRUE(initiator.read_message(second));
  auto a = initiator.take_keys(), b = responder.take_keys();
  EXPECT_TRUE(std::ranges::equal(a.send.bytes(), b.receive.bytes()));
  EXPECT_TRUE(std::ranges::equal(a.receive.bytes(), b.send.bytes()));
  EXPECT_FALSE(std::ranges::equal(a.send.bytes(), a.receive.bytes()));
  EXPECT_EQ(a.transcript, b.transcript);
  if (ik) {
    EXPECT_EQ(b.peer, public_key(pair_.source));
  } else {
    EXPECT_FALSE(a.peer || b.peer);
  }
}

TEST_P(Noise, EveryFlippedByteOfMessage1IsRefused) {
  Blob message = pair_.initiator(GetParam()).write_message(kPayload);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < message.size(); ++i, ++refused) {
    message[i] ^= std::byte{1};
    auto responder = pair_.responder(GetParam());
    expect_refused(responder, message);
    message[i] ^= std::byte{1};
    expect_refused(responder, message);  // nor does the good one help afterwards
  }
  EXPECT_EQ(refused, message.size());
  auto responder = pair_.responder(GetParam());
  EXPECT_TRUE(responder.read_message(message));
}

TEST_P(Noise, EveryFlippedByteOfMessage2IsRefused) {
  std::size_t refused = 0, length = 1;
  for (std::size_t i = 0; i < length; ++i, ++refused) {
    auto initiator = pair_.initiator(GetParam()), responder = pair_.responder(GetParam());
    ASSERT_TRUE(responder.read_message(initiator.write_message({})));
    Blob message = responder.write_message(kPayload);
    length = message.size();
    message[i] ^= std::byte{0x10};
    expect_refused(initiator, message);
  }
  EXPECT_EQ(refused, kPayload.size() + 48);
}

TEST_P(Noise, EveryTruncationAndExtensionIsRefused) {
  const Blob message = pair_.initiator(GetParam()).write_message(kPayload);
  for (std::size_t length = 0; length < message.size(); ++length) {
    auto responder = pair_.responder(GetParam());
    expect_refused(responder, ConstBytes(message).first(length));
  }
  for (std::size_t more :
       {std::size_t{1}, std::size_t{16}, 65535 - message.size(), std::size_t{65535}, std::size_t{1} << 20}) {
    Blob longer = message;
    longer.resize(message.size() + more);
    auto responder = pair_.responder(GetParam());
    expect_refused(responder, longer);
  }
}

TEST_P(Noise, AnotherPrologueIsRefused) {
  pair_.target_prologue[0] = std::byte{8};
  auto responder = pair_.responder(GetParam());
  expect_refused(responder, pair_.initiator(GetParam()).write_message(kPayload));
}

TEST_P(Noise, AnotherPatternIsRefused) {
  const Kind other = GetParam() == Kind::kIk ? Kind::kPsk : Kind::kIk;
  auto responder = pair_.responder(other);
  expect_refused(responder, pair_.initiator(GetParam()).write_message(Blob(512)));
}

TEST_P(Noise, ReflectedAndReplayedMessagesAreRefused) {
  auto initiator = pair_.initiator(GetParam());
  const Blob first = initiator.write_message(kPayload);
  expect_refused(initiator, first);

  auto one = pair_.initiator(GetParam()), two = pair_.initiator(GetParam()), responder = pair_.responder(GetParam());
  ASSERT_TRUE(responder.read_message(one.write_message({})));
  two.write_message({});
  expect_refused(two, responder.write_message({}));  // an answer to somebody else
}

TEST_P(Noise, MessagesOutOfTurnAreRefused) {
  auto initiator = pair_.initiator(GetParam()), responder = pair_.responder(GetParam());
  const Blob first = initiator.write_message(kPayload);
  auto early = pair_.initiator(GetParam());
  expect_refused(early, first);
  ASSERT_TRUE(responder.read_message(first));
  expect_refused(responder, first);
}

TEST_P(Noise, EphemeralsOfLowOrderAreRefused) {
  if (GetParam() == Kind::kIk) {
    Blob message = pair_.initiator(GetParam()).write_message(kPayload);
    std::fill_n(message.begin(), kKeyBytes, std::byte{0});
    auto responder = pair_.responder(GetParam());
    expect_refused(responder, message);
    return;
  }
  // One who has the secret can make such a message 1: a Dh that claims a public key of zero.
  class ZeroPublic final : public Dh {
    PublicKey public_of(const SecretBytes&) const override { return {}; }
    bool shared(const SecretBytes&, const PublicKey&, SecretBytes&) const override { return true; }
  } zero;
  auto initiator = Handshake::nnpsk0(zero, pair_.random, true, pair_.source_secret, pair_.source_prologue);
  auto responder = pair_.responder(GetParam());
  expect_refused(responder, initiator.write_message(kPayload));
}

TEST(NoiseKeys, WrongPeerKeyAndWrongSecretAreRefused) {
  Pair pair;
  pair.target_public = public_key(pair.source);
  auto ik = pair.responder(Kind::kIk);
  expect_refused(ik, pair.initiator(Kind::kIk).write_message(kPayload));
  for (std::size_t i = 0; i < kKeyBytes; ++i) {
    Pair other;
    other.target_secret.writable()[i] ^= std::byte{1};
    auto psk = other.responder(Kind::kPsk);
    expect_refused(psk, other.initiator(Kind::kPsk).write_message(kPayload));
  }
}

TEST(NoiseKeys, AnImpostorAsListenerIsRefused) {
  // It knows the target's public key and answers with its own private one.
  Pair pair;
  auto initiator = pair.initiator(Kind::kIk);
  const Blob first = initiator.write_message({});
  pair.target = SecretBytes::random(pair.random);
  auto impostor = pair.responder(Kind::kIk);
  expect_refused(impostor, first);
  auto to_impostor =
      Handshake::ik_initiator(x25519(), pair.random, pair.source, public_key(pair.target), pair.source_prologue);
  ASSERT_TRUE(pair.responder(Kind::kIk).read_message(to_impostor.write_message({})));
  auto answering = pair.responder(Kind::kIk);
  ASSERT_TRUE(answering.read_message(
      Handshake::ik_initiator(x25519(), pair.random, pair.source, public_key(pair.target), pair.source_prologue)
          .write_message({})));
  expect_refused(initiator, answering.write_message({}));
}

}  // namespace
}  // namespace zferry::seal
