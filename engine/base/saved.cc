// The parts of SavedWriter and SavedReader that are no templates.
#include "base/saved.h"

namespace zferry {

SavedWriter& SavedWriter::array(ConstBytes bytes) {
  const std::size_t before = saved_.size();
  saved_.resize(before + bytes.size());
  if (!bytes.empty()) std::memcpy(saved_.data() + before, bytes.data(), bytes.size());
  return *this;
}

SavedWriter& SavedWriter::bytes(ConstBytes bytes) {
  ZF_ASSERT(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  return integer(static_cast<std::uint32_t>(bytes.size())).array(bytes);
}

bool SavedReader::check(const char* field, bool holds) {
  if (!holds && bad_field_ == nullptr) bad_field_ = field;
  return bad_field_ == nullptr;
}

ConstBytes SavedReader::array(const char* field, std::size_t bytes) {
  if (!check(field, bytes <= rest_.size())) return {};
  const ConstBytes taken = rest_.first(bytes);
  rest_ = rest_.subspan(bytes);
  return taken;
}

ConstBytes SavedReader::bytes(const char* field, std::size_t bytes_max) {
  const auto bytes = integer<std::uint32_t>(field);
  return check(field, bytes <= bytes_max) ? array(field, bytes) : ConstBytes{};
}

Status SavedReader::finish() {
  check("length", rest_.empty());
  if (bad_field_ == nullptr) return {};
  return Error{Fault::kStoreFailed,
               "the store keeps " + std::string(what_) + " that is damaged or of another version: bad " + bad_field_,
               {}};
}

}  // namespace zferry
