// PlainBlocks: blocks of the store in their plain form, the few that were read last: what was written together is found
// together. docs/STORE.md, "The window". The disk's worker.
#pragma once

#include <list>
#include <vector>

#include "base/limits.h"
#include "store/store.h"

namespace zferry::pipeline {

class PlainBlocks {
 public:
  // Copies the bytes of `from`, one run behind the other. REQUIRES: into is as long as the runs together. Errors:
  // kStoreFailed: damage, or what was to be there is not.
  Status read(store::Store& store, const store::FoundRuns& from, Bytes into);

 private:
  struct Block {
    store::BlockPlace place;
    std::vector<std::byte> bytes;
  };
  Result<ConstBytes> get(store::Store& store, const store::BlockPlace& place);

  Status load(store::Store& store, const store::BlockPlace& place, std::vector<std::byte>& plain);

  std::list<Block> blocks_;  // the latest first; a place of no block: it could not be read
  std::vector<std::byte> packed_;
};

}  // namespace zferry::pipeline
