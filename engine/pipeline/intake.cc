#include "pipeline/intake.h"

#include <algorithm>
#include <utility>

namespace zferry::pipeline {
namespace {

constexpr int kFruitlessMax = 100;  // questions in a row that let nothing go, while all waits for room

Error beyond_credit() { return {Fault::kProtocol, "the source sent a block beyond its credit", {}}; }

}  // namespace

Intake::Intake(Host& host, const TargetSettings& settings, flow::BufferPool& pool, Events events)
    : host_(host), settings_(settings), events_(std::move(events)), pool_(pool) {
  receive_ = settings.dataset.empty() ? ReceiveCommand::parse(settings.consumer)
                                      : std::optional(ReceiveCommand::of_dataset(settings.dataset));
  fills_ = receive_;
  if (receive_ && !receive_->keeps_what_is_cut()) receive_.reset();
  if (!settings.store) return;
  Spool::Events spool;
  spool.progress = [this] { on_progress(); };
  spool.stored = [this](std::uint64_t number) {
    if (resolver_) resolver_->stored(number);
  };
  spool.full = [this] { store_full(); };
  spool.lost = [this](Error why) { store_lost(std::move(why)); };
  spool.damaged = [this](Error why) { fail(std::move(why)); };
  spool_ = std::make_unique<Spool>(host, *settings.store, destination_name(settings), settings.lane.block_bytes,
                                   std::move(spool));
}

void Intake::open(Done done) {
  if (spool_) return spool_->open(std::move(done));
  host_.loop.post(lifeline_.guard([done = std::move(done)] { done({}); }));
}

const KeptSession* Intake::found() const { return spool_ && spool_->found() ? &*spool_->found() : nullptr; }

void Intake::start(const KeptSession& session, std::function<void()> ready) {
  session_ = session;
  ready_ = std::move(ready);
  started_ = true;
  if (found() != nullptr) released_ = found()->final;
  if (found() != nullptr) return revive();
  if (!spool_) return launch(nullptr);
  if (Status enough = check_capacity(); !enough) return fail(enough.take_error());
  std::string label = session.open.name + " -> " + destination_name(settings_);
  std::replace(label.begin(), label.end(), '\0', ' ');
  spool_->begin(session, label.substr(0, 500), [this](Status begun) {
    if (over_) return;
    if (!begun) return fail(begun.take_error());
    launch(nullptr);
  });
}

// Where ZFS does not say how far it is, all of the stream must be kept to its end; and so is one of many snapshots.
Status Intake::check_capacity() const {
  if (receive_ && !compound()) return {};
  std::string why =
      compound() ? "a stream of many snapshots is kept to its end" : "this consumer leaves no resume token";
  std::uint64_t needed = session_.open.size_hint_bytes;
  std::string capacity = std::to_string(spool_->capacity_bytes());
  if (needed > spool_->capacity_bytes())
    return Error{Fault::kStoreFull,
                 why + ", so the store must hold the whole stream: about " + std::to_string(needed) +
                     " bytes, and its capacity is " + capacity,
                 "give it a capacity of " + std::to_string(needed + needed / 16 + 2 * limits::kSegmentBytes) +
                     " bytes" + (compound() ? "" : ", or use \"zfs receive -s\"") + ", or leave --store out"};
  info(why + ": the store must hold the whole stream (" +
       (needed > 0 ? "about " + std::to_string(needed) + " bytes" : "of unknown length") + ", capacity " + capacity +
       ") for it to survive a crash");
  return {};
}

// Where a new consumer's stream begins: at the checkpoint, or at its start.
Result<StreamState> Intake::first_state() const {
  seal::SecretBytes key(session_.leaf_key);
  std::size_t block_bytes = session_.open.block_bytes_max;
  if (!spool_ || spool_->checkpoint().state.empty()) return StreamState::begin(std::move(key), block_bytes);
  return StreamState::restore(spool_->checkpoint(), std::move(key), block_bytes);
}

Result<std::unique_ptr<ReceivePipeline>> Intake::make_pipeline(std::unique_ptr<zstream::Remainder> rest) {
  auto from = first_state();
  if (!from) return from.take_error();
  from->follows = spool_ && receive_ && !compound();
  auto destination = open_destination(host_, settings_);
  if (!destination) return destination.take_error();
  ReceivePipeline::Events events;
  events.progress = [this] { on_progress(); };
  events.finished = [this](wire::Completion how) { events_.finished(how); };
  events.broke = [this](Error why) { pipeline_broke(std::move(why)); };
  events.failed = [this](Error why) { pipeline_failed(std::move(why)); };
  return std::make_unique<ReceivePipeline>(host_, std::move(*destination), seal::SecretBytes(session_.leaf_key),
                                           session_.open.block_bytes_max, window(), std::move(events), std::move(*from),
                                           std::move(rest));
}

void Intake::look_for_chunks() {
  Resolver::Events events;
  events.need = [this] { events_.need(); };
  events.here = [this](std::uint64_t number) { return here(number); };
  events.resolved = [this](Resolver::Resolved block) { take_resolved(std::move(block)); };
  auto on_disk = [this](std::function<Status(Disk&)> job, std::function<void(Status)> done) {
    spool_->on_disk(std::move(job), std::move(done));
  };
  resolver_ = std::make_unique<Resolver>(host_, std::move(on_disk), pool_.taker(), seal::SecretBytes(session_.leaf_key),
                                         std::move(events));
  if (!spooling()) return resolver_->nothing_is_stored();
  spool_->on_disk(
      [](Disk& disk) {
        store::Savings one_more;
        one_more.sessions = 1;
        disk.store->add_savings(one_more);
        return Status();
      },
      [](const Status&) {});
}

void Intake::launch(std::unique_ptr<zstream::Remainder> rest) {
  auto made = make_pipeline(std::move(rest));
  if (!made) return fail(made.take_error());
  if (!resolver_ && chunk_key() != wire::Id{}) look_for_chunks();
  pipeline_ = std::move(*made);
  ++launches_;
  launched_at_ = pipeline_->delivered();
  settled_ = {};
  shown_token_.reset();
  if (final_) judge();
  if (auto ready = std::exchange(ready_, nullptr)) ready();
  if (spool_) spool_->feed(pipeline_.get());
  if (spool_ && receive_ && !compound()) watch_applied();
  // A rewind may have waited for it, and it may have nothing to wait for.
  host_.loop.post(lifeline_.guard([this] { on_progress(); }));
}

bool Intake::here(std::uint64_t number) const {
  return spooling() ? spool_->has(number) : pipeline_ && pipeline_->has(number);
}

bool Intake::within_credit(std::uint64_t number, std::uint64_t offset, std::uint32_t raw_bytes) const {
  const std::uint64_t end = offset + raw_bytes;
  if (spooling()) return number < granted_ && end <= granted_bytes_;
  return !pipeline_ || (number < pipeline_->credit() && end <= pipeline_->credit_bytes());
}

void Intake::named(const wire::Chunks& chunks) {
  if (!spool_) return events_.broke({Fault::kProtocol, "the source named chunks where none are looked for", {}});
  if (!within_credit(chunks.number, chunks.offset, chunks.raw_bytes)) return events_.broke(beyond_credit());
  if (!pipeline_ && !spooling()) return;
  if (!resolver_) look_for_chunks();  // a process before this one did: nothing is found now
  if (!here(chunks.number)) resolver_->named(chunks);
}

void Intake::take(const wire::Block& header, flow::Slice packed) {
  if (!within_credit(header.number, header.offset, header.raw_bytes)) return events_.broke(beyond_credit());
  if (header.raw_bytes > session_.open.block_bytes_max)
    return events_.broke({Fault::kProtocol, "a block is longer than was agreed", {}});
  if (here(header.number)) return;
  if (header.encoding == wire::Encoding::kChunks) {
    if (!spool_) return events_.broke({Fault::kProtocol, "a recipe came where no chunks are looked for", {}});
    if (!resolver_) look_for_chunks();
    return resolver_->take(header, std::move(packed));
  }
  std::vector<store::ChunkFacts> chunks;
  if (resolver_) chunks = resolver_->brought_by(header);
  if (spooling()) spool_->take({header, packed, std::move(chunks)});
  // What it has no room for now it gets out of the store.
  if (pipeline_ && (!spooling() || header.number < pipeline_->credit())) pipeline_->take(header, std::move(packed));
  if (spooling()) on_progress();
}

// The store keeps the recipe, the pipeline gets the block.
void Intake::take_resolved(Resolver::Resolved block) {
  wire::Block whole = block.header;
  whole.encoding = wire::Encoding::kStored;
  whole.packed_bytes = whole.raw_bytes;
  if (spooling()) {
    Spool::Block kept{whole, block.raw, std::move(block.chunks), {}, block.found_bytes};
    if (!block.kept.bytes.empty()) {
      kept.header.encoding = wire::Encoding::kChunks;
      kept.header.packed_bytes = static_cast<std::uint32_t>(block.kept.bytes.size());
      kept.packed = std::move(block.kept);
      kept.raw = block.raw;
    }
    spool_->take(std::move(kept));
  }
  if (pipeline_ && (!spooling() || whole.number < pipeline_->credit())) pipeline_->take(whole, std::move(block.raw));
  on_progress();
}

wire::Ack Intake::ack() {
  wire::Ack ack;
  if (!pipeline_ && !spooling()) return ack;
  if (pipeline_) {
    ack = {pipeline_->received(), pipeline_->delivered(), pipeline_->credit(), pipeline_->beyond()};
    ack.credit_bytes = std::min(pipeline_->credit_bytes(), wire::kNoEnd);
  }
  if (!spool_) return ack;
  ack.keep = spool_->keep();
  ack.life = spool_->life();
  if (!spooling()) return ack;
  ack.received = spool_->received();
  ack.delivered = std::min(ack.delivered, ack.received);
  ack.durable = spool_->durable();
  if (pipeline_) {
    granted_ = std::max(granted_, std::min(pipeline_->credit(), spool_->kept() + window().blocks));
    std::uint64_t kept = spool_->kept_bytes() ? *spool_->kept_bytes() + window().bytes : wire::kNoEnd;
    granted_bytes_ = std::max(granted_bytes_, std::min({pipeline_->credit_bytes(), kept, wire::kNoEnd}));
  }
  ack.credit = granted_;
  ack.credit_bytes = granted_bytes_;
  ack.beyond.assign((spool_->received_end() - ack.received + 63) / 64, 0);
  for (std::uint64_t number = ack.received; number < spool_->received_end(); ++number)
    if (spool_->has(number))
      ack.beyond[(number - ack.received) / 64] |= std::uint64_t{1} << (number - ack.received) % 64;
  if (ack.beyond.size() > limits::kAckWordsMax) ack.beyond.resize(limits::kAckWordsMax);
  return ack;
}

void Intake::on_progress() {
  if (over_) return;
  if (pipeline_ && pipeline_->delivered() > furthest_) revivals_ = 0;
  if (spool_) spool_->feed_on();
  // A new run sends nothing of what it is told to be here, so that must become durable: also what waits for room.
  bool level = pipeline_ && (!spooling() || (pipeline_->received() >= spool_->received() && spool_->all_written()));
  if (level)
    if (auto caught_up = std::exchange(caught_up_, nullptr)) caught_up();
  events_.progress();
}

void Intake::check_final(const wire::Final& final, std::function<void(Status)> verdict) {
  final_ = final;
  verdict_ = std::move(verdict);
  if (pipeline_) judge();
}

// What a pipeline says that was buried meanwhile counts no more: the next one is asked again.
void Intake::judge() {
  pipeline_->check_final(*final_, of_this_pipeline([this](Status status) { verdict_(std::move(status)); }));
}

// Written down first: who died after this finds whether ZFS has the snapshot, and knows what it is.
void Intake::release() {
  releasing_ = true;
  verdict_ = [this](Status status) {
    if (!status) return fail(status.take_error());
    let_go();
  };
  if (pipeline_) let_go();  // else its consumer died since it found the FINAL right: the next one lets it go
}

void Intake::let_go() {
  if (!spooling()) return pipeline_->release();
  released_ = KeptFinal{*final_, pipeline_->walker().summary().toguid};
  spool_->note_final(*released_, of_this_pipeline([this](const Status& noted) {
    if (!noted) warn(noted.error().what);
    pipeline_->release();
  }));
}

void Intake::rewind(std::function<std::uint64_t()> incarnation, RewindDone done) {
  if (resolver_) resolver_->forget_all();  // the new run names what it sends
  caught_up_ = rewinding_ = [this, incarnation, done = std::move(done)] {
    pipeline_->rewind(of_this_pipeline([this, incarnation, done] {
      rewinding_ = nullptr;
      ResumePoint point = pipeline_->resume_point();
      if (!final_ || !releasing_) final_.reset();
      std::uint64_t run = incarnation();
      if (!spooling()) return done(point, run);
      spool_->take_over(run, point.next_number, [this, point, run, done](Status noted) {
        if (!noted) spool_->give_up(noted.take_error());
        if (!over_) done(point, run);
      });
    }));
  };
  host_.loop.post(lifeline_.guard([this] { on_progress(); }));
}

bool Intake::untouched_since(std::uint64_t number) const {
  if (caught_up_) return true;
  if (spooling()) return spool_->received_end() == number;
  return pipeline_ && pipeline_->received() == number && pipeline_->beyond().empty();
}

void Intake::drop(std::function<void()> gone) {
  over_ = true;
  bool dead = revival_timer_ != 0;
  host_.loop.cancel(revival_timer_);
  host_.loop.cancel(applied_timer_);
  question_.reset();
  applied_question_.reset();
  if (spool_) spool_->feed(nullptr);
  if (pipeline_) return pipeline_->drop(std::move(gone));
  if (!dying_ || dead) return gone();
  gone_ = std::move(gone);  // its consumer still holds the dataset
}

void Intake::forget(Done done) {
  host_.loop.cancel(applied_timer_);
  applied_question_.reset();
  if (!spool_) return done({});
  spool_->remove(std::move(done));
}

// What is wrong in it must not stand in the way of a source that mends it.
void Intake::pipeline_broke(Error why) {
  if (spooling()) spool_->take_over(session_.open.incarnation, pipeline_->joined(), [](const Status&) {});
  events_.broke(std::move(why));
}

void Intake::pipeline_failed(Error why) {
  if (over_) return;
  if (may_revive(why)) return bury_and_revive(why);
  bool blocked = receive_ && why.fault == Fault::kConsumerFailed && pipeline_->delivered() == 0;
  return blocked ? explain_failure(std::move(why)) : fail(std::move(why));
}

void Intake::fail(Error why) {
  if (std::exchange(over_, true)) return;
  events_.failed(std::move(why));
}

void Intake::store_full() {
  if (over_) return;
  if (resolver_) resolver_->wait_no_longer();
  bool never = !receive_ || compound() || (pipeline_ && !pipeline_->resumable()) || fruitless_ > kFruitlessMax;
  if (never)
    return spool_->give_up({Fault::kStoreFull,
                            "the store is full (" + std::to_string(spool_->capacity_bytes()) +
                                " bytes, or its disk is), and no more of the stream can be let go",
                            "give it more capacity"});
  if (!std::exchange(full_told_, true)) info("the store is full: waiting for ZFS to make durable what it has taken");
  host_.loop.cancel(applied_timer_);
  applied_timer_ = host_.loop.after(settings_.applied_every / 4, lifeline_.guard([this] { ask_applied(); }));
}

// Without a store the session goes on as it would have begun without one, if nothing is needed that only the store has.
void Intake::store_lost(Error why) {
  if (over_) return;
  if (resolver_) resolver_->nothing_is_stored();
  bool needed = !pipeline_;
  for (std::uint64_t number = spool_->checkpoint().number; !needed && number < spool_->received_end(); ++number)
    needed = spool_->has(number) && !pipeline_->has(number);
  if (settings_.store->end_when_lost || needed) return fail(std::move(why));
  warn(why.what + "; the transfer goes on, but from here on a crash of this end loses what ZFS has not applied");
  on_progress();
}

void Intake::info(const std::string& text) const {
  if (settings_.notices.info) settings_.notices.info(text);
}
void Intake::warn(const std::string& text) const {
  if (settings_.notices.warning) settings_.notices.warning(text);
}

}  // namespace zferry::pipeline
