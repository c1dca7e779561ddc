// The completion record: there and back, and never read where a byte of it is wrong.
#include "pipeline/completion_record.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace zferry::pipeline {
namespace {

CompletionRecord random_record(SeededRandom& random) {
  CompletionRecord record;
  for (wire::Id* id : {&record.principal, &record.identity, &record.leaf_key, &record.digest}) random.fill(*id);
  record.stream_bytes = random.next();
  record.toguid = random.next();
  record.completion = random.chance(0.5) ? wire::Completion::kApplied : wire::Completion::kDelivered;
  return record;
}

TEST(CompletionRecord, ThereAndBack) {
  SeededRandom random(1);
  for (int i = 0; i < 100; ++i) {
    CompletionRecord record = random_record(random);
    Result<CompletionRecord> back = decode_completion_record(encode(record));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->principal, record.principal);
    EXPECT_EQ(back->identity, record.identity);
    EXPECT_EQ(back->leaf_key, record.leaf_key);
    EXPECT_EQ(back->digest, record.digest);
    EXPECT_EQ(back->stream_bytes, record.stream_bytes);
    EXPECT_EQ(back->toguid, record.toguid);
    EXPECT_EQ(back->completion, record.completion);
  }
}

TEST(CompletionRecord, EveryFlippedBitAndEveryOtherLengthIsRefused) {
  SeededRandom random(2);
  const std::vector<std::byte> good = encode(random_record(random));
  ASSERT_TRUE(decode_completion_record(good).ok());
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    Result<CompletionRecord> record = decode_completion_record(bad);
    if (!record && record.error().fault == Fault::kStateFailed) ++refused;
  }
  EXPECT_EQ(refused, 8 * good.size());
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes)
    EXPECT_FALSE(decode_completion_record(ConstBytes(good).first(bytes)).ok()) << bytes;
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_completion_record(longer).ok());
}

// kAlreadyReceived is an answer, nothing that happened here.
TEST(CompletionRecord, AnswersAreNoCompletions) {
  SeededRandom random(3);
  CompletionRecord record = random_record(random);
  record.completion = wire::Completion::kAlreadyReceived;
  EXPECT_FALSE(decode_completion_record(encode(record)).ok());
}

}  // namespace
}  // namespace zferry::pipeline
