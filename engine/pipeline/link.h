// Link: the lanes between the two ends of a session: how they come to be, join, fall silent, are replaced and given up.
// Whoever dials, redials. Both ends use this one class; it knows nothing of streams. docs/PROTOCOL.md, "Lanes".
// Threading: the loop's.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "pipeline/host.h"
#include "pipeline/lane.h"
#include "pipeline/meeting.h"
#include "pipeline/settings.h"
#include "pipeline/ticket.h"

namespace zferry::pipeline {

// What the operator is told of cuts.
struct LinkStatistics {
  std::uint64_t sent_bytes = 0;  // of all lanes, those that are gone too
  std::uint64_t received_bytes = 0;
  std::uint64_t acked_bytes = 0;  // of those that were sent, by the other end's kernel
  std::uint64_t lanes_lost = 0;
  std::uint64_t reconnects = 0;  // how often a link that was gone came back
  Duration without_link{0};
};

class Link {
 public:
  struct Events {
    // A lane that belongs to no session yet. At a listening target it is a visitor until adopt().
    std::function<void(Lane&)> fresh;
    // A lane that joined the session; at the source once the target has said its first on it.
    std::function<void(Lane&)> joined;
    std::function<void(Lane&)> lane_lost;  // a lane of the session, while others live; at the source, one that retired
    std::function<void(Lane&)> leaves;     // the source retires it: this end's last word on it may be said now
    std::function<void(Error)> down;       // the last lane of the session is gone
    std::function<void(Error)> lost;       // and none came in time; or nobody could be met at all. The last event
    std::function<void(Lane&, wire::FrameType, ConstBytes)> message;
    std::function<void(Lane&, const wire::Block&, flow::Slice)> block;
    std::function<void()> room;
    std::function<void()> drained;
    std::function<void(Lane&, Error)> broke;
    std::function<void(const std::string& peer)> visitor_left;  // before it was adopted
    std::function<void()> closed;                               // after close(): every lane is over
  };
  // `pool` gives the buffers of the blocks that come in. REQUIRES: all outlive this object.
  Link(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role, flow::BufferPool& pool,
       const Notices& notices, Events events);
  ~Link();
  // Dials or listens. The first connect of a run fails within seconds: a wrong port is no outage.
  void start();

  // From now on lanes may join; `lane` is of the session, and the one lane of it.
  void adopt(Lane& lane, const seal::SecretBytes& leaf_key, std::uint64_t incarnation);
  // Lanes may join a session of which none is there yet: it is one that a process before this one had.
  void expect(const Principal& principal, const seal::SecretBytes& leaf_key, std::uint64_t incarnation);
  // How many lanes there shall be now. A source lets go of those that are too many; where the target dials, it is told.
  void set_lanes(std::size_t lanes);
  // How many the other end may have at most.
  void allow_lanes(std::size_t most) { lanes_most_ = most; }
  // How long the session waits for a lane when none is left. kForEver: it does not end.
  void set_patience(Duration patience);
  // Hangs up on one lane, with a last word; `lane` is not of the session any more.
  void refuse(Lane& lane, const Error& why);
  // The same on every lane of the session.
  void refuse_session(const Error& why);
  // Says this on every lane of the session, or where there is none yet on every lane, before blocks that wait there.
  void send_everywhere(wire::FrameType type, const wire::Message& message);
  void close();

  // A lane of the session that speaks, the one heard last; null where there is none.
  Lane* best() const;
  // Lanes that may carry blocks: of the session, and not silent for long.
  std::vector<Lane*> carriers() const;
  bool is_member(const Lane& lane) const;
  // Null once it is gone, or hung up on.
  Lane* lane(std::uint64_t id);
  // A lane of the session, other than this one, was heard after this moment.
  bool others_heard_since(TimePoint moment, const Lane& except) const;
  // From now on a lane that ends is not lost: the other end is expected to hang up.
  void expect_goodbye() { goodbye_ = true; }
  bool closing() const { return closing_; }
  // Of --limit, now; 0: none.
  std::uint64_t rate_bytes_per_s() const { return pacer_->rate(); }
  LinkStatistics statistics() const;
  const std::string& peer() const { return peer_; }
  seal::Cipher cipher() const { return cipher_; }

