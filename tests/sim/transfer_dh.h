// A Diffie-Hellman stand-in for the simulator: multiplication modulo the prime 2^61 - 1. Symmetric and cheap, of no
// security whatever. Stateless.
#pragma once

#include "seal/noise.h"

namespace zferry::transfer {

class CheapDh final : public seal::Dh {
 public:
  seal::PublicKey public_of(const seal::SecretBytes& private_key) const override {
    seal::PublicKey out{};
    spread(times(number_of(private_key.bytes()), kBase), out);
    return out;
  }
  bool shared(const seal::SecretBytes& private_key, const seal::PublicKey& peer,
              seal::SecretBytes& out) const override {
    std::uint64_t product = times(number_of(private_key.bytes()), load<std::uint64_t>(ConstBytes(peer)) % kPrime);
    spread(product, out.writable());
    return product != 0;
  }

 private:
  static constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;
  static constexpr std::uint64_t kBase = 0x123456789abcdef;
  static std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<Wide>(a) * b % kPrime);
  }
  static std::uint64_t number_of(ConstBytes bytes) { return 1 + load<std::uint64_t>(bytes) % (kPrime - 1); }
  // The number first, then numbers that follow from it.
  static void spread(std::uint64_t number, Bytes out) {
    for (std::size_t at = 0; at + 8 <= out.size(); at += 8) {
      store_at(out, at, number);
      number = times(number, 0x1f2e3d4c5b6a798);
    }
  }
};

}  // namespace zferry::transfer
