// The key that wraps the keys of a store: one of this host's, in its state folder, made when it is first needed. It
// does not live beside the stores: what is read there, a copy or a stolen disk, tells nothing without it, and nobody
// can read a store again once it is lost. docs/STORE.md. Any thread; blocks.
#pragma once

#include <optional>

#include "base/random.h"
#include "base/result.h"
#include "io/files.h"
#include "seal/keys.h"

namespace zferry::pipeline {

// The key that is kept, or a new one, kept from now on. REQUIRES: state.prepare() went well; no other process makes
// this host's first key at the same time. Errors: kStateFailed: it cannot be read or written, or what is kept is
// damaged or of a version that is not known, and then it is left as it is.
Result<seal::SecretBytes> store_key(io::StateFolder& state, RandomSource& random);

// The key that is kept; nothing where none was ever needed. Errors: kStateFailed, as above.
Result<std::optional<seal::SecretBytes>> kept_store_key(io::StateFolder& state);

}  // namespace zferry::pipeline
