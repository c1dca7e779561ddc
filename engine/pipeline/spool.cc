#include "pipeline/spool.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "pipeline/assembly.h"
#include "pipeline/dedup_scope.h"
#include "pipeline/names.h"
#include "pipeline/store_key.h"

namespace zferry::pipeline {
namespace {

constexpr std::size_t kReadsMax = 2;  // at a time
constexpr std::size_t kReadBuffers = 4;

store::BlockFacts facts_of(const wire::Block& block) {
  return {block.number, block.offset, block.raw_bytes, block.packed_bytes, static_cast<std::uint8_t>(block.encoding)};
}

wire::Block block_of(const store::BlockFacts& facts) {
  return {facts.number, facts.offset, facts.raw_bytes, facts.packed_bytes, static_cast<wire::Encoding>(facts.encoding)};
}

// 32 bytes principal, 32 bytes leaf key, OPEN.
std::vector<std::byte> session_note(const KeptSession& session) {
  std::vector<std::byte> note(session.principal.begin(), session.principal.end());
  note.insert(note.end(), session.leaf_key.begin(), session.leaf_key.end());
  wire::Message open = wire::encode(session.open);
  note.insert(note.end(), open.begin(), open.end());
  return note;
}

// u64 incarnation, u32 life.
std::vector<std::byte> run_note(std::uint64_t incarnation, std::uint32_t life) {
  std::vector<std::byte> note(sizeof incarnation + sizeof life);
  store_at(Bytes(note), 0, incarnation);
  store_at(Bytes(note), sizeof incarnation, life);
  return note;
}

Result<KeptSession> read_notes(const store::Session& session) {
  Error damaged{Fault::kStoreFailed, "the store's session lacks what tells whose it is", {}};
  auto who = session.note(store::Note::kSession);
  auto run = session.note(store::Note::kRun);
  KeptSession kept;
  constexpr std::size_t kIds = sizeof kept.principal + sizeof kept.leaf_key;
  if (!who || who->size() < kIds || !run || run->size() != 12) return damaged;
  std::copy_n(who->begin(), kept.principal.size(), kept.principal.begin());
  std::copy_n(who->begin() + sizeof kept.principal, kept.leaf_key.size(), kept.leaf_key.begin());
  auto open = wire::decode_open(ConstBytes(*who).subspan(kIds));
  if (!open) return open.take_error();
  kept.open = *open;
  kept.open.incarnation = load<std::uint64_t>(*run, 0);
  kept.life = load<std::uint32_t>(*run, 8);
  if (auto note = session.note(store::Note::kFinal)) {
    if (note->size() < sizeof(std::uint64_t)) return damaged;
    auto final = wire::decode_final(ConstBytes(*note).subspan(sizeof(std::uint64_t)));
    if (!final) return final.take_error();
    kept.final = KeptFinal{*final, load<std::uint64_t>(*note)};
  }
  return kept;
}

// Blocks that say what no source may say would end in an assertion further on.
Status check_blocks(const store::Session& session, std::size_t block_bytes) {
  for (const auto& [number, facts] : session.blocks()) {
    bool sound = number < limits::kBlocksMax && facts.raw_bytes > 0 && facts.raw_bytes <= block_bytes &&
                 facts.packed_bytes > 0 && facts.packed_bytes <= facts.raw_bytes && facts.encoding <= 2;
    if (!sound) return Error{Fault::kStoreFailed, "block " + std::to_string(number) + " in the store is no block", {}};
  }
  return {};
}

wire::Block as_it_is(const wire::Block& header) {
  return {header.number, header.offset, header.raw_bytes, header.raw_bytes, wire::Encoding::kStored};
}

// From here on chunks of this session are looked for. Gives the key for their ids.
wire::Id look_for_chunks(Disk& disk, const store::Scope& scope) {
  wire::Id key{};
  if (scope == store::Scope{}) return key;
  disk.scope = scope;
  disk.session->set_scope(scope);
  const seal::SecretBytes secret = disk.store->chunk_key(scope);
  std::ranges::copy(secret.bytes(), key.begin());
  return key;
}

}  // namespace

// What opening finds. On the disk's worker.
struct Spool::Opening {
  StoreChoice choice;
  store::SessionId id;
  std::string destination;
  std::size_t block_bytes;
  seal::SecretBytes key;
  RandomSource& random;
  std::uint64_t capacity_bytes = 0;
  std::optional<KeptSession> kept{};
  Checkpoint checkpoint{};
  NumberSet blocks{};
  wire::Id chunk_key{};

