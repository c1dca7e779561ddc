// Any bytes as a lane's frames and as each message: nothing may crash, no length may be taken beyond its bound, and
// what decodes encodes to the same bytes again. The first byte picks: 0 a flow of frames, 1..12 the plaintext of a
// frame of that type, 13 and 14 the payloads of the two handshake messages, 15..17 the plaintext of the frame types
// from 13 on.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "wire/frame.h"
#include "wire/messages.h"

namespace {

using namespace zferry;
using namespace zferry::wire;

void demand(bool holds) {
  if (!holds) std::abort();
}

template <class M>
void there_and_back(ConstBytes bytes, Result<M> (*decode)(ConstBytes)) {
  const Result<M> message = decode(bytes);
  if (message)
    demand(std::ranges::equal(encode(*message), bytes));
  else
    demand(message.error().fault == Fault::kProtocol);
}

void decode_plaintext(FrameType type, ConstBytes bytes) {
  switch (type) {
    case FrameType::kHeartbeat: return demand(decode_empty(bytes, "HEARTBEAT").ok() == bytes.empty());
    case FrameType::kOpen: return there_and_back(bytes, decode_open);
    case FrameType::kOpened: return there_and_back(bytes, decode_opened);
    case FrameType::kBlock: return there_and_back(bytes, decode_block);
    case FrameType::kData: return;
    case FrameType::kAck: return there_and_back(bytes, decode_ack);
    case FrameType::kFinal: return there_and_back(bytes, decode_final);
    case FrameType::kFinalAck: return there_and_back(bytes, decode_final_ack);
    case FrameType::kDone: return demand(decode_empty(bytes, "DONE").ok() == bytes.empty());
    case FrameType::kAbort: return there_and_back(bytes, decode_abort);
    case FrameType::kJoin: return there_and_back(bytes, decode_join);
    case FrameType::kChunks: return there_and_back(bytes, decode_chunks);
    case FrameType::kNeed: return there_and_back(bytes, decode_need);
    case FrameType::kLanes: return there_and_back(bytes, decode_lanes);
    case FrameType::kLeave: return demand(decode_empty(bytes, "LEAVE").ok() == bytes.empty());
  }
}

void read_flow(ConstBytes flow) {
  while (true) {
    const auto frame = next_frame(flow);
    if (!frame || !*frame) return;
    const FrameHeader header = **frame;
    demand(header.sealed_bytes >= 16 && header.sealed_bytes <= flow.size() - kFrameHeaderBytes);
    const std::size_t plaintext_bytes = header.sealed_bytes - 16;
    demand(plaintext_bytes <= (header.type == FrameType::kData ? limits::kFrameBytesMax : limits::kControlBytesMax));
    demand(std::ranges::equal(encode_frame_header(header.type, plaintext_bytes), flow.first(kFrameHeaderBytes)));
    decode_plaintext(header.type, flow.subspan(kFrameHeaderBytes, plaintext_bytes));
    flow = flow.subspan(kFrameHeaderBytes + header.sealed_bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ConstBytes bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] == 0) read_flow(bytes);
  if (data[0] >= 1 && data[0] <= 12) decode_plaintext(static_cast<FrameType>(data[0]), bytes);
  if (data[0] == 13) there_and_back(bytes, decode_offer);
  if (data[0] == 14) there_and_back(bytes, decode_choice);
  if (data[0] >= 15 && data[0] <= 17) decode_plaintext(static_cast<FrameType>(data[0] - 2), bytes);
  return 0;
}
