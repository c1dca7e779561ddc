// SettledToken: which of the resume tokens that ZFS shows while it receives is on its disks. ZFS shows a token from the
// moment it begins to write a transaction group, seconds before that group counts; if the power fails in between, an
// older token is back. Groups are written one after the other, so a token counts once a later one is shown. What ZFS
// shows when no receive runs counts at once. One thread. Source: OpenZFS, module/zfs/dsl_dataset.c, dsl_dataset_sync().
#pragma once

#include <optional>

#include "zstream/resume_token.h"

namespace zferry::zstream {

class SettledToken {
 public:
  // A token as it was shown while a receive runs. Gives the last one that is on the disks, or nothing: none is known
  // yet.
  const std::optional<ResumeToken>& shown(const ResumeToken& token);

 private:
  std::optional<ResumeToken> last_;
  std::optional<ResumeToken> settled_;
};

}  // namespace zferry::zstream
