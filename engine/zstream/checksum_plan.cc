#include "zstream/checksum_plan.h"

#include <string>

#include "zstream/format.h"

namespace zferry::zstream {

namespace {

std::string shown(const Fletcher4& sum) {
  std::string text;
  for (std::uint64_t part : {sum.a, sum.b, sum.c, sum.d}) {
    if (!text.empty()) text += '/';
    const std::uint64_t big_endian = swap_bytes(part);
    text += to_hex(std::as_bytes(std::span(&big_endian, 1)));
  }
  return text;
}

Error mismatch(const ChecksumStep& step, const Fletcher4& running) {
  const std::string type = step.type < kRecordTypes ? std::string(record_type_name(static_cast<RecordType>(step.type)))
                                                    : "unknown type " + std::to_string(step.type);
  return {Fault::kStreamDamaged,
          "stream record " + std::to_string(step.record) + " (" + type + ") at byte " +
              std::to_string(step.stream_offset) + ": its checksum does not fit what came before it: stored " +
              shown(step.expected) + ", computed " + shown(running),
          "send the snapshot again"};
}

}  // namespace

ChecksumSums compute(const ChecksumPlan& plan, ConstBytes bytes) {
  ChecksumSums result;
  for (const ChecksumStep& step : plan.steps) {
    if (step.what != ChecksumStep::What::kSum) continue;
    ZF_ASSERT(step.offset <= bytes.size() && step.bytes <= bytes.size() - step.offset);
    result.sums.push_back(fletcher4(bytes.subspan(step.offset, step.bytes), step.swapped));
  }
  return result;
}

Status ChecksumVerifier::fold(const ChecksumPlan& plan, const ChecksumSums& sums) {
  std::size_t next_sum = 0;
  for (const ChecksumStep& step : plan.steps) {
    switch (step.what) {
      case ChecksumStep::What::kReset: running_ = {}; break;
      case ChecksumStep::What::kSum:
        ZF_ASSERT(next_sum < sums.sums.size());
        running_ = append(running_, sums.sums[next_sum++]);
        break;
      case ChecksumStep::What::kWord:
        running_ = append(running_, {step.word, step.word, step.word, step.word, 1});
        break;
      case ChecksumStep::What::kCompare:
        if (!running_.same_value(step.expected)) return mismatch(step, running_);
        ++compared_;
        break;
    }
  }
  ZF_ASSERT(next_sum == sums.sums.size());
  return {};
}

}  // namespace zferry::zstream
