// ResumingStream: makes, from a stream of one snapshot and a resume token, the stream that `zfs send -t` would have
// made: a BEGIN that says where it goes on, what must come again for that object, and all that follows, with new
// checksums. docs/ARCHITECTURE.md, "Resume". One thread; holds no payload of a WRITE.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/remainder.h"
#include "zstream/resume_token.h"
#include "zstream/stream_context.h"

namespace zferry::zstream {

class ResumingStream final : public Remainder {
 public:
  // `before`: followed everything before the bytes that feed() will get; as new: they are the stream's first.
  // Errors: kDifferentStream where the token is of another snapshot or increment; kStreamDamaged where `before` lies
  // behind the token's place or the stream is of a kind that cannot be resumed.
  static Result<ResumingStream> begin(StreamContext before, const ResumeToken& token);
  ResumingStream(ResumingStream&&) noexcept;
  ResumingStream& operator=(ResumingStream&&) noexcept;
  ~ResumingStream() override;

  // What comes before the token's place gives nothing. Errors: kDifferentStream, kStreamDamaged, as above.
  Status feed(ConstBytes original, std::vector<std::byte>& out) override;

  struct State;

 private:
  explicit ResumingStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace zferry::zstream
