// Any bytes in a store's files: nothing may crash, no length may be taken beyond its bound, and only what was sealed
// under the store's key may count. The first byte picks: 0 the "format" file, 1 the pages of a journal before they were
// sealed, 2 a journal that is sealed here, each page with its length (u16) before it, beside a segment of any bytes,
// and the store opened, verified and gone on with, 3 a journal of any bytes behind a good header and a good first
// commit.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "seal/rest_cipher.h"
#include "store/file_names.h"
#include "store/journal.h"
#include "store/journal_page.h"
#include "store/records.h"
#include "store/store.h"
#include "unit/store/memory_folder.h"

namespace {

using namespace zferry;
using namespace zferry::store;

void demand(bool holds) {
  if (!holds) std::abort();
}

const seal::SecretBytes& key() {
  static const seal::SecretBytes key;
  return key;
}
const SessionId kSession{};

void decode_format_file(ConstBytes bytes) {
  if (const auto id = decode_format(bytes, key())) demand(std::ranges::equal(encode_format(key(), *id), bytes));
}

void check_content(const SessionContent& content) {
  std::uint64_t packed_bytes = 0, blocks = 0;
  for (const auto& [number, block] : content.blocks()) {
    demand(number == block.number && number >= content.first() && block.packed_bytes <= limits::kBlockBytesMax);
    demand(content.segments().contains(content.place_of(number).segment));
    packed_bytes += block.packed_bytes;
  }
  for (const auto& [number, segment] : content.segments()) blocks += segment.blocks;
  demand(packed_bytes == content.packed_bytes() && blocks == content.blocks().size());
  demand(content.next() >= content.first() && !content.has(content.next()));
  demand(content.state().size() <= kCheckpointBytesMax && content.label.size() <= kLabelBytesMax);
}

void apply_pages(ConstBytes bytes) {
  SessionContent content;
  Replay replay(content);
  while (!bytes.empty()) {
    const std::size_t page = std::min<std::size_t>(bytes.size(), 1 + std::to_integer<std::size_t>(bytes[0]) * 16);
    if (!replay.apply(bytes.first(page))) return;
    check_content(content);
    bytes = bytes.subspan(page);
  }
}

void add_file(MemoryDisk& disk, const std::string& name, ConstBytes content) {
  disk.files[name] = std::make_shared<MemoryFile>();
  disk.files[name]->content.assign(content.begin(), content.end());
}

// Opened, verified, and, where the session is sound, gone on with.
void use(MemoryDisk& disk) {
  SeededRandom random(1);
  MemoryFolder folder(disk);
  demand(verify(folder, key()).ok());
  StoreSettings settings;
  settings.capacity_bytes = limits::kCapacityMin;
  auto store = Store::open(folder, key(), settings, random);
  demand(store.ok() && (*store)->sessions().size() == 1);
  if ((*store)->sessions()[0].damage) return demand((*store)->remove(kSession).ok() && disk.files.size() == 1);
  auto session = (*store)->resume(kSession);
  demand(session.ok());
  const auto blocks = (*session)->blocks();
  std::vector<std::byte> packed;
  for (const auto& [number, block] : blocks) {
    packed.resize(block.packed_bytes);
    demand(!(*session)->read(number, packed));  // nobody has sealed it
    if (number > 64) break;
  }
  const std::uint64_t number = (*session)->first_number();
  (*session)->truncate(number);
  demand((*session)->append({number, 0, 1, 1, 0}, ConstBytes(std::array{std::byte{1}})).ok());
  demand((*session)->commit().ok());
  packed.resize(1);
  demand((*session)->read(number, packed).ok());
}

void open_store(ConstBytes bytes, bool sealed_here) {
  MemoryDisk disk;
  SeededRandom random(2);
  const StoreId id{};
  const StoreKeys keys(key(), id);
  add_file(disk, kFormatName, encode_format(key(), id));
  const NewHeader header = make_header(keys, FileKind::kJournal, 0, kSession, seal::Cipher::kChaCha20Poly1305, random);
  seal::RestSealer sealer(header.key.cipher, header.key.key);
  std::vector<std::byte> journal(header.bytes.begin(), header.bytes.end());
  const auto add_page = [&](std::uint64_t commit, ConstBytes plain) {
    const auto page = encode(PageHeader{static_cast<std::uint32_t>(plain.size()), commit});
    const std::uint64_t place = journal.size();
    journal.insert(journal.end(), page.begin(), page.end());
    journal.resize(journal.size() + plain.size() + seal::kTagBytes);
    sealer.seal(place, page, plain, Bytes(journal).subspan(place + page.size()));
  };
  std::uint64_t commit = 1;
  if (!sealed_here) {
    Pages pages;
    pages.begin(0, "fuzzed");
    pages.commit();
    add_page(commit, pages.take()[0]);
    journal.insert(journal.end(), bytes.begin(), bytes.end());
  }
  while (sealed_here && bytes.size() > 2) {
    const std::size_t page = std::min<std::size_t>(bytes.size() - 2, load<std::uint16_t>(bytes));
    if (page == 0) break;
    add_page(commit, bytes.subspan(2, page));
    if (bytes[2 + page - 1] == std::byte{8}) ++commit;  // as where it ends with a commit record
    bytes = bytes.subspan(2 + page);
  }
  add_file(disk, journal_name(keys, kSession), journal);
  add_file(disk, segment_name(keys, kSession, 1), journal);
  use(disk);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ConstBytes bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] == 0) decode_format_file(bytes);
  if (data[0] == 1) apply_pages(bytes);
  if (data[0] == 2) open_store(bytes, true);
  if (data[0] == 3) open_store(bytes, false);
  return 0;
}
