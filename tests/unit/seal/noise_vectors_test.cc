// The published Noise test vectors of the two patterns, byte for byte: messages, handshake hash, and the keys that
// remain, proved by opening the vectors' transport messages with them.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "seal/noise.h"

namespace zferry::seal {
namespace {

using Blob = std::vector<std::byte>;

Blob from_hex(const std::string& text) {
  Blob bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

// Gives the one ephemeral of the vector, once.
class FixedRandom final : public RandomSource {
 public:
  explicit FixedRandom(Blob bytes) : bytes_(std::move(bytes)) {}
  void fill(Bytes out) override {
    ASSERT_EQ(out.size(), bytes_.size());
    std::ranges::copy(bytes_, out.begin());
    bytes_.clear();
  }

 private:
  Blob bytes_;
};

Blob transport_open(const SecretBytes& key, std::uint64_t counter, const Blob& sealed) {
  std::array<std::byte, 12> nonce{};
  store_at(Bytes(nonce), 4, counter);
  Blob plain(sealed.size() - 16);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(as_uchar(Bytes(plain)), nullptr, nullptr, as_uchar(ConstBytes(sealed)),
                                                sealed.size(), nullptr, 0, as_uchar(ConstBytes(nonce)),
                                                as_uchar(key.bytes())) != 0)
    return {std::byte{'?'}};
  return plain;
}

struct Ends {
  FixedRandom initiator_random, responder_random;
  Handshake initiator, responder;
};

std::unique_ptr<Ends> make_ends(const nlohmann::json& vector) {
  auto bytes = [&](const char* name) { return from_hex(vector.at(name).get<std::string>()); };
  auto secret = [&](const char* name) { return SecretBytes(bytes(name)); };
  FixedRandom unused({});
  auto any = [&] { return Handshake::nnpsk0(x25519(), unused, true, SecretBytes(), {}); };
  auto ends = std::unique_ptr<Ends>(
      new Ends{FixedRandom(bytes("init_ephemeral")), FixedRandom(bytes("resp_ephemeral")), any(), any()});
  const Blob initiator_prologue = bytes("init_prologue"), responder_prologue = bytes("resp_prologue");
  if (vector.at("protocol_name").get<std::string>().starts_with("Noise_IK_")) {
    PublicKey peer;
    std::ranges::copy(bytes("init_remote_static"), peer.begin());
    ends->initiator =
        Handshake::ik_initiator(x25519(), ends->initiator_random, secret("init_static"), peer, initiator_prologue);
    ends->responder =
        Handshake::ik_responder(x25519(), ends->responder_random, secret("resp_static"), responder_prologue);
  } else {
    const SecretBytes psk(from_hex(vector.at("init_psks").at(0).get<std::string>()));
    ends->initiator = Handshake::nnpsk0(x25519(), ends->initiator_random, true, psk, initiator_prologue);
    ends->responder = Handshake::nnpsk0(x25519(), ends->responder_random, false, psk, responder_prologue);
  }
  return ends;
}

int compared_messages = 0;

void check(const nlohmann::json& vector) {
  auto ends = make_ends(vector);
  auto message = [&](std::size_t i, const char* what) {
    return from_hex(vector.at("messages").at(i).at(what).get<std::string>());
  };
  for (std::size_t i = 0; i < 2; ++i) {
    Handshake& writer = i == 0 ? ends->initiator : ends->responder;
    Handshake& reader = i == 0 ? ends->responder : ends->initiator;
    EXPECT_EQ(writer.overhead(static_cast<int>(i) + 1), message(i, "ciphertext").size() - message(i, "payload").size());
    EXPECT_EQ(writer.write_message(message(i, "payload")), message(i, "ciphertext"));
    auto payload = reader.read_message(message(i, "ciphertext"));
    ASSERT_TRUE(payload) << payload.error().what;
    EXPECT_EQ(*payload, message(i, "payload"));
    ++compared_messages;
  }
  ASSERT_TRUE(ends->initiator.complete() && ends->responder.complete());
  HandshakeKeys initiator = ends->initiator.take_keys(), responder = ends->responder.take_keys();
  EXPECT_EQ(to_hex(initiator.transcript), vector.at("handshake_hash").get<std::string>());
  EXPECT_EQ(to_hex(responder.transcript), vector.at("handshake_hash").get<std::string>());
  if (vector.contains("init_static")) {
    EXPECT_EQ(*responder.peer, public_key(SecretBytes(from_hex(vector.at("init_static").get<std::string>()))));
    EXPECT_EQ(to_hex(*initiator.peer), vector.at("init_remote_static").get<std::string>());
  }
  for (std::size_t i = 2; i < vector.at("messages").size(); ++i) {
    const bool by_initiator = i % 2 == 0;
    for (const SecretBytes* key :
         {by_initiator ? &initiator.send : &responder.send, by_initiator ? &responder.receive : &initiator.receive})
      EXPECT_EQ(transport_open(*key, i / 2 - 1, message(i, "ciphertext")), message(i, "payload"));
    ++compared_messages;
  }
}

TEST(NoiseVectors, AllMatch) {
  std::ifstream file(std::string(ZFERRY_TEST_DATA) + "/data/noise.json");
  ASSERT_TRUE(file);
  const auto vectors = nlohmann::json::parse(file).at("vectors");
  int checked = 0;
  for (const char* name : {"Noise_IK_25519_ChaChaPoly_BLAKE2b", "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"})
    for (const auto& vector : vectors)
      if (vector.at("protocol_name") == name) {
        SCOPED_TRACE(name);
        check(vector);
        ++checked;
      }
  EXPECT_EQ(checked, 2);
  EXPECT_EQ(compared_messages, 12);
}

}  // namespace
}  // namespace zferry::seal
