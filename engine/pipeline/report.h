// Report: the end of a session as one end knows it, and Progress: its course. What the command line prints is made from
// these alone.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "session/ending.h"

namespace zferry::pipeline {

enum class Bottleneck { kUnknown, kSource, kCpu, kLink, kTarget };
inline constexpr std::size_t kBottlenecks = 5;

// What cuts and earlier runs cost, and what they did not.
struct Resume {
  std::uint64_t skipped_bytes = 0;     // of the stream: the target had them, and they were found equal
  std::uint64_t sent_again_bytes = 0;  // of packed blocks, after a lane was lost
  std::uint64_t reconnects = 0;        // how often a link that was gone came back
  std::uint64_t lanes_lost = 0;
  Duration without_link{0};
};

struct Progress {
  std::uint64_t stream_bytes = 0;     // read at the source, written at the target
  std::uint64_t acked_bytes = 0;      // source: received by the target
  std::uint64_t wire_bytes = 0;       // frames sent or received on the link, both directions' payload of this end
  std::uint64_t size_hint_bytes = 0;  // 0: unknown
  std::uint64_t found_bytes = 0;      // of the stream: the target had them, and they were not sent
  std::uint64_t copied_bytes = 0;     // source: of blocks that went on a second lane because the first was late
  std::size_t lanes = 0;              // that carry, now
  Resume resume;
  Bottleneck bottleneck = Bottleneck::kUnknown;
  std::string stage;  // "waiting", "streaming", "comparing", "reconnecting", "finishing"
};

struct Report {
  session::Ending ending;
  Progress progress;
  std::string producer;     // "unknown" (piped), "exit code 0", …; empty where not known at this end
  std::string stream_name;  // toname or session name, escaped
  std::string digest;       // hex; empty before the end
  std::string peer;         // address
  std::string cipher;
  std::uint64_t records = 0;  // of a ZFS stream
  std::uint64_t checksums_verified = 0;
  bool source_informed = false;  // target: DONE came
};

}  // namespace zferry::pipeline
