// The contract of io/byte_stream.h over TCP: content, ends, cancellation, who may be called when.
#include <numeric>

#include "contract/host_under_test.h"
#include "contract/pump.h"

namespace zferry::io::contract {
namespace {

constexpr std::size_t kManyBytes = 6'000'001;

class ByteStreams : public Contract {};
ZF_ON_EVERY_BACK_END(ByteStreams);

TEST_P(ByteStreams, CarryBothDirectionsAtOnceUnchanged) {
  const StreamPair pair = connected_pair();
  const auto there = some_bytes(1, kManyBytes);
  const auto back = some_bytes(2, kManyBytes / 2);
  Pump pump_a(*pair.a, there, 11, 700'000);
  Pump pump_b(*pair.b, back, 12, 3'000);
  Drain drain_b(*pair.b, there, 13, 5'000);
  Drain drain_a(*pair.a, back, 14, 1'000'000);
  pump_a.start(), pump_b.start(), drain_a.start(), drain_b.start();
  serve_until([&] { return pump_a.over() && pump_b.over() && drain_a.over() && drain_b.over(); });
  EXPECT_FALSE(pump_a.failed() || pump_b.failed() || drain_a.failed() || drain_b.failed());
  EXPECT_EQ(drain_b.equal_bytes(), kManyBytes);
  EXPECT_EQ(drain_a.equal_bytes(), kManyBytes / 2);
  EXPECT_GT(pump_b.pieces(), 1000U);
}

TEST_P(ByteStreams, WriteAllCompletesWithItsSizeThoughThePeerIsSlow) {
  const StreamPair pair = connected_pair();
  const auto bytes = some_bytes(3, 20'000'000);  // more than the kernel buffers
  SizeOutcome written;
  pair.a->write(bytes, written.done());
  serve_a_while();
  EXPECT_EQ(written.calls, 0);
  Drain drain(*pair.b, bytes, 4, 300'000);
  drain.start();
  serve_until([&] { return written.calls > 0; });
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(**written.result, bytes.size());
  pair.a->shutdown_write();
  serve_until([&] { return drain.over(); });
  EXPECT_EQ(drain.equal_bytes(), bytes.size());
}

TEST_P(ByteStreams, ReadGivesWhatThereIs) {
  const StreamPair pair = connected_pair();
  const auto bytes = some_bytes(5, 10);
  SizeOutcome written;
  SizeOutcome taken;
  std::vector<std::byte> into(1000);
  pair.b->read(into, taken.done());
  pair.a->write(bytes, written.done());
  serve_until([&] { return taken.calls > 0 && written.calls > 0; });
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(**taken.result, 10U);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), into.begin()));
}

TEST_P(ByteStreams, AnEmptyWriteCompletesWithZero) {
  const StreamPair pair = connected_pair();
  SizeOutcome written;
  pair.a->write({}, written.done());
  EXPECT_EQ(written.calls, 0);
  serve_until([&] { return written.calls > 0; });
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(**written.result, 0U);
}

TEST_P(ByteStreams, ShutdownLetsWhatWasWrittenArriveAndTheOtherDirectionLive) {
  const StreamPair pair = connected_pair();
  const auto bytes = some_bytes(6, 3'000'000);
  SizeOutcome written;
  pair.a->write(bytes, written.done());
  pair.a->shutdown_write();  // while the write is on its way: it still goes out
  EXPECT_EQ(read_all(*pair.b), bytes);
  EXPECT_EQ(written.calls, 1);
  EXPECT_TRUE(written.ok());

  const auto answer = some_bytes(7, 100);
  SizeOutcome answered;
  pair.b->write(answer, answered.done());
  pair.b->shutdown_write();
  EXPECT_EQ(read_all(*pair.a), answer);
}

TEST_P(ByteStreams, WhatWasWrittenArrivesThoughTheWriterIsGone) {
  StreamPair pair = connected_pair();
  const auto bytes = some_bytes(8, 50'000);
  SizeOutcome written;
  pair.a->write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  pair.a.reset();
  SizeOutcome last;
  EXPECT_EQ(read_all(*pair.b, &last), bytes);
  EXPECT_TRUE(last.ok());
}

TEST_P(ByteStreams, NothingCompletesInsideTheCallThatStartsIt) {
  const StreamPair pair = connected_pair();
  const auto bytes = some_bytes(9, 1000);
  SizeOutcome written;
  pair.a->write(bytes, written.done());
  EXPECT_EQ(written.calls, 0);  // though there was room
  serve_until([&] { return written.calls > 0; });
  serve_a_while();
  std::vector<std::byte> into(1000);
  SizeOutcome taken;
  pair.b->read(into, taken.done());
  EXPECT_EQ(taken.calls, 0);  // though the bytes were there
  serve_until([&] { return taken.calls > 0; });
  EXPECT_TRUE(taken.ok());
}

TEST_P(ByteStreams, DestroyedWithAReadInFlightNothingIsCalledAndTheBufferGoes) {
  StreamPair pair = connected_pair();
  auto buffer = std::make_shared<std::vector<std::byte>>(100'000);
  const std::weak_ptr watch = buffer;
  int calls = 0;
  pair.b->read(*buffer, [&calls, buffer](auto) { ++calls; });
  buffer.reset();
  serve_a_while();
  EXPECT_FALSE(watch.expired());
  pair.b.reset();
  SizeOutcome written;
  const auto bytes = some_bytes(10, 1000);
  pair.a->write(bytes, written.done());
  serve_until([&] { return watch.expired() && written.calls > 0; });
  EXPECT_EQ(calls, 0);
}

TEST_P(ByteStreams, DestroyedWithAWriteInFlightNothingIsCalledAndTheBufferGoes) {
  StreamPair pair = connected_pair();
  auto buffer = std::make_shared<std::vector<std::byte>>(some_bytes(11, 20'000'000));
  const std::weak_ptr watch = buffer;
  int calls = 0;
  pair.a->write(*buffer, [&calls, buffer](auto) { ++calls; });
  buffer.reset();
  serve_a_while();
  EXPECT_FALSE(watch.expired());
  pair.a.reset();
  serve_until([&] { return watch.expired(); });
  EXPECT_EQ(calls, 0);
}

TEST_P(ByteStreams, DestroyedBeforeTheLoopEverSawTheOperation) {
  for (int round = 0; round < 20; ++round) {
    StreamPair pair = connected_pair();
    auto buffer = std::make_shared<std::vector<std::byte>>(100'000);
    const std::weak_ptr watch = buffer;
    int calls = 0;
    pair.a->write(*buffer, [&calls, buffer](auto) { ++calls; });
    pair.b->read(*buffer, [&calls, buffer](auto) { ++calls; });
    buffer.reset();
    pair = {};
    serve_until([&] { return watch.expired(); });
    EXPECT_EQ(calls, 0);
  }
}

TEST_P(ByteStreams, DestroyedInsideItsOwnCompletion) {
  StreamPair pair = connected_pair();
  const auto bytes = some_bytes(12, 1000);
  std::vector<std::byte> into(1000);
  bool gone = false;
  SizeOutcome other;
  SizeOutcome written;
  pair.b->write(bytes, other.done());
  serve_until([&] { return other.calls > 0; });
  auto more = std::make_shared<std::vector<std::byte>>(some_bytes(13, 20'000'000));
  pair.b->write(*more, [&other, more](auto) { ++other.calls; });
  pair.b->read(into, [&](auto) {
    pair.b.reset();
    gone = true;
  });
  pair.a->write(bytes, written.done());
  serve_until([&] { return gone && written.calls > 0; });
  serve_a_while();
  EXPECT_EQ(other.calls, 1);
}

TEST_P(ByteStreams, APeerThatGoesWithUnreadBytesIsALostLink) {
  StreamPair pair = connected_pair();
  const auto bytes = some_bytes(14, 1000);
  SizeOutcome written;
  pair.a->write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  serve_a_while();
  pair.b.reset();  // with bytes unread: TCP says RST
  std::vector<std::byte> into(10);
  SizeOutcome taken;
  pair.a->read(into, taken.done());
  serve_until([&] { return taken.calls > 0; });
  EXPECT_EQ(taken.fault(), Fault::kLinkLost);
  EXPECT_NE(taken.what().find("127.0.0.1:"), std::string::npos) << taken.what();
}

TEST_P(ByteStreams, WritingToAPeerThatWentIsALostLink) {
  StreamPair pair = connected_pair();
  pair.b.reset();
  const auto bytes = some_bytes(15, 1000);
  SizeOutcome written;
  for (int round = 0; round < 100 && written.fault() == Fault::kNone; ++round) {
    written = {};
    pair.a->write(bytes, written.done());
    serve_until([&] { return written.calls > 0; });
    serve_a_while();
  }
  EXPECT_EQ(written.fault(), Fault::kLinkLost);
}

TEST_P(ByteStreams, HostGoesWithOperationsInFlight) {
  StreamPair pair = connected_pair();
  auto buffer = std::make_shared<std::vector<std::byte>>(20'000'000);
  const std::weak_ptr watch = buffer;
  int calls = 0;
  pair.b->read(*buffer, [&calls, buffer](auto) { ++calls; });
  pair.b->write(*buffer, [&calls, buffer](auto) { ++calls; });
  // A stream that only its own completion keeps: the host must break the circle.
  std::shared_ptr<ByteStream> kept(std::move(pair.a));
  auto own_buffer = std::make_shared<std::vector<std::byte>>(20'000'000);
  kept->write(*own_buffer, [kept, own_buffer, &calls](auto) { ++calls; });
  const std::weak_ptr watch_kept = kept;
  kept.reset();
  buffer.reset();
  pair.b.reset();
  host_.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_TRUE(watch_kept.expired());
  EXPECT_EQ(calls, 0);
}

TEST_P(ByteStreams, SayWhoIsAtTheOtherEnd) {
  const StreamPair pair = connected_pair();
  EXPECT_EQ(pair.a->name().find("127.0.0.1:"), 0U) << pair.a->name();
  EXPECT_EQ(pair.b->name().find("127.0.0.1:"), 0U) << pair.b->name();
  EXPECT_EQ(pair.a->unread(), 0U);
}

}  // namespace
}  // namespace zferry::io::contract
