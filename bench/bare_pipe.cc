// The bare encrypted pipe: what an encrypted TCP pipe costs at the least, as a yardstick for bench/compare.py. One
// thread, blocking calls: read, AES-256-GCM (OpenSSL), 4 bytes of length, TCP; and back. No handshake, no
// acknowledgement, no resume: the key comes on the command line, so this is for measuring only. `bare_pipe sink` reads
// to the end and drops it: the same consumer for every peer.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace {

using Bytes = std::span<unsigned char>;

constexpr std::size_t kPieceBytes = std::size_t{256} * 1024;
constexpr std::size_t kSinkBytes = std::size_t{1024} * 1024;
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bare_pipe: %s: %s\n", what, errno != 0 ? std::strerror(errno) : "failed");
  std::exit(1);
}

// Fills `bytes`, or less at the end of the input; how much.
std::size_t read_full(int fd, Bytes bytes) {
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) die("read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

void write_full(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) die("write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

std::array<unsigned char, kKeyBytes> parse_key(const std::string& hex) {
  std::array<unsigned char, kKeyBytes> key{};
  if (hex.size() != 2 * key.size()) die("the key is not 64 hex digits");
  for (std::size_t i = 0; i < key.size(); i++)
    key[i] = static_cast<unsigned char>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  return key;
}

// One direction of AES-256-GCM; the nonce counts the pieces, the length is authenticated with them.
class Gcm {
 public:
  Gcm(const std::string& key_hex, bool encrypt) : context_(EVP_CIPHER_CTX_new()), encrypt_(encrypt) {
    const auto key = parse_key(key_hex);
    if (EVP_CipherInit_ex(context_, EVP_aes_256_gcm(), nullptr, key.data(), nullptr, encrypt ? 1 : 0) != 1)
      die("cipher");
  }
  ~Gcm() { EVP_CIPHER_CTX_free(context_); }
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;

  // In place; the tag is written, or read and checked. False: the tag is wrong.
  bool apply(Bytes length, Bytes text, unsigned char* tag) {
    std::array<unsigned char, kNonceBytes> nonce{};
    std::memcpy(nonce.data(), &counter_, sizeof counter_);
    counter_++;
    int done = 0;
    bool good = EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce.data(), -1) == 1;
    if (!encrypt_) good = good && EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) == 1;
    good = good && EVP_CipherUpdate(context_, nullptr, &done, length.data(), static_cast<int>(length.size())) == 1;
    good = good && EVP_CipherUpdate(context_, text.data(), &done, text.data(), static_cast<int>(text.size())) == 1;
    good = good && EVP_CipherFinal_ex(context_, text.data() + text.size(), &done) == 1;
    if (encrypt_) good = good && EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1;
    return good;
  }

 private:
  EVP_CIPHER_CTX* context_;
  bool encrypt_;
  std::uint64_t counter_ = 0;
};

int dial(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) die("HOST:PORT is wanted");
  const addrinfo hints{.ai_flags = 0,
                       .ai_family = AF_INET,
                       .ai_socktype = SOCK_STREAM,
                       .ai_protocol = 0,
                       .ai_addrlen = 0,
                       .ai_addr = nullptr,
                       .ai_canonname = nullptr,
                       .ai_next = nullptr};
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0)
    die("no such host");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, found->ai_addr, found->ai_addrlen) != 0) die("connect");
  ::freeaddrinfo(found);
  return fd;
}

int accept_one(const std::string& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoul(port)));
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 1) != 0)
    die("listen");
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) die("accept");
  ::close(listener);
  return fd;
}

// An empty piece ends the stream, so that a cut is seen.
void send_stream(int fd, Gcm cipher) {
  std::vector<unsigned char> buffer(kLengthBytes + kPieceBytes + kTagBytes);
  const Bytes all(buffer);
  std::size_t bytes = 0;
  do {
    bytes = read_full(STDIN_FILENO, all.subspan(kLengthBytes, kPieceBytes));
    const auto length = static_cast<std::uint32_t>(bytes);
    std::memcpy(buffer.data(), &length, kLengthBytes);
    unsigned char* tag = buffer.data() + kLengthBytes + bytes;
    if (!cipher.apply(all.first(kLengthBytes), all.subspan(kLengthBytes, bytes), tag)) die("encrypt");
    write_full(fd, all.first(kLengthBytes + bytes + kTagBytes));
  } while (bytes != 0);
}

void receive_stream(int fd, Gcm cipher) {
  std::vector<unsigned char> buffer(kPieceBytes + kTagBytes);
  std::array<unsigned char, kLengthBytes> header{};
  std::uint32_t bytes = 0;
  do {
    if (read_full(fd, header) != header.size()) die("the stream was cut");
    std::memcpy(&bytes, header.data(), header.size());
    if (bytes > kPieceBytes) die("a length is too large");
    const Bytes piece = Bytes(buffer).first(bytes + kTagBytes);
    if (read_full(fd, piece) != piece.size()) die("the stream was cut");
    if (!cipher.apply(header, piece.first(bytes), piece.data() + bytes)) die("a tag is wrong");
    write_full(STDOUT_FILENO, piece.first(bytes));
  } while (bytes != 0);
}

void sink() {
  std::vector<unsigned char> buffer(kSinkBytes);
  for (ssize_t got = 1; got > 0;) got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 3 && arguments[0] == "send") {
    send_stream(dial(arguments[1]), Gcm(arguments[2], true));
  } else if (arguments.size() == 3 && arguments[0] == "recv") {
    receive_stream(accept_one(arguments[1]), Gcm(arguments[2], false));
  } else if (arguments.size() == 1 && arguments[0] == "sink") {
    sink();
  } else {
    std::fputs("usage: bare_pipe send HOST:PORT KEYHEX < in | recv PORT KEYHEX > out | sink < in\n", stderr);
    return 2;
  }
  return 0;
}
