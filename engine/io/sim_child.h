// The scripted children of the simulator, as plain values: what a producer gives, what a consumer takes, how they end,
// and the record that is left of each. `zfs send` and `zfs receive` stand-ins are made of these.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "io/processes.h"

namespace zferry::io {

// What is left of a child, also after its host's crash. Lives as long as the world.
struct SimChildRecord {
  std::vector<std::string> argv;
  bool is_consumer = false;
  std::uint64_t bytes = 0;  // given or taken so far
  bool saw_end = false;     // a consumer: of its input; a producer: of its script
  bool exited = false;
  bool powered_off = false;        // went with its host, and told nobody: status is SIGKILL
  ExitStatus status{};             // once it has exited
  std::size_t unread_at_exit = 0;  // in a consumer's pipe, and lost
  std::vector<int> signals;        // that reached it
  std::vector<std::byte> content;  // a consumer's, where `collect` was set
  TimePoint started, ended;        // world time
  bool succeeded() const { return exited && status.success(); }
};

// Fills from `offset` on, returns how many bytes; 0 at the end. Must be a function of the offset alone.
using SimSource = std::function<std::size_t(std::uint64_t offset, Bytes into)>;
SimSource sim_source(std::vector<std::byte> bytes);

struct SimProducer {
  SimSource source{};                                    // empty: no bytes
  std::size_t chunk_bytes_max = std::size_t{64} * 1024;  // of one write(2), random up to this
  std::size_t pipe_bytes = std::size_t{64} * 1024;
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  double pause_chance = 0;             // before each chunk
  Duration pause_max{0};
  ExitStatus exit{};                                        // after the last byte
  Duration exit_delay{0};                                   // with the pipe still open
  std::optional<std::uint64_t> stop_after_bytes{};          // ends after exactly so many,
  ExitStatus stop_exit{false, 1};                           // so
  std::optional<std::uint64_t> stream_fails_after_bytes{};  // our reads fail here (EIO): for standard input
  bool ignores_sigterm = false;
};

struct SimConsumer {
  std::size_t chunk_bytes_max = std::size_t{64} * 1024;  // of one read(2), random up to this
  std::size_t pipe_bytes = std::size_t{64} * 1024;
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  double pause_chance = 0;             // before each chunk
  Duration pause_max{0};
  std::optional<std::uint64_t> stall_after_bytes{};  // once, for `stall`: a long txg sync
  Duration stall{0};
  bool collect = true;  // into SimChildRecord::content
  std::function<void(std::uint64_t offset, ConstBytes)> on_bytes{};
  std::function<std::optional<ExitStatus>(const SimChildRecord&)> exit_when{};  // asked after each chunk
  ExitStatus exit{};                                                            // after the end of its input,
  std::function<ExitStatus(const SimChildRecord&)> exit_after_end{};            // or what this says
  Duration exit_delay{0};                                   // between the end of its input and its exit
  std::optional<std::uint64_t> stop_after_bytes{};          // exits after exactly so many, the rest unread,
  ExitStatus stop_exit{false, 1};                           // so
  std::optional<std::uint64_t> stream_fails_after_bytes{};  // our writes fail here (ENOSPC): for standard output
  bool ignores_sigterm = false;
};

using SimProgram = std::variant<SimProducer, SimConsumer>;
// So that what runs can depend on its arguments (`zfs send -t TOKEN`) and on which run it is.
using SimProgramMaker = std::function<SimProgram(const std::vector<std::string>& argv)>;

}  // namespace zferry::io
