// Random valid messages of every type, and their comparison field by field. For the tests of wire/ and the seeds of the
// fuzz corpus.
#pragma once

#include <string>
#include <tuple>

#include "base/limits.h"
#include "base/random.h"
#include "wire/messages.h"

namespace zferry::wire::testing_data {

inline Id random_id(SeededRandom& random) {
  Id id;
  random.fill(id);
  return id;
}
inline std::string random_text(SeededRandom& random, std::size_t bytes_max) {
  std::string text(random.below(random.chance(0.2) ? bytes_max + 1 : 20), '\0');
  random.fill(std::as_writable_bytes(std::span(text)));
  return text;
}
// Below `bound`, often at its ends.
inline std::uint64_t edgy(SeededRandom& random, std::uint64_t bound) {
  if (random.chance(0.1)) return 0;
  return random.chance(0.1) ? bound - 1 : random.below(bound);
}
inline std::uint16_t u16(std::uint64_t value) { return static_cast<std::uint16_t>(value); }
inline std::uint8_t u8(std::uint64_t value) { return static_cast<std::uint8_t>(value); }
inline std::uint32_t u32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

inline void randomise(SeededRandom& random, Offer& m) {
  m.version_min = u16(1 + edgy(random, 65535));
  m.version_max = u16(m.version_min + edgy(random, 65536u - m.version_min));
  m.role = random.chance(0.5) ? Role::kSource : Role::kTarget;
  m.joins = random.chance(0.5);
  m.ciphers.resize(1 + random.below(8));
  random.fill(std::as_writable_bytes(std::span(m.ciphers)));
  m.features = u32(random.next());
}
inline void randomise(SeededRandom& random, Choice& m) {
  constexpr Fault kAll[] = {Fault::kNone, Fault::kBusy, Fault::kNotAllowed, Fault::kProtocol};
  m.refusal = kAll[random.below(4)];
  m.version = u16(1 + edgy(random, 65535));
  m.role = random.chance(0.5) ? Role::kSource : Role::kTarget;
  m.cipher = u8(1 + edgy(random, 255));
  m.features = u32(random.next());
}
inline void randomise(SeededRandom& random, Join& m) {
  if (random.chance(0.1)) return;  // a fresh one
  m.session = random_id(random);
  m.incarnation = random.next();
  m.proof = random_id(random);
}
inline void randomise(SeededRandom& random, Open& m) {
  m.identity = random_id(random);
  m.incarnation = random.next();
  m.kind = static_cast<StreamKind>(1 + random.below(3));
  m.earlier_run = static_cast<EarlierRun>(random.below(3));
  m.nameable = random.chance(0.5);
  m.lanes = u8(edgy(random, limits::kLanesMax + 1));
  m.give_up_s = random.chance(0.1) ? kForEver : u32(random.next());
  m.block_bytes_max = u32(1 + edgy(random, limits::kBlockBytesMax));
  m.size_hint_bytes = random.next();
  m.name = random_text(random, limits::kNameBytesMax);
}
inline void randomise(SeededRandom& random, Opened& m) {
  m.how = static_cast<OpenedHow>(1 + random.below(3));
  m.leaf_key = random_id(random);
  m.credit = edgy(random, limits::kBlocksMax + 1);
  m.lanes = u8(1 + edgy(random, limits::kLanesMax));
  m.hold_s = random.chance(0.1) ? kForEver : u32(random.next());
  m.life = u32(random.next());
  m.credit_bytes = edgy(random, kNoEnd + 1);
  m.chunk_key = random_id(random);
  if (m.how != OpenedHow::kContinue) return;
  m.next_number = edgy(random, limits::kBlocksMax + 1);
  for (std::uint64_t count = edgy(random, kMarksMax + 1); count > 0; --count) {
    m.offset += 1 + random.below((std::uint64_t{1} << 62) / (kMarksMax + 1));
    m.marks.push_back({m.offset, random_id(random)});
  }
}
inline void randomise(SeededRandom& random, Block& m) {
  m.number = edgy(random, limits::kBlocksMax);
  m.offset = edgy(random, std::uint64_t{1} << 62);
  m.raw_bytes = u32(1 + edgy(random, limits::kBlockBytesMax));
  m.encoding = static_cast<Encoding>(random.below(3));
  m.packed_bytes = m.encoding == Encoding::kStored ? m.raw_bytes : u32(1 + edgy(random, m.raw_bytes));
}
inline void randomise(SeededRandom& random, Ack& m) {
  m.received = edgy(random, limits::kBlocksMax + 1);
  m.delivered = edgy(random, m.received + 1);
  m.credit = edgy(random, limits::kBlocksMax + 1);
  m.beyond.resize(edgy(random, limits::kAckWordsMax + 1));
  random.fill(std::as_writable_bytes(std::span(m.beyond)));
  m.durable = edgy(random, m.received + 1);
  m.life = u32(random.next());
  m.keep = static_cast<Keep>(random.below(3));
  m.credit_bytes = edgy(random, kNoEnd + 1);
}
inline void randomise(SeededRandom& random, Final& m) {
  m.stream_bytes = random.next();
  m.blocks = edgy(random, limits::kBlocksMax + 1);
  m.digest = random_id(random);
  m.producer = random.chance(0.5) ? ProducerExit::kUnknown : ProducerExit::kSuccess;
}
inline void randomise(SeededRandom& random, FinalAck& m) {
  m.completion = static_cast<Completion>(1 + random.below(3));
  m.stream_bytes = random.next();
}
inline void randomise(SeededRandom& random, Abort& m) {
  std::optional<Fault> fault;
  while (!fault || *fault == Fault::kNone) fault = fault_from_wire(u8(random.next()));
  m.fault = *fault;
  m.text = random_text(random, limits::kErrorTextBytesMax);
}

inline void randomise(SeededRandom& random, Lanes& m) {
  m.serial = u32(random.next());
  m.lanes = u8(1 + edgy(random, limits::kLanesMax));
  m.leaves = random.chance(0.5);
}

inline void randomise(SeededRandom& random, Chunks& m) {
  m.number = edgy(random, limits::kBlocksMax);
  m.offset = edgy(random, std::uint64_t{1} << 62);
  m.raw_bytes = limits::kBlockBytesMax - u32(edgy(random, 1000));
  m.gap_bytes = u16(edgy(random, 500));
  std::uint32_t at = 0;
  for (std::uint64_t count = 1 + random.below(8); count > 0; --count) {
    Chunks::Chunk chunk;
    random.fill(chunk.id);
    chunk.offset = at + u32(edgy(random, 400));
    const std::uint64_t pieces = random.chance(0.5) ? 1 : 2 + random.below(30);
    const auto alike = u32(1 + random.below(3000));
    for (std::uint64_t i = 0; i < pieces; ++i)
      chunk.piece_bytes.push_back(random.chance(0.5) ? alike : u32(1 + random.below(alike)));
    if (pieces > 1 && random.chance(0.7)) {
      chunk.unit_ids.resize(pieces);
      for (auto& id : chunk.unit_ids) random.fill(id);
    }
    at = chunk.offset + u32(chunk.bytes() + pieces * m.gap_bytes);
    m.chunks.push_back(std::move(chunk));
  }
  if (random.chance(0.5)) return;
  Chunks::Chunk keys;
  random.fill(keys.id);
  std::size_t pieces = 0;
  for (const Chunks::Chunk& chunk : m.chunks) pieces += chunk.piece_bytes.size();
  keys.piece_bytes.assign(pieces, 32);
  if (m.chunks.size() > 1) keys.unit_ids.resize(m.chunks.size());
  for (auto& id : keys.unit_ids) random.fill(id);
  keys.keys = true;
  m.chunks.push_back(std::move(keys));
}
inline void randomise(SeededRandom& random, Need& m) {
  m.number = edgy(random, limits::kBlocksMax);
  m.whole = random.chance(0.2);
  m.missing.resize(edgy(random, kBlockUnitsMax / 64 + 1));
  random.fill(std::as_writable_bytes(std::span(m.missing)));
}

inline auto fields(const Offer& m) {
  return std::tie(m.version_min, m.version_max, m.role, m.joins, m.ciphers, m.features);
}
inline auto fields(const Choice& m) { return std::tie(m.refusal, m.version, m.role, m.cipher, m.features); }
inline auto fields(const Join& m) { return std::tie(m.session, m.incarnation, m.proof); }
inline auto fields(const Open& m) {
  return std::tie(m.identity, m.incarnation, m.kind, m.earlier_run, m.nameable, m.lanes, m.give_up_s, m.block_bytes_max,
                  m.size_hint_bytes, m.name);
}
inline auto fields(const Opened& m) {
  std::vector<std::tuple<std::uint64_t, Id>> marks;
  for (const Mark& mark : m.marks) marks.emplace_back(mark.stream_bytes, mark.digest);
  return std::make_tuple(m.how, m.leaf_key, m.credit, m.lanes, m.hold_s, m.next_number, m.offset, std::move(marks),
                         m.life, m.credit_bytes, m.chunk_key);
}
inline auto fields(const Block& m) { return std::tie(m.number, m.offset, m.raw_bytes, m.packed_bytes, m.encoding); }
inline auto fields(const Ack& m) {
  return std::tie(m.received, m.delivered, m.credit, m.beyond, m.durable, m.life, m.keep, m.credit_bytes);
}
inline auto fields(const Final& m) { return std::tie(m.stream_bytes, m.blocks, m.digest, m.producer); }
inline auto fields(const FinalAck& m) { return std::tie(m.completion, m.stream_bytes); }
inline auto fields(const Abort& m) { return std::tie(m.fault, m.text); }
inline auto fields(const Chunks& m) {
  std::vector<std::tuple<Chunks::ChunkId, std::uint32_t, std::vector<std::uint32_t>, std::vector<Chunks::UnitId>, bool>>
      chunks;
  for (const Chunks::Chunk& chunk : m.chunks)
    chunks.emplace_back(chunk.id, chunk.offset, chunk.piece_bytes, chunk.unit_ids, chunk.keys);
  return std::make_tuple(m.number, m.offset, m.raw_bytes, m.gap_bytes, std::move(chunks));
}
inline auto fields(const Need& m) { return std::tie(m.number, m.whole, m.missing); }
inline auto fields(const Lanes& m) { return std::tie(m.serial, m.lanes, m.leaves); }

inline Result<Offer> decode(ConstBytes bytes, const Offer&) { return decode_offer(bytes); }
inline Result<Choice> decode(ConstBytes bytes, const Choice&) { return decode_choice(bytes); }
inline Result<Join> decode(ConstBytes bytes, const Join&) { return decode_join(bytes); }
inline Result<Open> decode(ConstBytes bytes, const Open&) { return decode_open(bytes); }
inline Result<Opened> decode(ConstBytes bytes, const Opened&) { return decode_opened(bytes); }
inline Result<Block> decode(ConstBytes bytes, const Block&) { return decode_block(bytes); }
inline Result<Ack> decode(ConstBytes bytes, const Ack&) { return decode_ack(bytes); }
inline Result<Final> decode(ConstBytes bytes, const Final&) { return decode_final(bytes); }
inline Result<FinalAck> decode(ConstBytes bytes, const FinalAck&) { return decode_final_ack(bytes); }
inline Result<Abort> decode(ConstBytes bytes, const Abort&) { return decode_abort(bytes); }
inline Result<Lanes> decode(ConstBytes bytes, const Lanes&) { return decode_lanes(bytes); }
inline Result<Chunks> decode(ConstBytes bytes, const Chunks&) { return decode_chunks(bytes); }
inline Result<Need> decode(ConstBytes bytes, const Need&) { return decode_need(bytes); }

}  // namespace zferry::wire::testing_data
