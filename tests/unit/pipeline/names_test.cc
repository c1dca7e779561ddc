// Names are the same for the same parts and differ for others, however the parts are cut.
#include "pipeline/names.h"

#include <gtest/gtest.h>

#include <csignal>
#include <set>

namespace zferry::pipeline {
namespace {

TEST(Names, RecordNamesTellThePartsApart) {
  auto name = [](const char* kind, std::initializer_list<std::string_view> parts) {
    std::vector<ConstBytes> bytes;
    for (std::string_view part : parts) bytes.push_back(as_bytes(part));
    if (bytes.size() == 1) return record_name(kind, {bytes[0]});
    if (bytes.size() == 2) return record_name(kind, {bytes[0], bytes[1]});
    return record_name(kind, {bytes[0], bytes[1], bytes[2]});
  };
  std::set<std::string> names{name("done", {"ab", "c"}),     name("done", {"a", "bc"}), name("done", {"abc"}),
                              name("done", {"abc", ""}),     name("done", {"", "abc"}), name("open", {"ab", "c"}),
                              name("done", {"a", "b", "c"}), name("done", {"c", "ab"})};
  EXPECT_EQ(names.size(), 8u);
  EXPECT_EQ(name("done", {"ab", "c"}), name("done", {"ab", "c"}));
  for (const std::string& each : names) {
    EXPECT_LE(each.size(), 100u);
    EXPECT_EQ(each.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-."), std::string::npos) << each;
  }
}

TEST(Names, SessionIdentityIsTheStreamsOrTheNamesOrNew) {
  SeededRandom random(1);
  wire::Id own{};
  random.fill(own);
  EXPECT_EQ(session_identity(own, "name", random), own);
  EXPECT_EQ(session_identity(std::nullopt, "name", random), session_identity(std::nullopt, "name", random));
  EXPECT_NE(session_identity(std::nullopt, "name", random), session_identity(std::nullopt, "named", random));
  EXPECT_NE(session_identity(std::nullopt, "", random), session_identity(std::nullopt, "", random));
}

TEST(Names, AnInterruptNamesTheEndAndTheSignal) {
  EXPECT_EQ(interrupted_text(SIGINT, "source"), "the operator ended the source (Interrupt)");
}

}  // namespace
}  // namespace zferry::pipeline
