#include "sim_zfs.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "unit/zstream/resumable_streams.h"
#include "zstream/nvlist.h"
#include "zstream/record_reader.h"
#include "zstream/running_sum.h"

namespace zferry::transfer {

using zstream::RecordHeader;
using zstream::RecordType;

namespace {

enum Kind : std::uint64_t { kObject, kSpill, kData, kRange };
constexpr std::uint64_t kToTheEnd = ~std::uint64_t{0};

std::uint64_t hash_of(ConstBytes header, ConstBytes payload) {
  std::string_view head = as_text(header.first(zstream::kChecksumOffset));
  return std::hash<std::string_view>()(head) * 31 + std::hash<std::string_view>()(as_text(payload));
}

void erase(ZfsContent& content, std::array<std::uint64_t, 3> from, std::array<std::uint64_t, 3> last) {
  content.erase(content.lower_bound(from), content.upper_bound(last));
}

void free_objects(ZfsContent& content, std::uint64_t first, std::uint64_t count) {
  if (count == 0) return;
  std::uint64_t last = first > kToTheEnd - (count - 1) ? kToTheEnd : first + count - 1;
  for (std::uint64_t kind : {kObject, kSpill, kData}) erase(content, {kind, first, 0}, {kind, last, kToTheEnd});
}

void apply(ZfsContent& content, const RecordHeader& record, ConstBytes header, ConstBytes payload) {
  std::uint64_t object = record.object;
  switch (record.type()) {
    case RecordType::kObject: {
      std::uint64_t hash = hash_of(header, payload);
      auto known = content.find({kObject, object, 0});
      if (known != content.end() && known->second != hash) free_objects(content, object, 1);
      content[{kObject, object, 0}] = hash;
      content.erase({kSpill, object, 0});
      return;
    }
    case RecordType::kFreeObjects: return free_objects(content, object, record.length);
    case RecordType::kFree: {
      if (record.length == 0) return;
      std::uint64_t most = kToTheEnd - record.offset;
      std::uint64_t last = record.length - 1 >= most ? kToTheEnd : record.offset + record.length - 1;
      return erase(content, {kData, object, record.offset}, {kData, object, last});
    }
    case RecordType::kWrite:
    case RecordType::kWriteEmbedded: content[{kData, object, record.offset}] = hash_of(header, payload); return;
    case RecordType::kSpill: content[{kSpill, object, 0}] = hash_of(header, payload); return;
    case RecordType::kObjectRange: content[{kRange, object, 0}] = hash_of(header, payload); return;
    default: return;
  }
}

class Place final : public zstream::NvVisitor {
 public:
  void number(int depth, std::string_view name, std::uint64_t value) override {
    if (depth == 0 && name == "resume_object") object = value;
    if (depth == 0 && name == "resume_offset") offset = value;
  }
  std::optional<std::uint64_t> object, offset;
};

}  // namespace

// One `zfs receive`: it applies a record once the whole of it is there.
class SimZfs::Receive final : public zstream::RecordReader::Sink, public std::enable_shared_from_this<Receive> {
 public:
  Receive(SimZfs* zfs, std::size_t child) : zfs_(zfs), child_(child) {}
  void take(ConstBytes bytes) {
    if (failed) return;
    if (Status read = reader_.read(bytes, *this); !read && !failed) fail(read.error().what);
  }
  Status header(const RecordHeader& record, ConstBytes bytes) override;
  void payload(ConstBytes piece) override {
    payload_.insert(payload_.end(), piece.begin(), piece.end());
    sum_->add(piece);
  }
  void end() override;
  void fail(const std::string& why) {
    failed = true;
    if (zfs_ == nullptr) return;
    ++zfs_->refused;
    zfs_->refusal = why;
    if (zfs_->world_.tracing()) zfs_->world_.note("zfs receive fails: " + why);
    bool orphan = contended || (zfs_->holder_ && zfs_->holder_.get() != this);
    if (zfs_->on_refusal && !orphan) zfs_->on_refusal(why);
  }
  std::size_t child() const { return child_; }

  bool contended = false;  // ZFS was last asked while another receive held the dataset
  bool failed = false;
  bool begun = false;
  bool changed = false;
  bool ended = false;
  bool finished = false;
  Partial state;

 private:
  void begin(const RecordHeader& record);
  void resume(const RecordHeader& record);

