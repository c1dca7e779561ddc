#include "pipeline/completion_record.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace zferry::pipeline {
namespace {

// magic and version, the fields in their order, 16 bytes of BLAKE2b over all before them
constexpr std::string_view kMagic("zfdone\0\1", 8);
constexpr std::size_t kCheckBytes = 16;
constexpr std::size_t kBodyBytes = 8 + 4 * 32 + 8 + 8 + 1;

std::array<std::byte, kCheckBytes> check_of(ConstBytes body) {
  std::array<std::byte, kCheckBytes> check{};
  crypto_generichash(as_uchar(Bytes(check)), check.size(), as_uchar(body), body.size(), nullptr, 0);
  return check;
}

}  // namespace

std::vector<std::byte> encode(const CompletionRecord& record) {
  std::vector<std::byte> out;
  auto add = [&out](ConstBytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  add(as_bytes(kMagic));
  for (const wire::Id* id : {&record.principal, &record.identity, &record.leaf_key, &record.digest}) add(*id);
  add(std::as_bytes(std::span(&record.stream_bytes, 1)));
  add(std::as_bytes(std::span(&record.toguid, 1)));
  out.push_back(static_cast<std::byte>(record.completion));
  add(check_of(out));
  return out;
}

Result<CompletionRecord> decode_completion_record(ConstBytes bytes) {
  Error damaged{Fault::kStateFailed, "a completion record in the state folder is damaged or of another version", {}};
  if (bytes.size() != kBodyBytes + kCheckBytes || std::memcmp(bytes.data(), kMagic.data(), 8) != 0) return damaged;
  auto check = check_of(bytes.first(kBodyBytes));
  if (!std::equal(check.begin(), check.end(), bytes.begin() + kBodyBytes)) return damaged;
  CompletionRecord record;
  std::size_t at = 8;
  for (wire::Id* id : {&record.principal, &record.identity, &record.leaf_key, &record.digest}) {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), id->size(), id->begin());
    at += id->size();
  }
  record.stream_bytes = load<std::uint64_t>(bytes, at);
  record.toguid = load<std::uint64_t>(bytes, at + 8);
  auto completion = std::to_integer<std::uint8_t>(bytes[at + 16]);
  if (completion < 1 || completion > 2) return damaged;
  record.completion = static_cast<wire::Completion>(completion);
  return record;
}

}  // namespace zferry::pipeline
