#include "unit/zstream/resumable_streams.h"

#include <zlib.h>

#include <array>
#include <cstdio>

#include "zstream/nvlist_writer.h"

namespace zferry::zstream::testing {

namespace {

constexpr std::uint64_t kToTheEnd = ~std::uint64_t{0};
constexpr std::uint64_t kObjectsOfARange = 32;

class Maker {
 public:
  Maker(SeededRandom& random, const ResumableShape& shape)
      : random_(random), shape_(shape), writer_({.swapped = shape.swapped}) {
    stream_.options = {.swapped = shape.swapped};
    stream_.raw = shape.raw;
    stream_.toguid = shape.toguid;
    if (shape.increment) stream_.fromguid = 0x1111;
  }

  ResumableStream make() {
    begin();
    std::uint64_t object = 0;
    for (int i = 0; i < shape_.objects; ++i) {
      const std::uint64_t last = object;
      object += i == 0 ? 1 : 1 + random_.below(12);
      if (object - last > 1 || i == 0)
        add(Role::kOther, last == 0 ? 0 : last + 1, 0,
            [&] { writer_.free_objects(last == 0 ? 0 : last + 1, last == 0 ? 1 : object - last - 1); });
      range_for(object);
      head(object);
      content(object);
    }
    add(Role::kOther, object + 1, 0, [&] { writer_.free_objects(object + 1, kToTheEnd - object - 1); });
    add(Role::kOther, kToTheEnd, 0, [&] { writer_.end(); });
    stream_.bytes = writer_.take();
    return std::move(stream_);
  }

 private:
  using Role = ResumableStream::Role;

  template <class Write>
  void add(Role role, std::uint64_t object, std::uint64_t offset, Write write) {
    const std::size_t start = writer_.bytes().size();
    write();
    stream_.records.push_back({role, object, offset, start, start + kRecordBytes, writer_.bytes().size()});
  }

  void begin() {
    std::vector<std::byte> list;
    if (shape_.raw) {
      list = NvlistBuilder(shape_.swapped ? NvlistBuilder::Encoding::kNativeSwapped : NvlistBuilder::Encoding::kNative)
                 .open("crypt_keydata")
                 .number("DSL_CRYPTO_SUITE", 8)
                 .text("text", "of some length")
                 .close()
                 .finish();
    }
    const std::uint64_t features =
        1u << 2 | (shape_.raw ? std::uint64_t{1} << kFeatureRaw | 1u << kFeatureCompressed : 0);
    add(Role::kBegin, 0, 0, [&] {
      writer_.begin({.features = features,
                     .creation_time = 0x6b02e505,
                     .toguid = stream_.toguid,
                     .fromguid = stream_.fromguid,
                     .flags = 0xc,
                     .toname = "tank/plain@s1"},
                    list);
    });
  }

  void range_for(std::uint64_t object) {
    const std::uint64_t first = object / kObjectsOfARange * kObjectsOfARange;
    if (!shape_.raw || (range_begun_ && first == range_)) return;
    range_begun_ = true;
    range_ = first;
    add(Role::kRange, first, 0, [&] { writer_.object_range(first, kObjectsOfARange); });
  }

  void head(std::uint64_t object) {
    add(Role::kHead, object, 0, [&] { writer_.object(object, payload(200), shape_.raw); });
    add(Role::kHead, object, 0, [&] { writer_.free(object, 1u << 20, kToTheEnd); });
    if (shape_.increment && random_.below(3) == 0) {
      add(Role::kHead, object, 0, [&] { writer_.spill(object, 8192, payload(512)); });
    }
  }

  void content(std::uint64_t object) {
    std::uint64_t offset = 0;
    const std::uint64_t count = object == 1 ? 2 : random_.below(static_cast<std::uint64_t>(shape_.writes_max));
    for (std::uint64_t i = 0; i < count; ++i) {
      if (shape_.increment && random_.below(3) == 0) {
        add(Role::kOther, object, offset, [&] { writer_.free(object, offset, shape_.record_bytes); });
        offset += shape_.record_bytes;
      }
      auto bytes = payload(shape_.payload_bytes_max);
      if (random_.below(4) == 0) {
        add(Role::kWrite, object, offset,
            [&] { writer_.write_embedded(object, offset, shape_.record_bytes, payload(100)); });
      } else {
        if (shape_.content) bytes = shape_.content(random_, bytes.size());
        add(Role::kWrite, object, offset, [&] { writer_.write(object, offset, shape_.record_bytes, bytes, 15); });
      }
      // Holes between long records; short ones stand side by side, as those of one file do.
      offset += shape_.record_bytes * (shape_.record_bytes < 4096 ? 1 : 1 + random_.below(3));
    }
    if (count > 0 && random_.below(3) == 0) {
      add(Role::kOther, object, kToTheEnd, [&] { writer_.spill(object, 8192, payload(512)); });
    }
  }

