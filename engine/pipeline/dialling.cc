#include "pipeline/meeting.h"

#include <utility>

namespace zferry::pipeline {

Dialling::Dialling(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role,
                   std::shared_ptr<const Ticket> ticket, LaneDone done)
    : host_(host),
      meeting_(meeting),
      ticket_(std::move(ticket)),
      dialler_(host, meeting.credentials, lane, role, ticket_ != nullptr),
      done_(std::move(done)),
      begun_(host.loop.now()) {}

void Dialling::start() {
  host_.network.connect(meeting_.endpoint, meeting_.connect_patience,
                        lifeline_.guard([this](Result<std::unique_ptr<io::ByteStream>> stream) {
                          if (!stream) return finish(stream.take_error());
                          connected(std::move(*stream));
                        }));
}

void Dialling::connected(std::unique_ptr<io::ByteStream> stream) {
  if (!done_) return;  // called off meanwhile
  stream_ = std::move(stream);
  timer_ = host_.loop.after(meeting_.handshake_grace, lifeline_.guard([this] {
    timer_ = 0;
    finish(Error{Fault::kLinkLost, stream_->name() + " took the connection but did not answer",
                 "check that a zferry listens there"});
  }));
  auto message = std::make_shared<std::vector<std::byte>>(dialler_.first_message());
  stream_->write(*message, lifeline_.guard([this, message](Result<std::size_t> sent) {
    if (!sent) return finish(sent.take_error());
    answer_ = std::make_shared<std::vector<std::byte>>(limits::kFirstMessageBytes);
    read_answer();
  }));
}

void Dialling::read_answer() {
  Bytes rest = Bytes(*answer_).subspan(answer_bytes_);
  stream_->read(rest, lifeline_.guard([this, keep = answer_](Result<std::size_t> count) {
    if (!count) return finish(count.take_error());
    if (*count == 0) return finish(hung_up());
    answer_bytes_ += *count;
    if (answer_bytes_ < answer_->size()) return read_answer();
    if (Status read = dialler_.read_answer(*answer_, lane_); !read) return finish(read.take_error());
    send_proof();
  }));
}

// The proof goes before anything else: the other end holds nothing for us until it has it.
void Dialling::send_proof() {
  if (ticket_ != nullptr) lane_.join = ticket_->join(lane_.transcript);
  auto proof = std::make_shared<std::vector<std::byte>>(seal_proof(lane_));
  stream_->write(*proof, lifeline_.guard([this, proof](Result<std::size_t> sent) {
    if (!sent) return finish(sent.take_error());
    lane_.stream = std::move(stream_);
    finish(std::move(lane_));
  }));
}

// A listener that cannot open the greeting hangs up without a word, so that strangers learn nothing. Who began to
// answer could open it.
Error Dialling::hung_up() const {
  if (answer_bytes_ > 0) return {Fault::kLinkLost, stream_->name() + " hung up in the middle of the handshake", {}};
  bool secret = meeting_.credentials.secret.has_value();
  return {Fault::kNotAllowed, stream_->name() + " hung up without an answer",
          secret ? "most likely the two ends do not have the same secret: compare sha256sum of the file on both"
                 : "most likely --peer is not that end's key, or it wants a --secret: compare `zferry key pub` there "
                   "with --peer here"};
}

void Dialling::call_off() {
  done_ = nullptr;
  host_.loop.cancel(timer_);
  timer_ = 0;
  stream_.reset();  // nothing of it is called any more
}

void Dialling::finish(Result<EstablishedLane> result) {
  host_.loop.cancel(timer_);
  timer_ = 0;
  stream_.reset();  // nothing of it is called any more
  if (LaneDone done = std::exchange(done_, nullptr)) done(std::move(result));
}

}  // namespace zferry::pipeline
