// Whose chunks may meet in a store. Plain function; thread-safe.
#pragma once

#include <string>

#include "pipeline/lane_keys.h"
#include "pipeline/settings.h"
#include "store/store.h"

namespace zferry::pipeline {

// The scope of a session's chunks: of who sends, of the session by its leaf key, and of where it goes to, what counts.
// All zero: none are looked for.
store::Scope scope_of(DedupScope scope, const Principal& principal, const wire::Id& leaf_key,
                      const std::string& destination);

}  // namespace zferry::pipeline
