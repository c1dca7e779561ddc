// CoreDriver: runs a session core on the loop. Everything that happens to a session becomes a task here and is served
// one after the other, never from inside itself, so that no task finds what it works on ended under its feet, and each
// sees the state that the ones before it left. Threading: the loop's.
#pragma once

#include <deque>
#include <functional>
#include <string_view>
#include <utility>

#include "base/lifeline.h"
#include "io/loop.h"

namespace zferry::pipeline {

// Core: SourceCore or TargetCore. Traits: SourceTraits or TargetTraits. News: SourceNews or TargetNews.
template <class Core, class Traits, class News>
class CoreDriver {
 public:
  using State = typename Traits::State;
  using Event = typename Traits::Event;
  using Action = typename Traits::Action;
  struct Wiring {
    std::function<void(Action)> act;
    // Whether the state's end may wait: bytes that matter were still going out since it was asked last.
    std::function<bool()> moving;
    std::function<void(std::string_view state, std::string_view event)> trace;
  };
  static constexpr int kExtensionsMax = 20;

  CoreDriver(io::Loop& loop, Core core, Wiring wiring)
      : loop_(loop), core_(std::move(core)), wiring_(std::move(wiring)) {}
  ~CoreDriver() { loop_.cancel(timer_); }

  const Core& core() const { return core_; }
  State state() const { return core_.state(); }

  // Something happened: served soon, behind what happened before.
  void feed(Event event, News news = {}) {
    later([this, event, news = std::move(news)] { step(event, news); });
  }
  // The same, before everything that waits.
  void overtake(Event event, News news) {
    tasks_.push_front([this, event, news = std::move(news)] { step(event, news); });
    wake();
  }
  // Work that has to see the state at its turn, and may step().
  void later(std::function<void()> task) {
    tasks_.push_back(std::move(task));
    wake();
  }
  // At once. REQUIRES: called from inside a task.
  void step(Event event, const News& news = {}) {
    if (core_.state() == State::kEnded) return;
    if (wiring_.trace) wiring_.trace(Traits::name(core_.state()), Traits::name(event));
    for (Action action : core_.on(event, news, loop_.now())) wiring_.act(action);
  }

 private:
  void wake() {
    if (!std::exchange(scheduled_, true)) loop_.post(lifeline_.guard([this] { serve(); }));
  }
  void serve() {
    scheduled_ = false;
    while (!tasks_.empty() && core_.state() != State::kEnded) {
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
    if (core_.deadline() == armed_for_) return;
    armed_for_ = core_.deadline();
    loop_.cancel(timer_);
    timer_ = 0;
    extensions_ = 0;
    limit_ = armed_for_ - loop_.now();
    if (armed_for_ != kNever) arm();
  }
  void arm() {
    timer_ = loop_.after(limit_, lifeline_.guard([this] {
      timer_ = 0;
      if (wiring_.moving && wiring_.moving() && ++extensions_ <= kExtensionsMax) return arm();
      feed(Event::kDeadline);
    }));
  }

  io::Loop& loop_;
  Core core_;
  Wiring wiring_;
  std::deque<std::function<void()>> tasks_;
  bool scheduled_ = false;
  io::TimerId timer_ = 0;
  TimePoint armed_for_ = kNever;
  Duration limit_{0};
  int extensions_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
