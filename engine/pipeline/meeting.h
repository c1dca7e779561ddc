// Meeting: how two ends find each other and prove who they are, by dialling or by listening. It ends in established
// lanes; before that nothing is claimed, started or allocated beyond a few hundred bytes a connection.
// docs/PROTOCOL.md, "Before trust".
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "pipeline/first_messages.h"
#include "pipeline/host.h"
#include "pipeline/lane_keys.h"
#include "pipeline/settings.h"

namespace zferry::pipeline {

using LaneDone = std::function<void(Result<EstablishedLane>)>;

// Dials once, and makes the handshake; with a ticket, for a session that runs. Errors: kUnreachable, kNotAllowed,
// kBusy, kProtocol, kLinkLost.
class Dialling {
 public:
  Dialling(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role,
           std::shared_ptr<const Ticket> ticket, LaneDone done);
  // One that is over or was called off may outlive its host, in a task of a loop that is destroyed.
  ~Dialling() {
    if (timer_ != 0) host_.loop.cancel(timer_);
  }
  void start();
  // Nobody wants it any more: `done` is not called.
  void call_off();
  TimePoint begun() const { return begun_; }

 private:
  void connected(std::unique_ptr<io::ByteStream> stream);
  void read_answer();
  void send_proof();
  void finish(Result<EstablishedLane> result);
  Error hung_up() const;

  Host& host_;
  const MeetingSettings& meeting_;
  std::shared_ptr<const Ticket> ticket_;
  Dialler dialler_;
  LaneDone done_;
  TimePoint begun_;
  std::unique_ptr<io::ByteStream> stream_;
  std::shared_ptr<std::vector<std::byte>> answer_;
  std::size_t answer_bytes_ = 0;
  EstablishedLane lane_{};  // what the answer left, until the proof is sent
  io::TimerId timer_ = 0;
  Lifeline lifeline_;
};

// Counts what addresses do before they have proved anything, so that one of them cannot keep the others out. An address
// that fails often keeps fewer places; when it wants more than its share, its own oldest connection goes. A proof wipes
// its slate.
class AddressBook {
 public:
  // How many unproved connections this address may hold now.
  int places(const std::string& address, TimePoint now);
  void failed(const std::string& address, TimePoint now);
  void proved(const std::string& address) { failures_.erase(address); }
  // "192.0.2.7:4711" -> "192.0.2.7"; of IPv6 the first 64 bits in hex, since one host has all that start so.
  static std::string address_of(const std::string& peer_name);

 private:
  struct Failures {
    int count = 0;
    TimePoint since;
  };
  void forget_old(TimePoint now);
  std::map<std::string, Failures> failures_;
};

// Listens, and hands over each connection that proved itself, until it is destroyed.
class Reception {
 public:
  struct Events {
    // Whether no further lane is wanted: of those that mean to join a session, or of the others.
    std::function<bool(bool joins)> busy;
    std::function<void(EstablishedLane)> lane_up;
  };
  Reception(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role,
            const Notices& notices, Events events);
  // Errors: as Network::listen.
  Status start();
  std::size_t unproved() const { return guests_.size(); }

 private:
  struct Guest {
    std::unique_ptr<io::ByteStream> stream;
    std::string name;
    std::string address;
    Answerer answerer;
    std::shared_ptr<std::vector<std::byte>> bytes;
    std::size_t filled = 0;
    bool answered = false;
    io::TimerId timer = 0;
  };
  using GuestPlace = std::list<Guest>::iterator;

  void accept_next();
  void admit(std::unique_ptr<io::ByteStream> stream);
  void make_room(const std::string& address);
  void read_more(GuestPlace guest, std::size_t wanted);
  void got_first_message(GuestPlace guest);
  void got_proof(GuestPlace guest);
  void turn_away(GuestPlace guest, const Error& why);
  void dismiss(GuestPlace guest);

  Host& host_;
  const MeetingSettings& meeting_;
  const LaneSettings& lane_settings_;
  wire::Role role_;
  const Notices& notices_;
  Events events_;
  std::unique_ptr<io::Listener> listener_;
  std::list<Guest> guests_;  // the oldest first
  AddressBook addresses_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
