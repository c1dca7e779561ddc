// make_resuming [--from N|last] TOKEN FULL > RESUMING: a resuming stream from a stored one, for tests on real OpenZFS.
// --from N follows the first N bytes as a target does that has thrown them away since, saves and restores what it knows
// of them, and feeds the rest; `last` takes the last end of a 64 KiB piece that may be thrown away at this token.
// What it did goes to stderr as one JSON object. Exit codes: 0, 1 for a refusal, 2 for wrong arguments.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "zstream/resuming_stream.h"

namespace zferry::zstream {
namespace {

constexpr std::size_t kPieceBytes = 65536;

int refused(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", std::string(facts(error.fault).name).c_str(), error.what.c_str());
  return 1;
}

// Less than `bytes` only at the end.
std::vector<std::byte> read_piece(std::FILE* file, std::size_t bytes) {
  std::vector<std::byte> piece(bytes);
  piece.resize(std::fread(piece.data(), 1, bytes, file));
  return piece;
}

struct Followed {
  std::vector<std::byte> saved;
  std::uint64_t bytes = 0;
};

// As far as `limit`, or as far as the token lets it.
Followed follow(std::FILE* file, const ResumeToken& token, std::uint64_t limit, bool last) {
  StreamContext context;
  Followed followed{context.save(), 0};
  for (;;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, limit - followed.bytes));
    const auto piece = read_piece(file, wanted);
    if (piece.empty()) return followed;
    context.follow(piece);
    if (last && !context.lies_before(token)) return followed;
    followed = {context.save(), followed.bytes + piece.size()};
  }
}

int make(const ResumeToken& token, const std::string& path, std::uint64_t from, bool last) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return refused(errno_error(Fault::kInputFailed, "open " + path, errno));
  const Followed followed = follow(file, token, from, last);
  Result<StreamContext> context = StreamContext::restore(followed.saved);
  if (!context) return refused(context.error());
  Result<ResumingStream> stream = ResumingStream::begin(std::move(*context), token);
  if (!stream) return refused(stream.error());
  if (std::fseek(file, static_cast<long>(followed.bytes), SEEK_SET) != 0) {
    return refused(errno_error(Fault::kInputFailed, "seek in " + path, errno));
  }
  std::uint64_t fed = 0, made = 0;
  for (;;) {
    const auto piece = read_piece(file, kPieceBytes);
    if (piece.empty()) break;
    fed += piece.size();
    std::vector<std::byte> out;
    if (Status status = stream->feed(piece, out); !status) return refused(status.error());
    made += out.size();
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) {
      return refused(errno_error(Fault::kOutputFailed, "write", errno));
    }
  }
  std::fclose(file);
  if (std::fflush(stdout) != 0) return refused(errno_error(Fault::kOutputFailed, "write", errno));
  std::fprintf(stderr,
               "{\"object\": %llu, \"offset\": %llu, \"bytes\": %llu, \"raw\": %d, \"followed\": %llu, \"saved\": %zu, "
               "\"fed\": %llu, \"made\": %llu}\n",
               static_cast<unsigned long long>(token.object), static_cast<unsigned long long>(token.offset),
               static_cast<unsigned long long>(token.bytes), token.raw, static_cast<unsigned long long>(followed.bytes),
               followed.saved.size(), static_cast<unsigned long long>(fed), static_cast<unsigned long long>(made));
  return 0;
}

int run(std::vector<std::string> arguments) {
  std::uint64_t from = 0;
  bool last = false;
  if (arguments.size() == 4 && arguments[0] == "--from") {
    const std::string& text = arguments[1];
    last = text == "last";
    if (last) from = ~std::uint64_t{0};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), from);
    if (!last && (error != std::errc() || end != text.data() + text.size())) return 2;
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (arguments.size() != 2) {
    std::fprintf(stderr, "make_resuming [--from N|last] TOKEN FULL > RESUMING\n");
    return 2;
  }
  const Result<ResumeToken> token = decode_resume_token(arguments[0]);
  if (!token) return refused(token.error());
  return make(*token, arguments[1], from, last);
}

}  // namespace
}  // namespace zferry::zstream

int main(int argc, char** argv) { return zferry::zstream::run({argv + 1, argv + argc}); }
