// tools/store_reader.py, which shares no code with this one, reads what the store has written, and both say the same:
// of every session, note, state and block, and of what is damaged.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "seal/blake2b.h"
#include "store/file_names.h"
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

std::string digest_of(ConstBytes bytes) {
  std::array<std::byte, 16> digest;
  seal::Blake2b(digest.size()).add(bytes).finish(digest);
  return to_hex(digest);
}

class SecondReader : public WindowSetting {
 protected:
  SecondReader()
      : folder_path_(std::filesystem::temp_directory_path() / ("zferry-reader-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_path_);
  }
  ~SecondReader() override { std::filesystem::remove_all(folder_path_); }

  static bool is_there() { return std::system("python3 -c 'import cryptography' 2>/dev/null") == 0; }

  // The disk in memory as a folder; the reader's lines and its exit code.
  std::string read(int& exit_code, const std::string& options = "--blocks") {
    std::filesystem::remove_all(folder_path_ / "store");
    std::filesystem::create_directories(folder_path_ / "store");
    for (const auto& [name, file] : disk_.files) write(folder_path_ / "store" / name, file->content);
    write(folder_path_ / "key", key_.bytes());
    const std::string command = "python3 " + std::string(ZFERRY_TEST_DATA) + "/../tools/store_reader.py " + options +
                                " --key-file " + (folder_path_ / "key").string() + " " +
                                (folder_path_ / "store").string() + " 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string lines;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) lines += static_cast<char>(c);
    exit_code = ::pclose(pipe) / 256;
    return lines;
  }

  // What the reader has to say, by our own reading.
  std::string expected() {
    std::string lines;
    std::map<std::string, std::vector<std::byte>> before;  // to resume a session changes its journal
    for (const auto& [name, file] : disk_.files) before[name] = file->content;
    EXPECT_TRUE(open());
    auto sessions = store_->sessions();
    std::ranges::sort(sessions, {}, [this](const SessionSummary& summary) { return name_of(summary.id); });
    for (const SessionSummary& summary : sessions) {
      auto session = store_->resume(summary.id);
      EXPECT_TRUE(session);
      if (!session) continue;
      lines += line_of(summary, **session);
      for (const auto& [number, block] : (*session)->blocks()) lines += line_of(**session, block);
    }
    store_.reset();
    disk_ = MemoryDisk();
    for (const auto& [name, content] : before)
      disk_.files[name] = std::make_shared<MemoryFile>(MemoryFile{content, content.size()});
    return lines;
  }

 private:
  static void write(const std::filesystem::path& path, ConstBytes bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string name_of(const SessionId& session) const {
    StoreId id;
    std::copy_n(disk_.files.at("format")->content.begin() + 16, id.size(), id.begin());
    return journal_name(StoreKeys(key_, id), session);
  }
  static std::string line_of(const SessionSummary& summary, const Session& session) {
    std::string notes;
    for (int number = 1; number <= 3; ++number)
      if (const auto value = session.note(static_cast<Note>(number)))
        notes += (notes.empty() ? "\"" : ", \"") + std::to_string(number) + "\": \"" + to_hex(*value) + "\"";
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    return "{\"session\": \"" + to_hex(summary.id) + "\", \"label\": \"" + summary.label +
           "\", \"begun_unix_s\": " + std::to_string(summary.begun_unix_s) +
           ", \"first_number\": " + number(summary.first_number) + ", \"next_number\": " + number(summary.next_number) +
           ", \"blocks\": " + number(summary.blocks) + ", \"packed_bytes\": " + number(summary.packed_bytes) +
           ", \"notes\": {" + notes + "}, \"state\": \"" + digest_of(session.checkpoint_state()) +
           "\", \"state_bytes\": " + number(session.checkpoint_state().size()) + "}\n";
  }
  static std::string line_of(Session& session, const BlockFacts& block) {
    std::vector<std::byte> packed(block.packed_bytes);
    EXPECT_TRUE(session.read(block.number, packed));
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    return "{\"number\": " + number(block.number) + ", \"offset\": " + number(block.offset) +
           ", \"raw_bytes\": " + number(block.raw_bytes) + ", \"packed_bytes\": " + number(block.packed_bytes) +
           ", \"encoding\": " + number(block.encoding) + ", \"packed\": \"" + digest_of(packed) + "\"}\n";
  }

  std::filesystem::path folder_path_;
};

TEST_F(SecondReader, SaysTheSame) {
  if (!is_there()) GTEST_SKIP() << "python3-cryptography is not installed";
  window_ = false;
  segment_bytes_ = 8000;
  for (seal::Cipher cipher : seal::ciphers_by_speed()) {
    disk_ = MemoryDisk();
    StoreSettings with = settings();
    with.cipher = cipher;
    {
      ScriptedRun run(disk_, key_, with, random_);
      run.open({});
      for (int which = 1; which <= 3; ++which) {
        run.begin(which);
        for (std::uint64_t number = 0; number < 30; ++number) run.put(which, number ^ 1, 400 + number * which);
        run.note(which, Note::kSession, "who");
        run.note(which, Note::kRun, std::to_string(which));
        run.commit(which);
        run.truncate(which, 20);
        run.put(which, 25, 1000, 1);
        run.checkpoint(which, static_cast<std::uint64_t>(which), block_bytes(3, 100 * limits::KiB));
        run.put(which, 26, 1000, 1);
        run.note(which, Note::kFinal, "");
        run.commit(which);
      }
      ASSERT_TRUE(run.alive());
      run.put(2, 40, 3000);  // never committed
    }
    const std::string lines = expected();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3 + 21 + 20 + 19);
    int exit_code = -1;
    EXPECT_EQ(read(exit_code), lines);
    EXPECT_EQ(exit_code, 0);
    // A torn tail is left out by both.
    for (const std::string& name : names("journal-"))
      disk_.files[name]->content.resize(disk_.files[name]->content.size() - 3);
    const std::string fewer = expected();
    EXPECT_NE(fewer, lines);
    EXPECT_EQ(read(exit_code), fewer);
    EXPECT_EQ(exit_code, 0);
    // Damage is told by both.
    disk_.files[names("journal-")[0]]->content[300] ^= std::byte{1};
    ASSERT_TRUE(open());
    std::size_t damaged = 0;
    for (const SessionSummary& summary : store_->sessions()) damaged += summary.damage.has_value();
    EXPECT_EQ(damaged, 1u);
    EXPECT_NE(read(exit_code).find("\"damage\": \"journal-"), std::string::npos);
    EXPECT_EQ(exit_code, 1);
  }
}

// A chunk as the reader tells of it, by our own finding of it.
std::string chunk_line(const BlockPlace& place, const ChunkFacts& chunk) {
  std::string units;
  for (const ChunkFacts::Unit& unit : chunk.units) {
    units += (units.empty() ? "\"" : ", \"") + to_hex(unit.id);
    for (const Run& run : unit.runs) units += " " + std::to_string(run.offset) + "+" + std::to_string(run.bytes);
    units += "\"";
  }
  return "{\"session\": \"" + to_hex(place.session) + "\", \"segment\": " + std::to_string(place.segment) +
         ", \"check\": \"" + to_hex(place.check) + "\", \"scope\": \"" + to_hex(scope_of(0)) +
         "\", \"at\": " + std::to_string(place.at) + ", \"number\": " + std::to_string(place.block.number) +
         ", \"packed_bytes\": " + std::to_string(place.block.packed_bytes) +
         ", \"chunk\": " + (chunk.id ? "\"" + to_hex(*chunk.id) + "\"" : "null") + ", \"units\": [" + units + "]}";
}

TEST_F(SecondReader, SaysTheSameOfTheWindow) {
  if (!is_there()) GTEST_SKIP() << "python3-cryptography is not installed";
  segment_bytes_ = 8000;
  std::vector<std::string> lines;
  {
    ScriptedRun run(disk_, key_, settings(), random_);
    run.open({});
    run.begin(1);
    for (std::uint64_t number = 0; number < 30; ++number) run.put(1, number, 400 + number);
    run.commit(1);
    run.remove(1);
    run.begin(2);
    run.pin(2, 3, 0, 0);
    run.pin(2, 4, 0, 2);
    run.pin(2, 29, 0, 0);
    for (std::uint64_t number = 0; number < 3; ++number) run.put(2, number, 100, 1);
    run.checkpoint(2, 1, {});
    ASSERT_TRUE(run.alive());
    run.store()->add_savings({1000, 300, 2});
    for (const std::uint64_t edition : {0, 1}) {
      for (std::uint64_t number = 0; number < (edition == 0 ? 30u : 3u); ++number) {
        const auto found = run.store()->find(scope_of(0), chunk_id(number, edition, 0), kChunkBytes);
        ASSERT_TRUE(found);
        for (const ChunkFacts& chunk : chunks_of(number, edition)) lines.push_back(chunk_line(found->place, chunk));
      }
    }
  }
  int exit_code = -1;
  const std::string said = read(exit_code, "--chunks");
  EXPECT_EQ(exit_code, 0) << said;
  std::vector<std::string> chunks;
  std::istringstream all(said);
  for (std::string line; std::getline(all, line);)
    if (line.find("\"chunk\": ") != std::string::npos) chunks.push_back(line);
  std::ranges::sort(lines);
  std::ranges::sort(chunks);
  EXPECT_EQ(chunks, lines);
  EXPECT_NE(said.find("\"pins\": [[\"" + to_hex(session_id(1)) + "\", 1, "), std::string::npos) << said;
  EXPECT_EQ(said.find("\"pins\": [[\"" + to_hex(session_id(1)) + "\", 2, "), std::string::npos) << said;
  EXPECT_NE(said.find("\"looked_bytes\": 1000, \"found_bytes\": 300, \"sessions\": 2"), std::string::npos) << said;
}

}  // namespace
}  // namespace zferry::store
