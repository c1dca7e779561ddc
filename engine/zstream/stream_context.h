// StreamContext: follows a stream record by record and holds what a resuming stream needs of everything before a place:
// the BEGIN of the substream, and the records that must come again for the object in which it stands. Small, and it can
// be saved: it is the part of a checkpoint that knows ZFS. One thread. Mirror in use: resuming_stream.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/resume_token.h"

namespace zferry::zstream {

class StreamContext {
 public:
  StreamContext();
  StreamContext(StreamContext&&) noexcept;
  StreamContext& operator=(StreamContext&&) noexcept;
  ~StreamContext();

  // The next bytes of the stream, in whatever pieces. REQUIRES: a RecordWalker took them: they are well formed. What is
  // no ZFS stream, or of a kind that cannot be resumed, is followed as such: see resumable().
  void follow(ConstBytes bytes);
  // A resuming stream can be made of what follows: one plain substream (no compound, no dedup references).
  bool resumable() const;
  // Everything followed so far lies before the token's place in the same snapshot: ZFS has it, or it comes again from
  // here. So blocks up to here are not needed any more by whoever resumes at this token or a later one.
  bool lies_before(const ResumeToken& token) const;

  std::vector<std::byte> save() const;  // at most kContextBytesMax
  // Errors: kStoreFailed: not what save() gave.
  static Result<StreamContext> restore(ConstBytes saved);

  struct State;

 private:
  friend class ResumingStream;
  explicit StreamContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

inline constexpr std::size_t kContextBytesMax = std::size_t{2} * 1024 * 1024;

}  // namespace zferry::zstream
