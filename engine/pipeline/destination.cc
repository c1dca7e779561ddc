// The three destinations of an Outlet.
#include <csignal>

#include "pipeline/outlet.h"

namespace zferry::pipeline {
namespace {

// A consumer: it has all when it has emptied its pipe, and its exit code is the verdict.
class ConsumerDestination final : public Destination {
 public:
  ConsumerDestination(Host& host, const TargetSettings& settings, std::unique_ptr<io::Child> child)
      : loop_(host.loop), name_(settings.consumer.front()), grace_(settings.consumer_grace), child_(std::move(child)) {
    child_->on_exit(lifeline_.guard([this](io::ExitStatus status) { exited(status); }));
  }
  ~ConsumerDestination() override { loop_.cancel(timer_); }

  io::ByteStream& stream() override { return child_->pipe(); }

  void finish(std::function<void(Result<wire::Completion>)> done) override {
    done_ = std::move(done);
    if (exit_) return judge();
    close_when_taken(std::chrono::milliseconds(1));
  }

  void drop(std::function<void()> gone) override {
    if (!closed_ && !exit_) child_->close_pipe();
    closed_ = true;
    if (exit_) return gone();
    gone_ = std::move(gone);
    loop_.cancel(timer_);
    timer_ = loop_.after(grace_, lifeline_.guard([this] { insist(SIGTERM); }));
  }

  void explain(Error write_error, std::function<void(Error)> tell) override {
    if (exit_) return tell(early_end());
    // The pipe is broken, so the consumer is on its way out: its exit says more than EPIPE does.
    early_ = std::move(tell);
    loop_.cancel(timer_);
    timer_ = loop_.after(std::chrono::seconds(2), lifeline_.guard([this, write_error] {
      timer_ = 0;
      if (auto tell_now = std::exchange(early_, nullptr))
        tell_now({Fault::kConsumerFailed,
                  name_ + " closed its input before it had taken everything (" + write_error.what + ")",
                  {}});
    }));
  }

  void on_early_end(std::function<void(Error)> tell) override { early_ = std::move(tell); }

 private:
  // Its input is closed only once it has taken what is there: a consumer that leaves without reading must not look
  // content.
  void close_when_taken(Duration look_again) {
    timer_ = 0;
    if (exit_ || closed_) return;
    if (child_->pipe().unread() == 0) {
      closed_ = true;
      child_->close_pipe();
      return;
    }
    Duration next = std::min<Duration>(look_again * 2, std::chrono::milliseconds(50));
    timer_ = loop_.after(look_again, lifeline_.guard([this, next] { close_when_taken(next); }));
  }

  void exited(io::ExitStatus status) {
    left_unread_ = closed_ ? 0 : child_->pipe().unread();
    exit_ = status;
    loop_.cancel(timer_);
    timer_ = 0;
    if (auto gone = std::exchange(gone_, nullptr)) return gone();
    if (done_) return judge();
    if (auto tell = std::exchange(early_, nullptr)) tell(early_end());
  }

  void judge() {
    auto done = std::exchange(done_, nullptr);
    if (!exit_->success())
      return done(Error{
          Fault::kConsumerFailed, name_ + " ended with " + exit_->text() + " after it had taken the whole stream", {}});
    if (left_unread_ > 0)
      return done(
          Error{Fault::kConsumerFailed,
                name_ + " exited with code 0, but left " + std::to_string(left_unread_) + " bytes of the stream unread",
                {}});
    done(wire::Completion::kApplied);
  }

  Error early_end() const {
    return {
        Fault::kConsumerFailed, name_ + " ended with " + exit_->text() + " before it had taken the whole stream", {}};
  }

  void insist(int signal_number) {
    child_->send_signal(signal_number);
    timer_ = loop_.after(grace_, lifeline_.guard([this] { insist(SIGKILL); }));
  }

  io::Loop& loop_;
  std::string name_;
  Duration grace_;
  std::unique_ptr<io::Child> child_;
  std::optional<io::ExitStatus> exit_;
  std::size_t left_unread_ = 0;
  bool closed_ = false;
  std::function<void(Result<wire::Completion>)> done_;
  std::function<void()> gone_;
  std::function<void(Error)> early_;
  io::TimerId timer_ = 0;
  Lifeline lifeline_;
};

class FileDestination final : public Destination {
 public:
  explicit FileDestination(std::unique_ptr<io::OutputFile> file) : file_(std::move(file)) {}
  io::ByteStream& stream() override { return file_->stream(); }
  void finish(std::function<void(Result<wire::Completion>)> done) override {
    file_->commit([done = std::move(done)](Status committed) {
      if (!committed) return done(committed.take_error());
      done(wire::Completion::kDelivered);
    });
  }
  void drop(std::function<void()> gone) override {
    file_.reset();  // the temporary file goes, whatever stood under the final name stays
    gone();
  }

 private:
  std::unique_ptr<io::OutputFile> file_;
};

class StandardOutputDestination final : public Destination {
 public:
  explicit StandardOutputDestination(std::unique_ptr<io::ByteStream> stream) : stream_(std::move(stream)) {}
  io::ByteStream& stream() override { return *stream_; }
  void finish(std::function<void(Result<wire::Completion>)> done) override {
    stream_->sync([done = std::move(done)](Status synced) {
      if (!synced) return done(synced.take_error());
      done(wire::Completion::kDelivered);
    });
  }
  void drop(std::function<void()> gone) override {
    stream_.reset();
    gone();
  }

 private:
  std::unique_ptr<io::ByteStream> stream_;
};

}  // namespace

Result<std::unique_ptr<Destination>> open_destination(Host& host, const TargetSettings& settings) {
  using Made = Result<std::unique_ptr<Destination>>;
  if (!settings.consumer.empty()) {
    auto child = host.processes.spawn(settings.consumer, io::PipeEnd::kItsInput);
    if (!child) return child.take_error();
    return Made(std::make_unique<ConsumerDestination>(host, settings, std::move(*child)));
  }
  if (!settings.out_path.empty()) {
    auto file = host.files.create(settings.out_path);
    if (!file) return file.take_error();
    return Made(std::make_unique<FileDestination>(std::move(*file)));
  }
  auto stream = host.files.standard_output();
  if (!stream) return stream.take_error();
  return Made(std::make_unique<StandardOutputDestination>(std::move(*stream)));
}

bool destination_still_has(Host& host, const TargetSettings& settings, std::uint64_t stream_bytes) {
  if (!settings.consumer.empty()) return true;
  return !settings.out_path.empty() && host.files.file_bytes(settings.out_path) == stream_bytes;
}

std::string destination_name(const TargetSettings& settings) {
  if (settings.consumer.empty()) return settings.out_path.empty() ? "stdout" : "file " + settings.out_path;
  std::string name = "command";
  for (const std::string& word : settings.consumer) name.append(1, '\0').append(word);
  return name;
}

}  // namespace zferry::pipeline