  Status look(Disk& disk);
  Status take_up(Disk& disk);
};

Status Spool::Opening::look(Disk& open) {
  store::StoreSettings settings;
  settings.segment_bytes = choice.segment_bytes;
  settings.unix_now_s = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
  settings.capacity_bytes = choice.capacity_bytes;
  settings.window = choice.dedup != DedupScope::kNone;
  auto opened = store::Store::open(*open.folder, key, std::move(settings), random);
  if (!opened) return opened.take_error();
  open.store = std::move(*opened);
  capacity_bytes = open.store->capacity_bytes();
  for (const store::SessionSummary& summary : open.store->sessions()) {
    if (summary.id != id) continue;
    return summary.damage ? Status(*summary.damage) : take_up(open);
  }
  return {};
}

Status Spool::Opening::take_up(Disk& open) {
  auto session = open.store->resume(id);
  if (!session) return session.take_error();
  open.session = std::move(*session);
  auto read = read_notes(*open.session);
  if (!read) return read.take_error();
  if (Status sound = check_blocks(*open.session, block_bytes); !sound) return sound;
  ++read->life;
  chunk_key = look_for_chunks(open, scope_of(choice.dedup, read->principal, read->leaf_key, destination));
  open.session->set_note(store::Note::kRun, run_note(read->open.incarnation, read->life));
  if (Status committed = open.session->commit(); !committed) return committed;
  checkpoint = {open.session->first_number(), open.session->checkpoint_state()};
  blocks = NumberSet(checkpoint.number);
  for (const auto& [number, facts] : open.session->blocks()) blocks.add(number);
  kept = std::move(*read);
  return {};
}

Spool::Spool(Host& host, const StoreChoice& choice, const std::string& destination, std::size_t block_bytes,
             Events events)
    : host_(host),
      choice_(choice),
      id_(destination_id(destination)),
      block_bytes_(block_bytes),
      events_(std::move(events)),
      disk_(std::make_shared<Disk>()),
      destination_(destination),
      pool_(kReadBuffers, block_bytes) {
  pool_.set_on_return([&loop = host.loop, resume = lifeline_.guard([this] { feed_on(); })] { loop.post(resume); });
}

void Spool::on_disk(std::function<Status(Disk&)> job, Done done) {
  auto result = std::make_shared<Status>();
  host_.disk.run([result, disk = disk_, job = std::move(job)] { *result = job(*disk); },
                 lifeline_.guard([result, done = std::move(done)] { done(*result); }));
}

// ---- Opening.

void Spool::open(Done done) {
  auto key = store_key(host_.files.state(), host_.random);
  if (!key) {
    host_.loop.post(lifeline_.guard([done, why = key.take_error()] { done(why); }));
    return;
  }
  disk_->folder = host_.files.folder(choice_.folder);
  auto found =
      std::make_shared<Opening>(Opening{choice_, id_, destination_, block_bytes_, std::move(*key), host_.random});
  on_disk([found](Disk& open) { return found->look(open); },
          [this, found, done](Status status) {
            capacity_bytes_ = found->capacity_bytes;
            if (found->kept) {
              life_ = found->kept->life;
              chunk_key_ = found->chunk_key;
              active_ = true;
              checkpoint_ = std::move(found->checkpoint);
              taken_ = written_ = durable_ = std::move(found->blocks);
              leaf_key_ = std::make_shared<const seal::SecretBytes>(found->kept->leaf_key);
              found_ = std::move(found->kept);
            }
            done(std::move(status));
          });
}

void Spool::begin(const KeptSession& session, const std::string& label, Done done) {
  life_ = session.life;
  leaf_key_ = std::make_shared<const seal::SecretBytes>(session.leaf_key);
  auto key = std::make_shared<wire::Id>();
  auto job = [id = id_, label, key, scope = scope_of(choice_.dedup, session.principal, session.leaf_key, destination_),
              who = session_note(session),
              run = run_note(session.open.incarnation, session.life)](Disk& open) -> Status {
    auto begun = open.store->begin(id, label);
    if (!begun) return begun.take_error();
    open.session = std::move(*begun);
    *key = look_for_chunks(open, scope);
    open.session->set_note(store::Note::kSession, who);
    open.session->set_note(store::Note::kRun, run);
    return open.session->commit();
  };
  on_disk(std::move(job), [this, key, done](Status status) {
    active_ = status.ok();
    chunk_key_ = *key;
    done(std::move(status));
  });
}

std::optional<std::uint64_t> Spool::kept_bytes() {
  places_.erase(places_.begin(), places_.lower_bound(kept()));
  if (places_.empty() || places_.begin()->first != kept()) return std::nullopt;
  return places_.begin()->second;
}

void Spool::take_over(std::uint64_t incarnation, std::uint64_t number, Done done) {
  places_.erase(places_.upper_bound(number), places_.end());
  for (NumberSet* numbers : {&taken_, &written_, &durable_}) numbers->truncate(number);
  std::erase_if(writing_, [number](const auto& write) { return write.second >= number; });
  std::erase_if(uncommitted_, [number](std::uint64_t n) { return n >= number; });
  std::erase_if(in_commit_, [number](std::uint64_t n) { return n >= number; });
  std::erase_if(waiting_, [number](const Block& block) { return block.header.number >= number; });
  fed_ = std::min(fed_, number);
  auto job = [incarnation, number, life = life_](Disk& open) {
    open.session->truncate(number);
    open.session->set_note(store::Note::kRun, run_note(incarnation, life));
    return open.session->commit();
  };
  on_disk(std::move(job), std::move(done));
}

// u64 toguid, FINAL.
void Spool::note_final(const KeptFinal& final, Done done) {
  std::vector<std::byte> bytes(sizeof final.toguid);
  store_at(Bytes(bytes), 0, final.toguid);
  wire::Message message = wire::encode(final.final);
  bytes.insert(bytes.end(), message.begin(), message.end());
  auto job = [note = std::move(bytes)](Disk& open) {
    open.session->set_note(store::Note::kFinal, note);
    return open.session->commit();
  };
  on_disk(std::move(job), std::move(done));
}

void Spool::remove(Done done) {
  active_ = false;
  pipeline_ = nullptr;
  waiting_.clear();
  writing_.clear();
  uncommitted_.clear();
  found_.reset();
  checkpoint_ = {};
  taken_ = written_ = durable_ = NumberSet();
  auto job = [id = id_](Disk& open) -> Status {
    open.session.reset();
    return open.store->remove(id);
  };
  on_disk(std::move(job), std::move(done));
}

wire::Keep Spool::keep() const {
  if (lost_) return wire::Keep::kStoreLost;
  return active_ ? wire::Keep::kStore : wire::Keep::kMemory;
}

// ---- Into the store.

void Spool::take(Block block) {
  const wire::Block& header = block.header;
  if (!active() || taken_.has(header.number)) return;
  taken_.add(header.number);
  places_[header.number] = header.offset;
  places_[header.number + 1] = header.offset + header.raw_bytes;
  if (!waiting_.empty()) return waiting_.push_back(std::move(block));
  write(std::move(block));
}

void Spool::write(Block block) {
  std::uint64_t write = ++last_write_;
  writing_.emplace(write, block.header.number);
  auto shared = std::make_shared<Block>(std::move(block));
  auto job = [shared](Disk& open) {
    Status status = open.session->append(facts_of(shared->header), shared->packed.bytes, shared->chunks);
    if (status && shared->found_bytes > 0) open.store->add_savings({0, shared->found_bytes, 0});
    return status;
  };
  on_disk(std::move(job), [this, shared, write](Status status) {
    if (writing_.erase(write) == 0 || !active()) return;
    if (!status && status.error().fault == Fault::kStoreFull) {
      auto behind = [&](const Block& other) { return other.header.number > shared->header.number; };
      waiting_.insert(std::find_if(waiting_.begin(), waiting_.end(), behind), std::move(*shared));
      events_.full();
      return feed_on();
    }
    if (!status) return lose(status.take_error());
    written_.add(shared->header.number);
    uncommitted_.push_back(shared->header.number);
    shared->packed = shared->raw = {};
    events_.stored(shared->header.number);
    commit();
    feed_on();
    events_.progress();
  });
}

// One at a time: what is written while one runs is the next one's. So a slow disk makes groups, and a fast one answers
// at once.
void Spool::commit() {
  if (!active() || committing_ || uncommitted_.empty()) return;
  committing_ = true;
  in_commit_ = std::exchange(uncommitted_, {});
  on_disk([](Disk& open) { return open.session->commit(); },
          [this](Status status) {
            committing_ = false;
            if (!active()) return;
            if (!status) return lose(status.take_error());
            for (std::uint64_t number : std::exchange(in_commit_, {})) durable_.add(number);
            commit();
            events_.progress();
          });
}

void Spool::lose(Error why) {
  if (std::exchange(lost_, true)) return;
  waiting_.clear();
  events_.lost(std::move(why));
}

void Spool::apply(Checkpoint checkpoint) {
  if (!active() || checkpoint.number <= checkpoint_.number || checkpoint.number > durable()) return;
  checkpoint_ = checkpoint;
  auto job = [checkpoint = std::move(checkpoint)](Disk& open) {
    return open.session->checkpoint(checkpoint.number, checkpoint.state);
  };
  on_disk(std::move(job), [this](Status status) {
    if (!active()) return;
    if (!status) return lose(status.take_error());
    // What waited for room tries again, in its order.
    for (Block& block : std::exchange(waiting_, {})) write(std::move(block));
    events_.progress();
  });
}

// ---- Out of the store.

void Spool::feed(ReceivePipeline* pipeline) {
  pipeline_ = pipeline;
  fed_ = checkpoint_.number;
  ++feeding_;
  reading_ = 0;
  feed_on();
}

void Spool::feed_on() {
  while (pipeline_ != nullptr && reading_ < kReadsMax && fed_ < pipeline_->credit()) {
    if (pipeline_->has(fed_)) {
      ++fed_;
    } else if (!feed_one()) {
      return;
    }
  }
}

// False: it has to wait. What it gives may bring about another call of feed_on().
bool Spool::feed_one() {
  auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                            [this](const Block& block) { return block.header.number == fed_; });
  if (waits != waiting_.end()) {
    const Block& block = *waits;
    ++fed_;
    if (block.raw.buffer) {
      pipeline_->take(as_it_is(block.header), block.raw);
    } else {
      pipeline_->take(block.header, block.packed);
    }
    return true;
  }
  if (!written_.has(fed_)) return false;  // it is being written, or the source brings it
  flow::Buffer room = pool_.take();
  if (!room) return false;
  read_block(fed_++, std::move(room));
  return true;
}

