// tools/store_reader.py, which shares no code with this one, reads what the store has written, and both say the same:
// of every session, note, state and block, and of what is damaged.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

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

class SecondReader : public StoreSetting {
 protected:
  SecondReader()
      : folder_path_(std::filesystem::temp_directory_path() / ("zferry-reader-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_path_);
  }
  ~SecondReader() override { std::filesystem::remove_all(folder_path_); }

  static bool is_there() { return std::system("python3 -c 'import cryptography' 2>/dev/null") == 0; }

  // The disk in memory as a folder; the reader's lines and its exit code.
  std::string read(int& exit_code) {
    std::filesystem::remove_all(folder_path_ / "store");
    std::filesystem::create_directories(folder_path_ / "store");
    for (const auto& [name, file] : disk_.files) write(folder_path_ / "store" / name, file->content);
    write(folder_path_ / "key", key_.bytes());
    const std::string command = "python3 " + std::string(ZFERRY_TEST_DATA) +
                                "/../tools/store_reader.py --blocks --key-file " + (folder_path_ / "key").string() +
                                " " + (folder_path_ / "store").string() + " 2>&1";
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

}  // namespace
}  // namespace zferry::store
