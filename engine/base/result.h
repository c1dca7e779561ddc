// Result<T>: a value or an Error. Errors come from outside (peer, stream, disk, operator); a bug is ZF_ASSERT instead.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/fault.h"

namespace zferry {

// `fault` says who failed and whether a retry can help, `what` what happened (with errno text where there is one),
// `next` the exact next step for the operator; `next` may be empty.
struct Error {
  Fault fault = Fault::kInternal;
  std::string what;
  std::string next;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    ZF_ASSERT(ok());
    return std::get<0>(content_);
  }
  const T& value() const& {
    ZF_ASSERT(ok());
    return std::get<0>(content_);
  }
  T&& value() && {
    ZF_ASSERT(ok());
    return std::get<0>(std::move(content_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    ZF_ASSERT(!ok());
    return std::get<1>(content_);
  }
  Error&& take_error() {
    ZF_ASSERT(!ok());
    return std::get<1>(std::move(content_));
  }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    ZF_ASSERT(failed_);
    return error_;
  }
  Error&& take_error() {
    ZF_ASSERT(failed_);
    return std::move(error_);
  }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

// An Error whose text ends with errno's own words: "open /etc/x: Permission denied".
Error errno_error(Fault fault, const std::string& what, int error_number);

}  // namespace zferry
