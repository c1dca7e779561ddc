// Names that both ends of a session build from what identifies it: of records in the state folder, of sessions, of
// signals.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// A record's name in the state folder: the kind, and a hash of the parts.
std::string record_name(const std::string& kind, std::initializer_list<ConstBytes> parts);
// What tells one stream from another: the stream's own identity where it has one, else the session's name, else a new
// random number.
wire::Id session_identity(const std::optional<wire::Id>& of_stream, const std::string& session_name,
                          RandomSource& random);
// What tells one destination's session in a store from another's.
wire::Id destination_id(const std::string& destination);
// Whose chunks may meet, by what must be the same: 16 bytes that are never all zero.
std::array<std::byte, 16> chunk_scope(std::initializer_list<ConstBytes> parts);
// Seconds of a patience as messages give them, rounded up, and back.
std::uint32_t to_wire_seconds(Duration patience);
Duration from_wire_seconds(std::uint32_t seconds);
// "the operator ended the source (Interrupt)".
std::string interrupted_text(int signal_number, const std::string& end);

}  // namespace zferry::pipeline
