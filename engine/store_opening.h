// What the calls on stores share: whether there is one, and its key. Not for those who use the façade. All calls block.
#pragma once

#include "io/folder.h"
#include "seal/keys.h"
#include "store.h"

namespace zferry {

// Whether there is a store in the folder, which is left as it is, lock and all.
bool has_store(io::Folder& folder);
// The key that was made with this host's first store. Errors: kStateFailed, also where there is none.
Result<seal::SecretBytes> key_of(const StorePlace& place);

}  // namespace zferry
