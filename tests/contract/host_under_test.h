// The contract suite's view of a host: the interfaces of engine/io, and a way to serve the loop until something is
// true. A back end joins the suite by one more entry in back_ends(). One thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "io/files.h"
#include "io/loop.h"
#include "io/network.h"
#include "io/processes.h"

namespace zferry::io::contract {

class HostUnderTest {
 public:
  virtual ~HostUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Network& network() = 0;
  virtual Processes& processes() = 0;
  virtual Files& files() = 0;
  virtual void run() = 0;
  virtual void stop() = 0;
};

struct BackEnd {
  std::string name;
  bool real = true;  // has threads, children and a file system, so that tests may use them
  // Errors: why this back end cannot be had here. The folder is for its state.
  std::function<Result<std::unique_ptr<HostUnderTest>>(const std::string& state_folder)> make;
};
std::vector<BackEnd> back_ends();
inline void PrintTo(const BackEnd& back_end, std::ostream* out) { *out << back_end.name; }
inline std::string name_of(const testing::TestParamInfo<BackEnd>& info) { return info.param.name; }

#define ZF_ON_EVERY_BACK_END(suite) INSTANTIATE_TEST_SUITE_P(BackEnds, suite, testing::ValuesIn(back_ends()), name_of)

// Outcome of a call with a completion: counted, and the last result kept.
template <class T>
struct Outcome {
  int calls = 0;
  std::unique_ptr<Result<T>> result;
  auto done() {
    return [this](Result<T> r) {
      ++calls;
      result = std::make_unique<Result<T>>(std::move(r));
    };
  }
  bool ok() const { return result && result->ok(); }
  Fault fault() const { return result && !result->ok() ? result->error().fault : Fault::kNone; }
  std::string what() const { return result && !result->ok() ? result->error().what : ""; }
};
using SizeOutcome = Outcome<std::size_t>;
using StatusOutcome = Outcome<void>;

struct StreamPair {
  std::unique_ptr<ByteStream> a;  // connected
  std::unique_ptr<ByteStream> b;  // accepted
};

// A host and a folder for each test. Skips where the back end is not to be had.
class Contract : public testing::TestWithParam<BackEnd> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Serves the loop until `done` holds; fails the test when that takes unreasonably long.
  void serve_until(const std::function<bool()>& done);
  // Serves a little longer, to see whether something comes that must not.
  void serve_a_while();
  StreamPair connected_pair();
  // Reads until the end or an error; what came.
  std::vector<std::byte> read_all(ByteStream& stream, SizeOutcome* last = nullptr);

  std::unique_ptr<HostUnderTest> host_;
  std::string folder_;

 private:
  std::ptrdiff_t descriptors_before_ = 0;
};

std::vector<std::byte> some_bytes(std::uint64_t seed, std::size_t count);

}  // namespace zferry::io::contract
