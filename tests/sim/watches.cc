#include "watches.h"

#include <memory>
#include <string>
#include <unordered_set>
#include <utility>

#include "seal/aead.h"

// The engine's own, and what it is called by the linker.
std::unique_ptr<zferry::seal::Aead> real_fastest_aead(zferry::seal::Cipher cipher, bool sealing) __asm__(
    "__real__ZN6zferry4seal12fastest_aeadENS0_6CipherEb");
std::unique_ptr<zferry::seal::Aead> watched_fastest_aead(zferry::seal::Cipher cipher, bool sealing) __asm__(
    "__wrap__ZN6zferry4seal12fastest_aeadENS0_6CipherEb");

zferry::Result<zferry::wire::Ack> real_decode_ack(zferry::ConstBytes bytes) __asm__(
    "__real__ZN6zferry4wire10decode_ackESt4spanIKSt4byteLm18446744073709551615EE");
zferry::Result<zferry::wire::Ack> watched_decode_ack(zferry::ConstBytes bytes) __asm__(
    "__wrap__ZN6zferry4wire10decode_ackESt4spanIKSt4byteLm18446744073709551615EE");

namespace zferry::transfer {
namespace {

std::function<void(const wire::Ack&)> ack_look;
NonceWatch watch;
std::unordered_set<std::string> used;

class WatchedAead final : public seal::Aead {
 public:
  explicit WatchedAead(std::unique_ptr<seal::Aead> real) : real_(std::move(real)) {}
  void set_key(const seal::SecretBytes& key) override {
    key_.assign(reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size());
    real_->set_key(key);
  }
  void seal(const seal::AeadNonce& nonce, ConstBytes associated, ConstBytes plain, Bytes out) override {
    ++watch.sealed;
    bool fresh = used.insert(key_ + std::string(reinterpret_cast<const char*>(nonce.data()), nonce.size())).second;
    watch.reused += !fresh;
    real_->seal(nonce, associated, plain, out);
  }
  bool open(const seal::AeadNonce& nonce, ConstBytes associated, ConstBytes sealed, Bytes out) override {
    return real_->open(nonce, associated, sealed, out);
  }

 private:
  std::unique_ptr<seal::Aead> real_;
  std::string key_;
};

}  // namespace

const NonceWatch& nonce_watch() { return watch; }

void forget_nonces() {
  used.clear();
  watch = {};
}

void watch_acks(std::function<void(const wire::Ack&)> look) { ack_look = std::move(look); }

}  // namespace zferry::transfer

zferry::Result<zferry::wire::Ack> watched_decode_ack(zferry::ConstBytes bytes) {
  auto ack = real_decode_ack(bytes);
  if (ack && zferry::transfer::ack_look) zferry::transfer::ack_look(*ack);
  return ack;
}

std::unique_ptr<zferry::seal::Aead> watched_fastest_aead(zferry::seal::Cipher cipher, bool sealing) {
  auto real = real_fastest_aead(cipher, sealing);
  if (!sealing) return real;
  return std::make_unique<zferry::transfer::WatchedAead>(std::move(real));
}
