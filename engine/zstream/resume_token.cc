#include "zstream/resume_token.h"

#include <zlib.h>

#include <charconv>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "zstream/fletcher4.h"
#include "zstream/nvlist.h"

namespace zferry::zstream {

namespace {

constexpr std::size_t kPackedBytesMax = 64 * 1024;
constexpr std::size_t kTextBytesMax = 3 * kPackedBytesMax;
constexpr std::string_view kVersion = "1";

Error damaged(const std::string& why) {
  return {Fault::kStreamDamaged, "the resume token cannot be used: " + why,
          "see: zfs get receive_resume_token DATASET"};
}

std::optional<std::uint64_t> hex_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<std::byte>> hex_bytes(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::optional<std::uint64_t> value = hex_number(text.substr(2 * i, 2));
    if (!value) return std::nullopt;
    bytes[i] = static_cast<std::byte>(*value);
  }
  return bytes;
}

// What stands before the next '-', which is taken away with it.
std::string_view next_part(std::string_view& text) {
  const std::string_view part = text.substr(0, text.find('-'));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

class TokenReader : public NvVisitor {
 public:
  void number(int depth, std::string_view name, std::uint64_t value) override {
    if (depth > 0) return;
    if (name == "object") object_ = value;
    if (name == "offset") offset_ = value;
    if (name == "toguid") toguid_ = value;
    if (name == "bytes") token_.bytes = value;
    if (name == "fromguid") token_.fromguid = value;
  }
  void text(int depth, std::string_view name, std::string_view value) override {
    if (depth == 0 && name == "toname") token_.toname = value;
  }
  void flag(int depth, std::string_view name) override {
    if (depth > 0) return;
    token_.large_blocks |= name == "largeblockok";
    token_.embedded |= name == "embedok";
    token_.compressed |= name == "compressok";
    token_.raw |= name == "rawok";
  }
  Result<ResumeToken> token() {
    if (!object_ || !offset_ || !toguid_) return damaged("it does not say where in which snapshot it goes on");
    token_.object = *object_;
    token_.offset = *offset_;
    token_.toguid = *toguid_;
    return std::move(token_);
  }

 private:
  ResumeToken token_;
  std::optional<std::uint64_t> object_, offset_, toguid_;
};

}  // namespace

Result<ResumeToken> decode_resume_token(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  if (text.empty() || text == "-") return damaged("there is none");
  if (text.size() > kTextBytesMax) return damaged("it is " + std::to_string(text.size()) + " characters long");
  const std::string_view version = next_part(text);
  if (version != kVersion)
    return damaged("its version is \"" + escaped(version, 32) + "\", not " + std::string(kVersion));
  const auto checksum = hex_number(next_part(text)), packed_bytes = hex_number(next_part(text));
  const std::optional<std::vector<std::byte>> compressed = hex_bytes(text);
  if (!checksum || !packed_bytes || !compressed) return damaged("it is no token, or only a part of one");
  if (fletcher4(*compressed).a != *checksum) return damaged("its checksum is wrong");
  if (*packed_bytes > kPackedBytesMax)
    return damaged("it claims " + std::to_string(*packed_bytes) + " bytes of content");

  std::vector<std::byte> packed(static_cast<std::size_t>(*packed_bytes));
  uLongf unpacked = packed.size();
  uLong taken = compressed->size();
  std::byte none{};  // inflate wants a place to write to, even for nothing
  const int code = uncompress2(as_uchar(packed.empty() ? Bytes(&none, 1) : Bytes(packed)), &unpacked,
                               as_uchar(ConstBytes(*compressed)), &taken);
  if (code != Z_OK || unpacked != packed.size() || taken != compressed->size()) {
    return damaged("its content cannot be decompressed");
  }
  TokenReader reader;
  if (Status status = read_nvlist(packed, reader); !status) return damaged(status.error().what);
  return reader.token();
}

}  // namespace zferry::zstream
