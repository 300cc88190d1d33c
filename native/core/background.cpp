#include "core/background.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sparring {

namespace {

using Job = std::function<void()>;

class BackgroundThreads {
 public:
  void run(Job job) {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Idle& thread = *idle_.back();
      idle_.pop_back();
      thread.job = std::move(job);
      thread.wake.notify_one();
    } else if (count_ < most_) {
      std::thread([this, first = std::move(job)]() mutable { serve(std::move(first)); }).detach();
      count_++;
    } else {
      waiting_.push_back(std::move(job));
    }
  }

 private:
  struct Idle {
    std::condition_variable wake;
    Job job;
  };

  void serve(Job job) {
    Idle self;
    for (;;) {
      job();
      job = nullptr;  // lets go of what it holds
      std::unique_lock lock(mutex_);
      if (waiting_.empty()) {
        idle_.push_back(&self);
        self.wake.wait(lock, [&] { return self.job != nullptr; });
        job = std::exchange(self.job, nullptr);
      } else {
        job = std::move(waiting_.front());
        waiting_.pop_front();
      }
    }
  }

  const size_t most_ = std::max(4U, std::thread::hardware_concurrency());
  std::mutex mutex_;
  size_t count_ = 0;
  std::vector<Idle*> idle_;
  std::deque<Job> waiting_;
};

}  // namespace

void runInBackground(std::function<void()> job) {
  // Never destroyed: its threads still wait when Node exits.
  static BackgroundThreads& threads = *new BackgroundThreads;
  threads.run(std::move(job));
}

}  // namespace sparring
