// parse_endpoint(): "HOST:PORT", "[V6]:PORT", ":PORT". Pure, and shared by every back end.
#include <algorithm>
#include <cctype>

#include "base/bytes.h"
#include "io/network.h"

namespace zferry::io {

namespace {

Error bad(const std::string& text, const std::string& why, const std::string& next) {
  return {Fault::kUsage, "\"" + escaped(text) + "\" is no address: " + why, next};
}

bool is_port(const std::string& port) {
  if (port.empty() || port.size() > 32) return false;
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  if (std::all_of(port.begin(), port.end(), is_digit)) return port.size() <= 5 && std::stoi(port) <= 65535;
  const auto is_service = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  return std::isalnum(static_cast<unsigned char>(port[0])) && std::all_of(port.begin(), port.end(), is_service);
}

bool is_host(const std::string& host) {
  if (host.size() > 255) return false;
  return std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return c > ' ' && c < 127 && c != '[' && c != ']'; });
}

}  // namespace

Result<Endpoint> parse_endpoint(const std::string& text) {
  const std::string example = "write it as HOST:PORT, for example backup.example:9443";
  Endpoint endpoint;
  const auto last_colon = text.rfind(':');
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string::npos) return bad(text, "the bracket is not closed", "for example [2001:db8::1]:9443");
    if (bracket == 1) return bad(text, "nothing between the brackets", "for example [2001:db8::1]:9443");
    if (bracket + 1 >= text.size() || text[bracket + 1] != ':') {
      return bad(text, "the port is missing", "for example " + escaped(text.substr(0, bracket + 1)) + ":9443");
    }
    endpoint = {text.substr(1, bracket - 1), text.substr(bracket + 2)};
  } else if (last_colon == std::string::npos) {
    if (text.empty()) return bad(text, "it is empty", example);
    return bad(text, "the port is missing", "for example " + escaped(text) + ":9443");
  } else if (text.find(':') != last_colon) {
    return bad(text, "an IPv6 address needs brackets", "for example [2001:db8::1]:9443");
  } else {
    endpoint = {text.substr(0, last_colon), text.substr(last_colon + 1)};
  }
  if (endpoint.port.empty()) return bad(text, "the port is missing", example);
  if (!is_port(endpoint.port)) return bad(text, "a port is a number up to 65535 or a service's name", example);
  if (!is_host(endpoint.host)) return bad(text, "a host has no spaces or brackets in it", example);
  return endpoint;
}

}  // namespace zferry::io
