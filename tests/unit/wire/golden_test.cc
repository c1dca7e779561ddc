// The bytes of version 1 of every message and of the frame header, as files: a change of one is a change of the
// protocol. To write a new version's files: ZFERRY_WRITE_GOLDEN=1 test_wire --gtest_filter=Golden.*
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "wire/frame.h"
#include "wire/messages.h"

namespace zferry::wire {
namespace {

Id counting_id(unsigned first) {
  Id id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(first + i);
  return id;
}

int compared = 0;

void compare(const std::string& name, ConstBytes bytes) {
  const std::string path = std::string(ZFERRY_TEST_DATA) + "/golden/wire/" + name + ".hex";
  if (std::getenv("ZFERRY_WRITE_GOLDEN") != nullptr) std::ofstream(path) << to_hex(bytes) << "\n";
  std::ifstream file(path);
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(to_hex(bytes) + "\n", expected) << name;
  ++compared;
}

TEST(Golden, BytesOfVersion1) {
  compare("offer", encode(Offer{1, 3, Role::kSource, true, {2, 1}, 0x01020304}));
  compare("choice", encode(Choice{Fault::kNone, 1, Role::kTarget, 2, 0x0a0b0c0d}));
  compare("choice-refusal", encode(Choice{Fault::kBusy, 1, Role::kTarget, 1, 0}));
  compare("join", encode(Join{counting_id(0x20), 0x1122334455667788, counting_id(0xa0)}));
  compare("open", encode(Open{counting_id(0x10), 0x1122334455667788, StreamKind::kZfs, EarlierRun::kOutcomeUnknown,
                              1 << 20, true, 7, 43200, 0x0102030405060708, "tank/vm@monday"}));
  compare("opened", encode(Opened{OpenedHow::kAlreadyReceived, counting_id(0x40), 48, 1, kForEver, 0, 0, {}, 0}));
  compare("opened-continue", encode(Opened{OpenedHow::kContinue,
                                           counting_id(0x40),
                                           1048,
                                           16,
                                           43800,
                                           1000,
                                           0x3e7abcde,
                                           {{0x100000, counting_id(0x60)}, {0x3e7abcde, counting_id(0xc0)}},
                                           3}));
  compare("block-packed", encode(Block{0x0102030405060708, 0x1112131415161718, 1 << 20, 0x0a0b0c, Encoding::kZstd}));
  compare("block-stored", encode(Block{7, 7000, 1000, 1000, Encoding::kStored}));
  compare("ack", encode(Ack{20, 18, 60, {}}));
  compare("ack-beyond", encode(Ack{20, 18, 60, {0x8000000000000002, 0x0102030405060708}, 19, 2, Keep::kStore}));
  compare("final", encode(Final{0x0102030405, 5000, counting_id(0x80), ProducerExit::kSuccess}));
  compare("final-ack", encode(FinalAck{Completion::kApplied, 0x0102030405}));
  compare("lanes", encode(Lanes{0x01020304, 8, true}));
  Chunks::Chunk one{{std::byte{1}, std::byte{2}}, 312, {131072}, {}};
  Chunks::Chunk several{{std::byte{3}}, 0x30000, {16384, 8192}, {{std::byte{4}}, {std::byte{5}}}};
  compare("chunks", encode(Chunks{7, 0x700000, 1 << 20, 312, {one, several}}));
  compare("need", encode(Need{7, false, {0x0102030405060708}}));
  compare("need-whole", encode(Need{9, true, {}}));
  compare("block-chunks", encode(Block{8, 7000, 1000, 120, Encoding::kChunks}));
  compare("abort", encode(Abort{Fault::kConsumerFailed, "zfs receive: exit 1"}));
  compare("frame-header-heartbeat", encode_frame_header(FrameType::kHeartbeat, 0));
  compare("frame-header-join", encode_frame_header(FrameType::kJoin, 72));
  compare("frame-header-data", encode_frame_header(FrameType::kData, 256 * 1024));
  EXPECT_EQ(compared, 22);
}

}  // namespace
}  // namespace zferry::wire
