// What Linux tells of a TCP connection (TCP_INFO), and what it can be asked for. Private to io/. tcp(7).
#pragma once

#include <optional>

#include "io/byte_stream.h"

namespace zferry::io {

// Nothing where `fd` is no TCP connection. A kernel that knows less than ours tells less: those fields are zero.
std::optional<LinkFacts> tcp_facts(int fd);
// REQUIRES: connected. What a route says of congestion control counts until then.
void tcp_wish(int fd, const LinkWishes& wishes);

}  // namespace zferry::io
