#include "pipeline/resume_point.h"

#include <algorithm>

#include "base/limits.h"

namespace zferry::pipeline {

Status ResumePoint::check() const {
  auto wrong = [](const char* what) { return Error{Fault::kProtocol, what, {}}; };
  if (offset >= limits::kBlocksMax) return wrong("a resume point lies beyond every stream");
  if (marks.size() > seal::kChainMarksMax) return wrong("a resume point has too many marks");
  // A block has one byte at least.
  if (next_number > offset || (next_number == 0) != (offset == 0))
    return wrong("a resume point's block number does not fit its offset");
  if ((marks.empty() ? 0 : marks.back().stream_bytes) != offset)
    return wrong("a resume point's last mark is not where it stands");
  auto not_ascending = [](const seal::ChainMark& one, const seal::ChainMark& next) {
    return one.stream_bytes >= next.stream_bytes;
  };
  if ((!marks.empty() && marks.front().stream_bytes == 0) ||
      std::adjacent_find(marks.begin(), marks.end(), not_ascending) != marks.end())
    return wrong("a resume point's marks do not ascend");
  return {};
}

}  // namespace zferry::pipeline
