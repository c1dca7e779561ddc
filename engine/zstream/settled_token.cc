#include "zstream/settled_token.h"

namespace zferry::zstream {

const std::optional<ResumeToken>& SettledToken::shown(const ResumeToken& token) {
  const bool same_stream = last_ && last_->toguid == token.toguid && last_->fromguid == token.fromguid;
  if (!same_stream) {
    settled_.reset();
    last_ = token;
    return settled_;
  }
  // ZFS changes object, offset and bytes one after the other: a look in between sees a part of a new token.
  const bool torn = last_->bytes == token.bytes;
  if (torn) return settled_;
  settled_ = last_;
  last_ = token;
  return settled_;
}

}  // namespace zferry::zstream
