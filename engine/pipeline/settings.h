// Settings of one end of a session: who it is, whom it trusts, how it meets its peer, and the sizes that tests and the
// simulator shrink.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "io/network.h"
#include "pack/pack.h"
#include "seal/keys.h"
#include "seal/lane_cipher.h"

namespace zferry::pipeline {

// Either `own` with `peer` (who dials) or `allowed` (who listens), or `secret`.
struct Credentials {
  std::optional<seal::SecretBytes> own;
  std::optional<seal::PublicKey> peer;
  std::vector<seal::PublicKey> allowed;
  std::optional<seal::SecretBytes> secret;
};

struct LaneSettings {
  std::vector<seal::Cipher> ciphers;                 // that this end can do, the fastest first
  std::size_t block_bytes = limits::kBlockBytesMax;  // also the length of a leaf
  std::size_t frame_bytes = limits::kFrameBytesMax;
  Duration heartbeat_every = limits::kHeartbeatEvery;
  Duration silence_max = limits::kSilenceMax;
  std::uint64_t rate_bytes_per_s = 0;  // of what goes onto the link; 0: as fast as it takes it
  // The same, asked every second, where it may change while the session runs; on an error it stays as it was.
  std::function<Result<std::uint64_t>()> rate_now;
};

inline constexpr Duration kForEver = Duration::max();

struct MeetingSettings {
  bool listen = false;  // else dial
  io::Endpoint endpoint;
  Duration connect_patience = limits::kConnectPatience;
  Duration handshake_grace = limits::kHandshakeGrace;
  Credentials credentials;
};

// Lines for the operator, as they come: "listening on …", "refused …". One of the few things that go up.
struct Notices {
  std::function<void(const std::string& address, std::uint16_t port)> listening;
  std::function<void(const std::string& text)> info;
  std::function<void(const std::string& text)> warning;
  // Each event as the session's core takes it, by their names in the tables: for traces, and for tests that count.
  std::function<void(std::string_view state, std::string_view event)> event;
};

struct SourceSettings {
  MeetingSettings meeting;
  LaneSettings lane;
  pack::PackSettings pack;
  std::vector<std::string> producer;  // argv; empty: standard input
  std::string session_name;           // identity of what is not a ZFS stream; empty: random
  std::uint64_t size_hint_bytes = 0;
  std::size_t lanes = 0;   // 0: as many as help
  std::string congestion;  // of the lanes: empty: BBR on long links, where it can be had; "system": as it is; or a name
  Duration give_up_after = limits::kGiveUpAfter;  // without a link; kForEver: never. 0: no reconnect
  bool allow_empty = false;
  std::size_t pool_buffers = limits::kSourceBuffers;
  unsigned chunk_id_bits = 128;  // of chunks' ids: fewer make them collide
  Notices notices;
};

// With which other streams of a store a stream may share chunks. What is shared an observer can tell by lengths.
enum class DedupScope : std::uint8_t {
  kNone,     // no chunks are looked for
  kSession,  // with itself
  kDataset,  // with those of the same source to the same destination
  kPeer,     // with all of the same source
};

// Where a target keeps what it has not delivered for good.
struct StoreChoice {
  std::string folder;
  std::uint64_t capacity_bytes = 0;  // 0: most of what is free there
  bool end_when_lost = false;        // a store that fails or fills up ends the session, rather than its crash cover
  std::uint64_t segment_bytes = limits::kSegmentBytes;
  DedupScope dedup = DedupScope::kPeer;
};

struct TargetSettings {
  MeetingSettings meeting;
  LaneSettings lane;
  std::vector<std::string> consumer;  // argv; empty: out_path, or standard output
  std::string out_path;
  std::string dataset;  // that the consumer fills, where its argv does not say so
  std::optional<StoreChoice> store;
  Duration applied_every = limits::kAppliedEvery;          // how often ZFS is asked how far it is
  Duration revive_after = std::chrono::milliseconds(500);  // a consumer that died; longer each time it does so again
  Duration linger = limits::kLinger;
  std::size_t lanes = 0;         // at most; 0: as many as the source likes
  std::optional<Duration> hold;  // without a link; kForEver: never ends. Nothing: longer than the source tries
  Duration consumer_grace = std::chrono::seconds(10);  // for a consumer to end by itself once its input is closed
  std::size_t window_blocks = limits::kWindowBlocks;   // that a source may have under way at once,
  std::size_t window_bytes = limits::kWindowBytes;     // and so much of the stream
  Notices notices;
};

}  // namespace zferry::pipeline
