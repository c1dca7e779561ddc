#include "pipeline/question.h"

#include <csignal>
#include <optional>
#include <utility>

namespace zferry::pipeline {

Question::Question(Host& host, const std::vector<std::string>& argv, Duration patience,
                   std::function<void(Result<Answer>)> done, std::size_t output_bytes_max)
    : host_(host),
      name_(argv.front()),
      output_bytes_max_(output_bytes_max),
      done_(std::move(done)),
      piece_(std::make_shared<std::vector<std::byte>>(4 * limits::KiB)) {
  auto child = host.processes.spawn(argv, io::PipeEnd::kItsOutput);
  if (!child) {
    host.loop.post(lifeline_.guard([this, why = child.take_error()]() mutable { tell(std::move(why)); }));
    return;
  }
  child_ = std::move(*child);
  child_->on_exit(lifeline_.guard([this](io::ExitStatus exit) {
    exit_ = exit;
    answered();
  }));
  timer_ = host.loop.after(patience, lifeline_.guard([this] {
    timer_ = 0;
    child_->send_signal(SIGKILL);
    tell(Error{Fault::kCannotRun, name_ + " gave no answer", {}});
  }));
  read_on();
}

Question::~Question() { host_.loop.cancel(timer_); }

void Question::read_on() {
  child_->pipe().read(*piece_, lifeline_.guard([this, piece = piece_](Result<std::size_t> count) {
    if (!count) return tell(count.take_error());
    output_.insert(output_.end(), piece->begin(), piece->begin() + static_cast<std::ptrdiff_t>(*count));
    if (output_.size() > output_bytes_max_) return tell(Error{Fault::kCannotRun, name_ + " says too much", {}});
    if (*count > 0) return read_on();
    output_over_ = true;
    answered();
  }));
}

void Question::answered() {
  if (!exit_ || !output_over_) return;
  std::string text(as_text(output_));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  tell(Answer{*exit_, std::move(text)});
}

void Question::tell(Result<Answer> answer) {
  host_.loop.cancel(std::exchange(timer_, 0));
  if (auto done = std::exchange(done_, nullptr)) done(std::move(answer));
}

}  // namespace zferry::pipeline