  SimZfs* zfs_;  // null: nobody's, for content_of()
  std::size_t child_;
  zstream::RecordReader reader_;
  std::optional<zstream::RunningSum> sum_;
  std::vector<std::byte> header_, payload_;
  std::uint64_t bytes_ = 0;
  std::array<std::uint64_t, 2> last_write_{};
};

Status SimZfs::Receive::header(const RecordHeader& record, ConstBytes bytes) {
  header_.assign(bytes.begin(), bytes.end());
  payload_.clear();
  bytes_ += bytes.size() + record.payload_bytes;
  if (!sum_) sum_.emplace(reader_.swapped());
  bool is_begin = record.is(RecordType::kBegin), is_end = record.is(RecordType::kEnd);
  bool right = is_begin || record.checksum.is_zero();
  if (is_end) right &= record.end_checksum.is_zero() || record.end_checksum.same_value(sum_->value());
  sum_->add(bytes.first(zstream::kChecksumOffset));
  right |= record.checksum.same_value(sum_->value());
  sum_->add(bytes.subspan(zstream::kChecksumOffset));
  if (!right) fail("checksum mismatch");
  return right ? Status() : Status(Error{Fault::kStreamDamaged, "checksum mismatch", {}});
}

void SimZfs::Receive::end() {
  sum_->end_payload();
  auto record = zstream::decode_record(header_, reader_.swapped());
  if (failed || !record) return;
  if (record->is(RecordType::kBegin)) return begin(*record);
  if (record->is(RecordType::kEnd)) {
    ended = true;
    if (zfs_ == nullptr) return;
    if (zfs_->on_end) zfs_->on_end();
    return zfs_->world_.after(zfs_->settings_.finish_time,
                              [zfs = zfs_, self = shared_from_this()] { zfs->finish(*self); });
  }
  if (record->is(RecordType::kWrite) || record->is(RecordType::kWriteEmbedded)) {
    std::array<std::uint64_t, 2> place{record->object, record->offset};
    if (place < last_write_) return fail("a write goes backwards");
    if (!state.content.contains({kObject, record->object, 0})) return fail("a write to an object that is not there");
    last_write_ = place;
    state.object = record->object;
    state.offset = record->offset;
    state.bytes = bytes_;
  }
  apply(state.content, *record, header_, payload_);
  changed = true;
}

void SimZfs::Receive::begin(const RecordHeader& record) {
  begun = true;
  if (zfs_ == nullptr) return;
  zfs_->look();
  if (zfs_->holder_) return fail("dataset is busy");
  if (zstream::has_feature(record.versioninfo, zstream::kFeatureResuming)) return resume(record);
  if (zfs_->synced_) return fail("destination contains partially-complete state");
  if (zfs_->has_snapshot(record.toguid)) return fail("destination exists");
  if (record.fromguid != zfs_->settings_.base_guid) return fail("no such incremental source");
  state.toguid = record.toguid;
  state.fromguid = record.fromguid;
  state.versioninfo = record.versioninfo;
  state.toname = record.toname;
  zfs_->synced_ = state;
  ++zfs_->begun;
  zfs_->group_due_ = zfs_->world_.now() + zfs_->settings_.group_every;
  zfs_->holder_ = shared_from_this();
}

void SimZfs::Receive::resume(const RecordHeader& record) {
  Place place;
  if (Status read = zstream::read_nvlist(payload_, place); !read) return fail("the BEGIN's list: " + read.error().what);
  if (!zfs_->synced_) return fail("there is nothing to resume");
  const Partial& known = *zfs_->synced_;
  bool right = record.toguid == known.toguid && record.fromguid == known.fromguid && place.object == known.object &&
               place.offset == known.offset;
  if (!right) return fail("the resuming stream begins elsewhere than this receive stopped");
  state = known;
  changed = true;
  ++zfs_->resumed;
  zfs_->group_due_ = zfs_->world_.now() + zfs_->settings_.group_every;
  zfs_->holder_ = shared_from_this();
}

SimZfs::SimZfs(io::SimWorld& world, io::SimHost& host, SimZfsSettings settings)
    : world_(world), host_(host), settings_(std::move(settings)) {
  if (settings_.base_guid != 0) snapshots_[settings_.base_guid] = {};
  host_.add_program("zfs", [this](const std::vector<std::string>& argv) { return start(argv); });
  if (settings_.can_sync) host_.add_program("zpool", [this](const std::vector<std::string>&) { return sync(); });
}

SimZfs::~SimZfs() = default;

void SimZfs::power_lost() {
  holder_.reset();
  syncing_.reset();
  imported_at_ = world_.now() + settings_.import_time;
  ++power_losses_;
}

bool SimZfs::give_up() {
  look();
  if (holder_ || !synced_) return false;
  synced_.reset();
  syncing_.reset();
  return true;
}

bool SimZfs::busy() {
  look();
  return holder_ != nullptr;
}

void SimZfs::look() {
  if (holder_ && host_.child(holder_->child()).exited) {
    Receive& killed = *holder_;
    keep(killed);
  }
  TimePoint now = world_.now();
  if (syncing_ && now >= synced_at_) synced_ = std::exchange(syncing_, std::nullopt);
  if (!holder_ || syncing_ || now < group_due_) return;
  ++groups;
  syncing_ = holder_->state;
  group_due_ = now + settings_.group_every;
  synced_at_ = now + settings_.sync_time;
  if (settings_.sync_time == Duration(0)) synced_ = std::exchange(syncing_, std::nullopt);
}

// It ends without END: what is whole stays, and can be gone on with.
void SimZfs::keep(Receive& receive) {
  if (holder_.get() != &receive) return;
  syncing_.reset();
  synced_.reset();
  if (receive.changed) synced_ = receive.state;
  holder_.reset();
}

void SimZfs::finish(Receive& receive) {
  look();
  if (holder_.get() != &receive || receive.failed) return;
  receive.finished = true;
  ++snapshots_made;
  snapshots_[receive.state.toguid] = std::move(receive.state.content);
  synced_.reset();
  syncing_.reset();
  holder_.reset();
}

io::SimProgram SimZfs::start(const std::vector<std::string>& argv) {
  look();
  if (world_.now() < imported_at_) {
    if (argv.at(1) == "get") return answer("", 1);
    io::SimConsumer none;
    none.collect = false;
    none.stop_after_bytes = 0;
    none.stop_exit = {false, 1};
    return none;
  }
  if (argv.at(1) == "get") {
    asked_while_held_ = holder_ != nullptr;
    bool guid = std::find(argv.begin(), argv.end(), "guid") != argv.end();
    if (!guid && !synced_ && snapshots_.empty()) return answer("", 1);
    if (!guid) return answer(token() + "\n", 0);
    auto made = snapshots_.rbegin();  // the base's guid is the smallest
    bool there = made != snapshots_.rend() && made->first != settings_.base_guid;
    return there ? answer(std::to_string(made->first) + "\n", 0) : answer("", 1);
  }
  auto receive = std::make_shared<Receive>(this, host_.child_count());
  receive->contended = asked_while_held_;
  io::SimConsumer script = settings_.pace;
  script.collect = false;
  script.on_bytes = [this, receive](std::uint64_t, ConstBytes bytes) {
    look();
    receive->take(bytes);
  };
  script.exit_when = [this, receive](const io::SimChildRecord&) -> std::optional<io::ExitStatus> {
    if (!receive->failed) return std::nullopt;
    keep(*receive);
    return io::ExitStatus{false, 1};
  };
  script.exit_after_end = [this, receive](const io::SimChildRecord&) {
    if (receive->finished) return io::ExitStatus{};
    keep(*receive);
    return io::ExitStatus{false, 1};
  };
  return script;
}

// What was taken before it began is on the disks before it ends.
io::SimProgram SimZfs::sync() {
  look();
  if (holder_)
    world_.after(settings_.sync_time, [this, receive = holder_, state = holder_->state, before = power_losses_] {
      if (holder_ != receive || before != power_losses_) return;
      auto place = [](const Partial& partial) { return std::pair(partial.object, partial.offset); };
      if (!synced_ || place(*synced_) <= place(state)) synced_ = state;
      if (syncing_ && place(*syncing_) <= place(state)) syncing_.reset();
    });
  io::SimProducer script;
  script.exit_delay = settings_.sync_time;
  return script;
}

io::SimProgram SimZfs::answer(const std::string& text, int exit_code) const {
  io::SimProducer script;
  ConstBytes bytes = as_bytes(text);
  script.source = io::sim_source({bytes.begin(), bytes.end()});
  script.exit = {false, exit_code};
  return script;
}

std::string SimZfs::token() const {
  const std::optional<Partial>& seen = syncing_ ? syncing_ : synced_;
  if (!seen) return "-";
  zstream::ResumeToken token{.object = seen->object,
                             .offset = seen->offset,
                             .bytes = seen->bytes,
                             .toguid = seen->toguid,
                             .fromguid = seen->fromguid,
                             .toname = seen->toname};
  token.compressed = zstream::has_feature(seen->versioninfo, zstream::kFeatureCompressed);
  token.raw = zstream::has_feature(seen->versioninfo, zstream::kFeatureRaw);
  return zstream::testing::encode_token(token);
}

ZfsContent SimZfs::content_of(ConstBytes stream) {
  auto receive = std::make_shared<Receive>(nullptr, 0);
  receive->take(stream);
  ZF_ASSERT(receive->ended && !receive->failed);
  return std::move(receive->state.content);
}

}  // namespace zferry::transfer
