// All stages of both ends on real sockets with real worker threads: for the thread sanitizer above all, and for what is
// destroyed while jobs still run.
#include <gtest/gtest.h>

#include <filesystem>

#include "flow/workers.h"
#include "io/posix_host.h"
#include "pipeline/lane.h"
#include "pipeline/meeting.h"
#include "pipeline/receive_pipeline.h"
#include "pipeline/send_pipeline.h"
#include "unit/pipeline/fake_destination.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

constexpr std::size_t kBlockBytes = 64 * 1024;
constexpr std::size_t kWindow = 8;

// Both ends in one loop; acknowledgements and FINAL go from object to object, everything else over the lane.
class Session {
 public:
  explicit Session(std::vector<std::byte> stream)
      : machine_(std::move(io::PosixHost::create({io::Backend::kPoll, ""})).value()),
        workers_(4, [this](std::function<void()> task) { machine_->loop().post(std::move(task)); }),
        disk_(1, [this](std::function<void()> task) { machine_->loop().post(std::move(task)); }),
        host_{machine_->loop(), machine_->network(), machine_->processes(), machine_->files(), workers_, disk_,
              system_random(),  seal::x25519()},
        key_(seal::SecretBytes::random(system_random())) {
    settings_.block_bytes = kBlockBytes;
    settings_.frame_bytes = 10'000;
    Pairing pair = pair_by_keys(system_random());
    listening_.listen = true;
    listening_.endpoint = {"127.0.0.1", "0"};
    listening_.credentials = std::move(pair.listener);
    dialling_.credentials = std::move(pair.dialler);
    input_->to_read = std::move(stream);
    input_->read_bytes_max = 50'000;
    input_->ended = true;
    stop_at_bytes_ = input_->to_read.size();
  }
  // Ends the session, with all its objects, once so much was written.
  void stop_at(std::size_t bytes) { stop_at_bytes_ = bytes; }

  void run() {
    notices_.listening = [this](const std::string&, std::uint16_t port) {
      dialling_.endpoint = {"127.0.0.1", std::to_string(port)};
    };
    reception_.emplace(
        host_, listening_, settings_, wire::Role::kTarget, notices_,
        Reception::Events{[](bool) { return false; }, [this](EstablishedLane lane) { target_up(std::move(lane)); }});
    ASSERT_TRUE(reception_->start().ok());
    dial_.emplace(host_, dialling_, settings_, wire::Role::kSource, nullptr, [this](Result<EstablishedLane> lane) {
      ASSERT_TRUE(lane.ok()) << lane.error().what;
      source_up(std::move(*lane));
    });
    dial_->start();
    machine_->run();
  }
  const std::vector<std::byte>& written() const { return end_->wire->written; }
  bool finished() const { return finished_; }

 private:
  void target_up(EstablishedLane established) {
    auto failed = [this](const Error& why) {
      ADD_FAILURE() << why.what;
      machine_->stop();
    };
    receive_.emplace(host_, std::make_unique<FakeDestination>(host_.loop, end_), key_.copy(), kBlockBytes, kWindow,
                     ReceivePipeline::Events{[this] { progress(); },
                                             [this](wire::Completion) {
                                               finished_ = true;
                                               machine_->stop();
                                             },
                                             failed, failed});
    LaneEvents events;
    events.message = [](wire::FrameType, ConstBytes) {};
    events.block = [this](const wire::Block& block, flow::Slice packed) { receive_->take(block, std::move(packed)); };
    events.lost = failed;
    target_lane_ = std::make_unique<Lane>(host_, settings_, 1, std::move(established), pool_, std::move(events));
    target_lane_->start();
    progress();
  }
  void source_up(EstablishedLane established) {
    LaneEvents events;
    events.room = [this] { pump(); };
    events.lost = [](const Error& why) { ADD_FAILURE() << why.what; };
    source_lane_ = std::make_unique<Lane>(host_, settings_, 1, std::move(established), no_pool_, std::move(events));
    source_lane_->start();
    SendPipeline::Events stages;
    stages.wanted = [this] { return source_lane_->has_room(); };
    stages.identified = [this] { host_.loop.post([this] { send_->begin(key_.copy(), {}); }); };
    stages.ready = [this] { pump(); };
    stages.input_ended = [] {};
    stages.failed = [](const Error& why) { ADD_FAILURE() << why.what; };
    send_.emplace(host_, stream_, SendPipeline::Settings{kBlockBytes, {}, 16}, std::move(stages));
    send_->start();
  }
  void pump() {
    while (receive_ && source_lane_->has_room()) {
      auto block = send_->next_block(receive_->credit());
      if (!block) break;
      source_lane_->send_block(block->header, std::move(block->packed));
    }
    send_->pull();
  }
  void progress() {
    if (written().size() >= stop_at_bytes_) return machine_->stop();
    if (!send_) return;
    host_.loop.post([this] { pump(); });
    bool all = send_->drained() && receive_->received() == send_->end().blocks;
    if (!all || std::exchange(final_sent_, true)) return;
    StreamEnd end = send_->end();
    receive_->check_final({end.bytes, end.blocks, end.digest, {}}, [this](const Status& verdict) {
      EXPECT_TRUE(verdict.ok());
      host_.loop.post([this] { receive_->release(); });
    });
  }

  std::unique_ptr<io::PosixHost> machine_;
  flow::ThreadWorkers workers_;
  flow::ThreadWorkers disk_;
  Host host_;
  seal::SecretBytes key_;
  LaneSettings settings_ = lane_settings();
  MeetingSettings listening_, dialling_;
  Notices notices_;
  flow::BufferPool pool_{kWindow + 2, kBlockBytes};
  flow::BufferPool no_pool_{0, 0};
  std::shared_ptr<FakeWire> input_ = std::make_shared<FakeWire>();
  std::shared_ptr<FakeEnd> end_ = std::make_shared<FakeEnd>();
  FakeStream stream_{machine_->loop(), input_, 1};
  std::size_t stop_at_bytes_ = 0;
  bool final_sent_ = false;
  bool finished_ = false;
  std::optional<Reception> reception_;
  std::optional<Dialling> dial_;
  std::optional<SendPipeline> send_;
  std::optional<ReceivePipeline> receive_;
  std::unique_ptr<Lane> source_lane_, target_lane_;
};

TEST(Threads, AStreamGoesThrough) {
  SeededRandom random(1);
  std::vector<std::byte> stream = mixed_bytes(random, 8'000'000);
  Session session(stream);
  session.stop_at(stream.size() + 1);
  session.run();
  EXPECT_TRUE(session.finished());
  EXPECT_EQ(session.written(), stream);
}

TEST(Threads, ASessionMayEndAtAnyPlaceWithJobsUnderWay) {
  SeededRandom random(2);
  std::vector<std::byte> stream = mixed_bytes(random, 3'000'000);
  for (int i = 0; i < 12; ++i) {
    Session session(stream);
    session.stop_at(1 + random.below(2'500'000));
    session.run();
    ASSERT_LE(session.written().size(), stream.size());
    EXPECT_TRUE(std::equal(session.written().begin(), session.written().end(), stream.begin()));
    EXPECT_FALSE(session.finished());
  }
}

}  // namespace
}  // namespace zferry::pipeline
