#include "pipeline/names.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "pipeline/settings.h"

namespace zferry::pipeline {

namespace {
constexpr std::size_t kNameHashBytes = 20;
}

std::string record_name(const std::string& kind, std::initializer_list<ConstBytes> parts) {
  crypto_generichash_state hash;
  crypto_generichash_init(&hash, nullptr, 0, kNameHashBytes);
  for (ConstBytes part : parts) {
    std::uint64_t length = part.size();
    crypto_generichash_update(&hash, reinterpret_cast<const unsigned char*>(&length), sizeof length);
    crypto_generichash_update(&hash, as_uchar(part), part.size());
  }
  std::array<std::byte, kNameHashBytes> name{};
  crypto_generichash_final(&hash, as_uchar(Bytes(name)), name.size());
  return kind + "-" + to_hex(name);
}

wire::Id session_identity(const std::optional<wire::Id>& of_stream, const std::string& session_name,
                          RandomSource& random) {
  if (of_stream) return *of_stream;
  wire::Id identity;
  if (session_name.empty()) {
    random.fill(identity);
    return identity;
  }
  constexpr std::string_view label = "zferry session name";
  crypto_generichash(as_uchar(Bytes(identity)), identity.size(), as_uchar(as_bytes(session_name)), session_name.size(),
                     as_uchar(as_bytes(label)), label.size());
  return identity;
}

wire::Id destination_id(const std::string& destination) {
  wire::Id id;
  constexpr std::string_view label = "zferry destination";
  crypto_generichash(as_uchar(Bytes(id)), id.size(), as_uchar(as_bytes(destination)), destination.size(),
                     as_uchar(as_bytes(label)), label.size());
  return id;
}

std::array<std::byte, 16> chunk_scope(std::initializer_list<ConstBytes> parts) {
  std::array<std::byte, 16> scope;
  constexpr std::string_view label = "zferry chunk scope";
  crypto_generichash_state state;
  crypto_generichash_init(&state, as_uchar(as_bytes(label)), label.size(), scope.size());
  for (ConstBytes part : parts) {
    const std::uint64_t bytes = part.size();
    crypto_generichash_update(&state, as_uchar(std::as_bytes(std::span(&bytes, 1))), sizeof bytes);
    crypto_generichash_update(&state, as_uchar(part), part.size());
  }
  crypto_generichash_final(&state, as_uchar(Bytes(scope)), scope.size());
  scope[0] |= std::byte{1};
  return scope;
}

std::uint32_t to_wire_seconds(Duration patience) {
  if (patience == kForEver) return wire::kForEver;
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  std::int64_t whole = patience.count() / kNanoseconds + (patience.count() % kNanoseconds != 0);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(whole, wire::kForEver - 1));
}

Duration from_wire_seconds(std::uint32_t seconds) {
  return seconds == wire::kForEver ? kForEver : Duration(std::chrono::seconds(seconds));
}

std::string interrupted_text(int signal_number, const std::string& end) {
  return "the operator ended the " + end + " (" + strsignal(signal_number) + ")";
}

}  // namespace zferry::pipeline
