// A reader of packed nvlists (name-value lists, ZFS's own), in the XDR and in the native encoding. Bounded by what it
// is given: it copies nothing, allocates nothing, and goes at most kNvlistDepthMax lists deep. Source: OpenZFS,
// module/nvpair/nvpair.c. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::zstream {

// Told what a list holds, in its order. `depth` is 0 for the outermost list. Views lie in the packed bytes. Values of
// other types than these are passed over.
class NvVisitor {
 public:
  virtual ~NvVisitor() = default;
  virtual void number(int depth, std::string_view name, std::uint64_t value);  // an unsigned 64-bit one
  virtual void text(int depth, std::string_view name, std::string_view value);
  virtual void flag(int depth, std::string_view name);   // a boolean that says yes by being there
  virtual void enter(int depth, std::string_view name);  // a list inside the list of this depth
  virtual void leave(int depth);
  // After each pair, of whatever type: it is the bytes from `from` up to `to` of `packed`, with the lists inside it.
  virtual void pair(int depth, std::string_view name, std::size_t from, std::size_t to);
};

// Bytes after the list's end are ignored. Errors: kStreamDamaged, with what is wrong and where in `packed`; the visitor
// may have been told of what came before that.
Status read_nvlist(ConstBytes packed, NvVisitor& visitor);

}  // namespace zferry::zstream
