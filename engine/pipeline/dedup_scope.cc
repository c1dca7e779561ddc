#include "pipeline/dedup_scope.h"

#include "pipeline/names.h"

namespace zferry::pipeline {

store::Scope scope_of(DedupScope scope, const Principal& principal, const wire::Id& leaf_key,
                      const std::string& destination) {
  switch (scope) {
    case DedupScope::kNone: return {};
    case DedupScope::kSession: return chunk_scope({principal, leaf_key});
    case DedupScope::kDataset: return chunk_scope({principal, as_bytes(destination)});
    case DedupScope::kPeer: return chunk_scope({principal});
  }
  return {};
}

}  // namespace zferry::pipeline
