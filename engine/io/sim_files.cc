#include "io/sim_files.h"

#include <algorithm>

namespace zferry::io {
namespace {

constexpr std::size_t kNameBytesMax = 100;
constexpr std::size_t kRecordBytesMax = std::size_t{64} * 1024;

// The temporary file is this object's memory: it goes with the object and with a crash.
class SimOutputFile final : public OutputFile, private ByteStream {
 public:
  SimOutputFile(SimCore& core, SimLifeRef life, SimDisk& disk, std::string path)
      : core_(core),
        life_(std::move(life)),
        disk_(disk),
        path_(std::move(path)),
        self_(std::make_shared<SimOutputFile*>(this)) {}
  ~SimOutputFile() override {
    *self_ = nullptr;
    if (!life_->alive) return;
    core_.abandon_write(life_, from_, std::move(writing_));
    core_.bury(std::move(committing_));
  }
  ByteStream& stream() override { return *this; }
  void commit(StatusDone done) override;

 private:
  void read(Bytes, SizeDone done) override;
  void write(ConstBytes from, SizeDone done) override;
  void shutdown_write() override {}
  std::size_t unread() const override { return 0; }
  std::string name() const override { return path_; }
  void serve_write();
  void serve_commit();
  template <class Serve>
  void later(Serve serve) {
    core_.after(core_.io_delay(), life_.get(), [self = self_, serve] {
      if (*self != nullptr) ((*self)->*serve)();
    });
  }

  SimCore& core_;
  SimLifeRef life_;
  SimDisk& disk_;
  std::string path_;
  std::shared_ptr<SimOutputFile*> self_;
  std::vector<std::byte> content_;
  ConstBytes from_;
  SizeDone writing_;
  StatusDone committing_;
};

void SimOutputFile::read(Bytes, SizeDone done) {
  if (!life_->alive) return;
  core_.after(core_.io_delay(), life_.get(), [done = std::move(done), path = path_] {
    done(Error{Fault::kInputFailed, "read from " + path + ": Bad file descriptor", ""});
  });
}

void SimOutputFile::write(ConstBytes from, SizeDone done) {
  if (!life_->alive) return;
  ZF_ASSERT(!writing_);
  from_ = from;
  writing_ = std::move(done);
  later(&SimOutputFile::serve_write);
}

void SimOutputFile::serve_write() {
  SizeDone done = std::exchange(writing_, nullptr);
  std::uint64_t room = disk_.full_after_bytes
                           ? *disk_.full_after_bytes - std::min<std::uint64_t>(*disk_.full_after_bytes, content_.size())
                           : ~std::uint64_t{0};
  std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(room, from_.size()));
  content_.insert(content_.end(), from_.begin(), from_.begin() + static_cast<std::ptrdiff_t>(count));
  if (count < from_.size())
    return done(Error{Fault::kOutputFailed, "write to " + path_ + ": No space left on device", ""});
  done(count);
}

void SimOutputFile::commit(StatusDone done) {
  if (!life_->alive) return;
  ZF_ASSERT(!committing_ && !writing_);
  committing_ = std::move(done);
  later(&SimOutputFile::serve_commit);
}

// The file is there some time before the program knows of it.
void SimOutputFile::serve_commit() {
  SimLifeRef life = life_;
  if (disk_.before_commit) disk_.before_commit(path_);
  if (!life->alive) return;
  Status status;
  if (disk_.commit_fails) {
    status = Error{Fault::kOutputFailed, "commit " + path_ + ": Input/output error", ""};
  } else {
    disk_.files[path_] = std::exchange(content_, {});
    core_.trace("%s commits %s", life_->host.c_str(), path_.c_str());
    if (disk_.after_commit) disk_.after_commit(path_);
    if (!life->alive) return;
  }
  core_.after(core_.io_delay(), life_.get(), [self = self_, status] {
    if (*self == nullptr) return;
    StatusDone done = std::exchange((*self)->committing_, nullptr);
    done(status);
  });
}

bool good_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

Error state_error(const std::string& what) { return Error{Fault::kStateFailed, what, ""}; }

}  // namespace

Result<std::unique_ptr<ByteStream>> SimFiles::standard_input() {
  if (!life_->alive) return Error{Fault::kInputFailed, "standard input: this host has crashed", ""};
  return open_standard_(true);
}

Result<std::unique_ptr<ByteStream>> SimFiles::standard_output() {
  if (!life_->alive) return Error{Fault::kOutputFailed, "standard output: this host has crashed", ""};
  return open_standard_(false);
}

Result<std::unique_ptr<OutputFile>> SimFiles::create(const std::string& path) {
  if (disk_.create_fails || !life_->alive)
    return Error{Fault::kOutputFailed, "create " + path + ": Permission denied", ""};
  return Result<std::unique_ptr<OutputFile>>(std::make_unique<SimOutputFile>(core_, life_, disk_, path));
}

Status SimFiles::prepare() {
  if (disk_.prepare_fails || !life_->alive) return state_error("state folder: Read-only file system");
  disk_.state_folder_made = true;
  return {};
}

Status SimFiles::check(const std::string& name) const {
  if (!life_->alive) return state_error("this host has crashed");
  // Names are ours, whatever they were derived from.
  ZF_ASSERT(!name.empty() && name.size() <= kNameBytesMax && name[0] != '.');
  ZF_ASSERT(std::all_of(name.begin(), name.end(), good_character));
  return {};
}

Result<std::optional<std::vector<std::byte>>> SimFiles::load(const std::string& name) {
  if (Status status = check(name); !status.ok()) return status.take_error();
  if (disk_.load_fails) return state_error("load " + name + ": Input/output error");
  auto found = disk_.records.find(name);
  if (found == disk_.records.end()) return std::optional<std::vector<std::byte>>();
  return std::optional<std::vector<std::byte>>(found->second);
}

Status SimFiles::save(const std::string& name, ConstBytes record) {
  if (Status status = check(name); !status.ok()) return status;
  ZF_ASSERT(record.size() <= kRecordBytesMax);
  ++disk_.saves;
  if (disk_.before_save) disk_.before_save(name);
  if (!life_->alive) return state_error("this host has crashed");
  if (disk_.saves == disk_.save_fails_at) return state_error("save " + name + ": No space left on device");
  if (!disk_.state_folder_made) return state_error("save " + name + ": No such file or directory");
  disk_.records[name].assign(record.begin(), record.end());
  core_.trace("%s saves %s, %zu bytes", life_->host.c_str(), name.c_str(), record.size());
  if (disk_.after_save) disk_.after_save(name);
  if (!life_->alive) return state_error("this host has crashed");
  return {};
}

Status SimFiles::remove(const std::string& name) {
  if (Status status = check(name); !status.ok()) return status;
  disk_.records.erase(name);
  return {};
}

}  // namespace zferry::io