  std::vector<std::byte> payload(std::size_t bytes_max) {
    const std::size_t bytes = 1 + random_.below(bytes_max);
    return random_bytes(random_, shape_.raw ? bytes : (bytes + 7) / 8 * 8);
  }

  SeededRandom& random_;
  ResumableShape shape_;
  StreamWriter writer_;
  ResumableStream stream_;
  bool range_begun_ = false;
  std::uint64_t range_ = 0;
};

}  // namespace

ResumableStream make_resumable(SeededRandom& random, const ResumableShape& shape) {
  return Maker(random, shape).make();
}

std::vector<std::size_t> ResumableStream::writes() const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].role == Role::kWrite) found.push_back(i);
  }
  return found;
}

ResumeToken ResumableStream::first_token() const {
  return {.object = 1, .offset = 0, .toguid = toguid, .fromguid = fromguid, .toname = "tank/plain@s1", .raw = raw};
}

ResumeToken ResumableStream::token(std::size_t write) const {
  ResumeToken token = first_token();
  token.object = records[write].object;
  token.offset = records[write].offset;
  token.bytes = records[write].end;
  return token;
}

std::vector<std::byte> ResumableStream::resumed(const ResumeToken& token, std::size_t from_record) const {
  StreamWriter writer(options);
  auto copy = [&](const Record& record) {
    const ConstBytes all(bytes);
    writer.record(all.subspan(record.start, kRecordBytes),
                  all.subspan(record.header_end, record.end - record.header_end));
  };
  std::vector<std::byte> packed;
  if (raw) {
    using Encoding = NvlistBuilder::Encoding;
    NvlistBuilder list(options.swapped ? Encoding::kNativeSwapped : Encoding::kNative);
    list.number("resume_object", token.object).number("resume_offset", token.offset);
    packed = list.open("crypt_keydata").number("DSL_CRYPTO_SUITE", 8).text("text", "of some length").close().finish();
  } else {
    const std::array<NvNumber, 2> place{{{"resume_object", token.object}, {"resume_offset", token.offset}}};
    packed = make_nvlist(place, options.swapped ? NvEncoding::kXdr : NvEncoding::kNative);
  }
  std::vector<std::byte> begin(bytes.begin(), bytes.begin() + kRecordBytes);
  auto change = [&](std::size_t at, auto value) {
    store_at(Bytes(begin), at, options.swapped ? swap_bytes(value) : value);
  };
  const auto old = decode_record(ConstBytes(begin), options.swapped);
  change(field::kVersionInfo, old->versioninfo | std::uint64_t{1} << 22);
  change(field::kBeginPayloadBytes, static_cast<std::uint32_t>(packed.size()));
  writer.record(begin, packed);

  const Record* range = nullptr;
  for (std::size_t i = 0; i < from_record; ++i) {
    if (records[i].role == Role::kRange) range = &records[i];
  }
  if (range != nullptr) copy(*range);
  for (std::size_t i = 0; i < from_record; ++i) {
    if (records[i].role == Role::kHead && records[i].object == token.object) copy(records[i]);
  }
  for (std::size_t i = from_record; i < records.size(); ++i) copy(records[i]);
  return writer.take();
}

std::string encode_token(ConstBytes packed) {
  std::vector<std::byte> compressed(compressBound(packed.size()));
  uLongf bytes = compressed.size();
  if (compress2(as_uchar(Bytes(compressed)), &bytes, as_uchar(packed), packed.size(), 6) != Z_OK) return "";
  compressed.resize(bytes);
  char front[64];
  std::snprintf(front, sizeof front, "1-%llx-%llx-", static_cast<unsigned long long>(fletcher4(compressed).a),
                static_cast<unsigned long long>(packed.size()));
  return front + to_hex(compressed);
}

std::string encode_token(const ResumeToken& token, NvlistBuilder::Encoding encoding) {
  NvlistBuilder list(encoding);
  if (token.fromguid != 0) list.number("fromguid", token.fromguid);
  list.number("object", token.object).number("offset", token.offset).number("bytes", token.bytes);
  list.number("toguid", token.toguid).text("toname", token.toname);
  if (token.large_blocks) list.boolean("largeblockok");
  if (token.embedded) list.boolean("embedok");
  if (token.compressed) list.boolean("compressok");
  if (token.raw) list.boolean("rawok");
  return encode_token(list.finish());
}

}  // namespace zferry::zstream::testing