 private:
  enum class Standing {
    kVisitor,  // proved, of no session
    kJoining,  // the source's: waits for the target's first word
    kMember,
    kRetiring,  // not wanted any more: has carried its last block, and ends in good order
    kLeaving,   // refused, or told to go
  };
  struct Place {
    std::unique_ptr<Lane> lane;
    Standing standing;
    bool joined;  // by ticket
    bool spoke;   // a message came on it
  };
  using Dials = std::list<std::unique_ptr<Dialling>>;

  void dial();
  void dialled(Dials::iterator attempt, Result<EstablishedLane> lane);
  void cancel_dials();
  void bury(std::unique_ptr<Dialling> dial);
  bool busy(bool joins) const;
  void admit(EstablishedLane lane);
  Error judge(const EstablishedLane& lane) const;
  Lane& add(EstablishedLane lane, Standing standing, bool joined);
  void bound_stay(std::uint64_t id, Standing standing);
  void came_up(Lane& lane);
  void settle();
  void leave(Place& place, Error why);
  void got_message(std::uint64_t id, wire::FrameType type, ConstBytes bytes);
  bool refused_by_peer(Place& place, wire::FrameType type, ConstBytes bytes);
  void lane_over(std::uint64_t id, std::optional<Error> lost);
  void went_down(Error why);
  void arm_patience();
  void give_up(Error why);
  void report_closed();
  void say_lanes(Lane* lane, bool leaves);
  void retire_some();
  void say_goodbye(Place& place);
  void got_lanes(Place& place, ConstBytes bytes);
  void keep_up();
  void look_at_rate();
  void look_again(Duration delay);
  std::size_t wanted() const;
  std::size_t count(Standing standing) const;
  std::size_t healthy() const;
  bool silent(const Lane& lane) const;
  TimePoint last_heard() const;
  Place* find(std::uint64_t id);

  Host& host_;
  const MeetingSettings& meeting_;
  const LaneSettings& settings_;
  wire::Role role_;
  flow::BufferPool& pool_;
  const Notices& notices_;
  std::shared_ptr<Pacer> pacer_;
  Events events_;
  std::unique_ptr<Reception> reception_;
  Dials dials_;
  std::list<Place> places_;
  std::list<Place> gone_;  // until the loop's next turn: what they called may still be on the stack
  std::uint64_t last_id_ = 0;
  std::shared_ptr<const Ticket> ticket_;  // of the session, once there is one
  bool of_store_ = false;  // it is what a process before this one left: the session may have had later runs
  Principal principal_{};
  std::string peer_;
  seal::Cipher cipher_ = seal::Cipher::kChaCha20Poly1305;
  std::size_t lanes_ = 1;
  std::size_t lanes_most_ = 0;
  std::uint32_t lanes_serial_ = 0;
  Duration patience_{0};
  bool met_ = false;  // a lane was up at least once
  bool down_ = true;
  bool settled_ = true;  // since it was down last, the other end said something that was no refusal
  bool goodbye_ = false;
  bool closing_ = false;
  bool over_ = false;
  bool close_reported_ = false;
  TimePoint last_heard_;  // by lanes that are gone
  TimePoint up_since_{};
  TimePoint patient_since_{};
  TimePoint next_dial_{};
  Duration backoff_;
  io::TimerId dial_timer_ = 0;
  io::TimerId rate_timer_ = 0;
  std::string rate_trouble_;  // told
  io::TimerId patience_timer_ = 0;
  LinkStatistics gone_statistics_;  // of lanes that are gone, and of the link
  bool trouble_told_ = false;       // of this outage
  Error last_error_{Fault::kLinkLost, "the link was never there", {}};
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
