#include <arpa/inet.h>

#include <algorithm>

#include "pipeline/meeting.h"

namespace zferry::pipeline {

std::string AddressBook::address_of(const std::string& peer_name) {
  std::string host = peer_name.substr(0, peer_name.rfind(':'));
  if (host.empty() || host.front() != '[') return host;
  std::string text = host.substr(1, host.find_first_of("%]") - 1);
  in6_addr address{};  // its text may leave groups of zeros out
  if (inet_pton(AF_INET6, text.c_str(), &address) != 1) return host;
  return "[" + to_hex(std::as_bytes(std::span(address.s6_addr)).first(8)) + "]";
}

void AddressBook::forget_old(TimePoint now) {
  std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.since > limits::kPenaltyWindow; });
}

int AddressBook::places(const std::string& address, TimePoint now) {
  forget_old(now);
  auto entry = failures_.find(address);
  bool penalised = entry != failures_.end() && entry->second.count >= limits::kFailuresBeforePenalty;
  return penalised ? limits::kUnauthenticatedPenalisedMax : limits::kUnauthenticatedPerAddressMax;
}

void AddressBook::failed(const std::string& address, TimePoint now) {
  forget_old(now);
  constexpr std::size_t kAddressesMax =
      4096;  // beyond that, newcomers are not counted: memory is bounded, service goes on
  if (failures_.size() >= kAddressesMax && !failures_.contains(address)) return;
  Failures& entry = failures_.try_emplace(address, Failures{0, now}).first->second;
  ++entry.count;
}

Reception::Reception(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role,
                     const Notices& notices, Events events)
    : host_(host),
      meeting_(meeting),
      lane_settings_(lane),
      role_(role),
      notices_(notices),
      events_(std::move(events)) {}

Status Reception::start() {
  Result<std::unique_ptr<io::Listener>> listener = host_.network.listen(meeting_.endpoint);
  if (!listener) return listener.take_error();
  listener_ = std::move(*listener);
  if (notices_.listening) notices_.listening(meeting_.endpoint.host, listener_->port());
  accept_next();
  return {};
}

void Reception::accept_next() {
  listener_->accept(lifeline_.guard([this](Result<std::unique_ptr<io::ByteStream>> stream) {
    if (stream) admit(std::move(*stream));
    accept_next();
  }));
}

void Reception::admit(std::unique_ptr<io::ByteStream> stream) {
  std::string name = stream->name();
  std::string address = AddressBook::address_of(name);
  make_room(address);
  guests_.push_back(Guest{std::move(stream), name, address,
                          Answerer(host_, meeting_.credentials, lane_settings_, role_),
                          std::make_shared<std::vector<std::byte>>(limits::kFirstMessageBytes)});
  auto guest = std::prev(guests_.end());
  guest->timer = host_.loop.after(meeting_.handshake_grace, lifeline_.guard([this, guest] {
    guest->timer = 0;
    turn_away(guest, {Fault::kLinkLost, "it did not prove itself in time", {}});
  }));
  read_more(guest, limits::kFirstMessageBytes);
}

// Whoever wants more than a fair share loses the oldest of what it has; a peer in good standing needs one round trip
// and is gone by then.
void Reception::make_room(const std::string& address) {
  auto of_address = [&](const Guest& guest) { return guest.address == address; };
  auto held = std::count_if(guests_.begin(), guests_.end(), of_address);
  if (held >= addresses_.places(address, host_.loop.now()))
    turn_away(std::find_if(guests_.begin(), guests_.end(), of_address),
              {Fault::kBusy, "too many unproved connections from there", {}});
  else if (guests_.size() >= static_cast<std::size_t>(limits::kUnauthenticatedMax))
    turn_away(guests_.begin(), {Fault::kBusy, "too many unproved connections", {}});
}

void Reception::read_more(GuestPlace guest, std::size_t wanted) {
  Bytes rest = Bytes(*guest->bytes).first(wanted).subspan(guest->filled);
  guest->stream->read(rest, lifeline_.guard([this, guest, wanted, keep = guest->bytes](Result<std::size_t> count) {
    if (!count) return turn_away(guest, count.error());
    if (*count == 0) return turn_away(guest, {Fault::kLinkLost, "it hung up", {}});
    guest->filled += *count;
    if (guest->filled < wanted) return read_more(guest, wanted);
    guest->filled = 0;
    if (guest->answered) return got_proof(guest);
    got_first_message(guest);
  }));
}

void Reception::got_first_message(GuestPlace guest) {
  Result<std::vector<std::byte>> answer = guest->answerer.answer(*guest->bytes, events_.busy);
  if (!answer) return turn_away(guest, answer.error());
  guest->answered = true;
  auto out = std::make_shared<std::vector<std::byte>>(std::move(*answer));
  guest->stream->write(*out, lifeline_.guard([this, guest, out](Result<std::size_t> sent) {
    if (!sent) return turn_away(guest, sent.error());
    if (Fault refusal = guest->answerer.refusal(); refusal != Fault::kNone) {
      guest->stream->shutdown_write();
      std::string who = refusal == Fault::kNotAllowed
                            ? "its key is not allowed here: " + seal::public_key_text(guest->answerer.claimed())
                            : "it was refused: " + std::string(facts(refusal).meaning);
      return turn_away(guest, {refusal, who, {}});
    }
    read_more(guest, proof_bytes());
  }));
}

void Reception::got_proof(GuestPlace guest) {
  EstablishedLane lane;
  Status proved = guest->answerer.read_proof(ConstBytes(*guest->bytes).first(proof_bytes()), lane);
  if (!proved) return turn_away(guest, proved.error());
  addresses_.proved(guest->address);
  lane.stream = std::move(guest->stream);
  dismiss(guest);
  events_.lane_up(std::move(lane));
}

void Reception::turn_away(GuestPlace guest, const Error& why) {
  if (why.fault != Fault::kBusy) addresses_.failed(guest->address, host_.loop.now());
  if (notices_.info) notices_.info("turned away " + escaped(guest->name) + ": " + why.what);
  dismiss(guest);
}

void Reception::dismiss(GuestPlace guest) {
  host_.loop.cancel(guest->timer);
  guests_.erase(guest);
}

}  // namespace zferry::pipeline