void Spool::read_block(std::uint64_t number, flow::Buffer room) {
  ++reading_;
  auto header = std::make_shared<wire::Block>();
  auto job = [header, number, room, key = leaf_key_](Disk& open) -> Status {
    if (!open.session) return Error{Fault::kStoreFailed, "the session is gone", {}};
    auto found = open.session->blocks().find(number);
    if (found == open.session->blocks().end())
      return Error{Fault::kStoreFailed, "block " + std::to_string(number) + " is not in the store", {}};
    *header = block_of(found->second);
    const Bytes packed = room->first(header->packed_bytes);
    if (header->encoding != wire::Encoding::kChunks) return open.session->read(number, packed);
    std::vector<std::byte> kept(packed.size());
    if (Status read = open.session->read(number, kept); !read) return read;
    *header = as_it_is(*header);
    return unpack_kept(open, *key, header->offset, kept, room->first(header->raw_bytes));
  };
  on_disk(std::move(job), [this, header, room = std::move(room), feeding = feeding_](Status status) {
    if (feeding != feeding_ || pipeline_ == nullptr) return;
    --reading_;
    if (!status) {
      if (!std::exchange(damage_told_, true)) events_.damaged(status.take_error());
      return;
    }
    pipeline_->take(*header, {room, ConstBytes(*room).first(header->packed_bytes)});
    feed_on();
  });
}

}  // namespace zferry::pipeline
