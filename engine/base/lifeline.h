// Lifeline: lets an object hand out callbacks that do nothing once it is gone. A member declared last is destroyed
// first.
#pragma once

#include <memory>
#include <utility>

namespace zferry {

class Lifeline {
 public:
  Lifeline() : alive_(std::make_shared<char>()) {}
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  // A copyable callable that calls `f` as long as this object lives. One thread: that of the callbacks.
  template <class F>
  auto guard(F f) const {
    return [alive = std::weak_ptr<char>(alive_), f = std::move(f)](auto&&... arguments) mutable {
      if (!alive.expired()) f(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  std::shared_ptr<char> alive_;
};

}  // namespace zferry
