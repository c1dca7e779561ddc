// Source: one run of `zferry send`: meets the target, runs the session by SourceCore's decisions, feeds the lanes from
// the SendPipeline. Mirror: target.h. Threading: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/lifeline.h"
#include "pipeline/core_driver.h"
#include "pipeline/flight.h"
#include "pipeline/host.h"
#include "pipeline/link.h"
#include "pipeline/link_tuner.h"
#include "pipeline/report.h"
#include "pipeline/send_pipeline.h"
#include "pipeline/settings.h"
#include "session/source_core.h"

namespace zferry::pipeline {

class Source {
 public:
  // `done` is called once, from the loop. REQUIRES: host and settings outlive this object.
  Source(Host& host, const SourceSettings& settings, std::function<void(const Report&)> done);
  ~Source();
  void start();
  // An operator's signal.
  void interrupt(int signal_number);
  Progress progress() const;
  // How it stands, for an operator who will not wait for the ending.
  Report abandoned();
  session::SourceState state() const { return driver_.state(); }

 private:
  using Driver = CoreDriver<session::SourceCore, session::SourceTraits, session::SourceNews>;
  using Event = session::SourceEvent;

  void act(session::SourceAction action);
  Link::Events link_events();
  LinkTuner::Wiring tuner_wiring();
  const session::SourceCore& core() const { return driver_.core(); }
  void link_down(const Error& why);
  void link_back();
  void lane_message(Lane& lane, wire::FrameType type, ConstBytes bytes);
  void serve_message(std::uint64_t lane, wire::FrameType type, ConstBytes bytes);
  void broke(Error why);
  bool still_moving();
  void got_opened(std::uint64_t lane, const wire::Opened& opened);
  void hear_ack(ConstBytes bytes);
  void got_ack(const wire::Ack& ack);
  void note_keep(const wire::Ack& ack);
  void got_final_ack(const wire::FinalAck& final_ack);
  void start_input();
  void stop_input();
  void start_flow(bool compare_only);
  void pump();
  void pump_later();
  void say_chunks();
  bool load(Lane& lane);
  bool load_copy(Lane& lane);
  void check_whole();
  void fail_input(Error why);
  Status judge_input();
  void warn(const std::string& text) const;
  void info(const std::string& text) const;
  void send_open();
  wire::EarlierRun earlier_run();
  void save_marker();
  void clear_marker();
  void send_final();
  void send_abort();
  void send_leave();
  void finish();
  SendPipeline::Credit credit() const { return {core().credit(), credit_bytes_}; }
  Bottleneck bottleneck() const;

  Host& host_;
  const SourceSettings& settings_;
  std::function<void(const Report&)> done_;
  Driver driver_;
  flow::BufferPool no_blocks_{0, 0};  // a source's lanes receive none
  Link link_;
  LinkTuner tuner_;
  Duration give_up_after_;
  std::uint64_t sent_when_asked_ = 0;
  bool pump_waits_ = false;
  std::uint64_t reconnects_told_ = 0;

  std::unique_ptr<io::Child> producer_;
  std::unique_ptr<io::ByteStream> input_;
  std::optional<io::ExitStatus> producer_exit_;
  std::unique_ptr<SendPipeline> pipeline_;
  std::optional<wire::Opened> opened_;
  Flight flight_;
  std::uint32_t target_life_ = 0;  // a target that comes back from its store says that it is another
  std::uint32_t heard_life_ = 0;   // the same, of ACKs that wait for their turn as well
  wire::Keep keep_ = wire::Keep::kMemory;
  std::uint64_t next_number_ = 0;
  std::uint64_t credit_bytes_ = 0;
  bool input_judged_ = false;
  bool whole_ = false;  // the core was told how the input ended
  wire::Open open_;
  std::string marker_;
  std::optional<std::vector<std::byte>> open_outcome_;  // what the note of an earlier run says: its session's leaf key
  bool marker_in_work_ = false;                         // FINAL waits until it is on disk
  bool final_waits_ = false;
  bool state_usable_ = true;
  Report report_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
