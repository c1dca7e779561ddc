// What can be found wrong before anybody is met: it is told here and at once, not after a night of waiting for the
// other end. Only what is sure to fail counts; the transfer checks all of it again.
#pragma once

#include "base/result.h"
#include "options.h"

namespace zferry::cli {

// Errors: kUsage (a terminal where a stream should be), kCannotRun (the command is not to be found), kOutputFailed
// (--out has no folder).
Status source_ready(const TransferOptions& options);
Status target_ready(const TransferOptions& options);

}  // namespace zferry::cli
