// The stages of one end each, as objects that a test feeds and asks: what they said is kept. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/receive_pipeline.h"
#include "pipeline/send_pipeline.h"
#include "unit/pipeline/fake_destination.h"
#include "unit/pipeline/fake_stream.h"
#include "unit/pipeline/machine.h"
#include "zstream/writer.h"

namespace zferry::pipeline::testing {

inline std::vector<std::byte> zfs_stream(SeededRandom& random, std::size_t bytes_about, std::size_t begin_bytes = 0) {
  zstream::StreamWriter writer;
  writer.begin({.toguid = 17, .toname = "tank/vm@monday"}, random_bytes(random, begin_bytes));
  for (std::uint64_t offset = 0; offset < bytes_about; offset += 131072) {
    std::vector<std::byte> payload = mixed_bytes(random, 8 * (1 + random.below(16384)));
    writer.write(1, offset, payload.size(), payload);
  }
  writer.end();
  return writer.take();
}

// A source's stages, fed by the test.
struct Sending {
  Machine& machine;
  std::shared_ptr<FakeWire> input = std::make_shared<FakeWire>();
  FakeStream stream;
  bool wanted = true;
  bool identified = false;
  bool ended = false;
  std::optional<Error> failed;
  std::unique_ptr<SendPipeline> pipeline;

  Sending(Machine& on, std::vector<std::byte> bytes, std::size_t block_bytes, const pack::PackSettings& packing = {},
          std::size_t pool_buffers = 16)
      : machine(on), stream(on.host.loop, input, on.random.next()) {
    input->to_read = std::move(bytes);
    SendPipeline::Events events;
    events.wanted = [this] { return wanted; };
    events.identified = [this] { identified = true; };
    events.ready = [] {};
    events.input_ended = [this] { ended = true; };
    events.failed = [this](Error why) {
      EXPECT_FALSE(failed);
      failed = std::move(why);
    };
    pipeline = std::make_unique<SendPipeline>(
        machine.host, stream, SendPipeline::Settings{block_bytes, packing, pool_buffers}, std::move(events));
    pipeline->start();
  }
};

// A target's stages, with what they said.
struct Receiving {
  std::shared_ptr<FakeEnd> end = std::make_shared<FakeEnd>();
  std::optional<Error> failed;
  std::optional<Status> verdict;
  std::optional<wire::Completion> finished;
  ReceivePipeline pipeline;

  Receiving(Machine& on, const seal::SecretBytes& key, std::size_t block_bytes, std::size_t window = 6)
      : pipeline(on.host, std::make_unique<FakeDestination>(on.host.loop, end), key.copy(), block_bytes, window,
                 {[] {}, [this](wire::Completion how) { finished = how; }, [this](Error why) { note(std::move(why)); },
                  [this](Error why) { note(std::move(why)); }}) {}
  void note(Error why) {
    EXPECT_FALSE(failed);
    failed = std::move(why);
  }
  void check(const StreamEnd& of, wire::ProducerExit producer = wire::ProducerExit::kUnknown) {
    pipeline.check_final({of.bytes, of.blocks, of.digest, producer}, [this](Status says) {
      EXPECT_FALSE(verdict);
      verdict = std::move(says);
    });
  }
};

// As a target would tell it that has `offset` bytes of the stream.
inline ResumePoint point_at(const seal::SecretBytes& key, std::size_t leaf_bytes, ConstBytes stream, std::size_t offset,
                            std::uint64_t number) {
  seal::LeafChain chain(key.copy(), leaf_bytes);
  seal::ChainMarks marks(leaf_bytes);
  for (ConstBytes rest = stream.first(offset); !rest.empty();) {
    const std::size_t count = std::min(leaf_bytes, rest.size());
    chain.add_bytes(rest.first(count));
    marks.note(chain);
    rest = rest.subspan(count);
  }
  ResumePoint point{number, offset, marks.marks()};
  if (offset > 0 && (point.marks.empty() || point.marks.back().stream_bytes != offset))
    point.marks.push_back({offset, chain.digest()});
  return point;
}

}  // namespace zferry::pipeline::testing
