#include "core/background.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <system_error>
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
    jobs_.push_back(std::move(job));
    if (!idle_.empty()) {
      Idle& thread = *idle_.back();
      idle_.pop_back();
      thread.isCalled = true;
      thread.called.notify_one();
    } else if (count_ < most_) {
      start();
    }
  }

  /** Lets the jobs under way end, and begins none. */
  void close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    done_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  struct Idle {
    std::condition_variable called;
    bool isCalled = false;
  };

  void start() {
    try {
      std::thread([this] { serve(); }).detach();
      count_++;
    } catch (const std::system_error&) {
      // The threads that there are will come to it.
      if (count_ > 0) return;
      jobs_.pop_back();
      throw;
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      while (!closed_ && !jobs_.empty()) {
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        running_++;
        lock.unlock();
        job();
        job = nullptr;  // lets go of what it holds
        lock.lock();
        if (--running_ == 0) done_.notify_all();
      }
      Idle self;
      idle_.push_back(&self);
      self.called.wait(lock, [&] { return self.isCalled; });
    }
  }

  const size_t most_ = std::max(4U, std::thread::hardware_concurrency());
  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<Job> jobs_;
  std::vector<Idle*> idle_;
  size_t count_ = 0;
  size_t running_ = 0;
  bool closed_ = false;
};

/** Never destroyed: its threads still wait when the process ends. */
BackgroundThreads& backgroundThreads() {
  static BackgroundThreads& threads = *[] {
    // A process that ends destroys what jobs use; Node runs no cleanup hooks when it is told to exit.
    std::atexit([] { backgroundThreads().close(); });
    return new BackgroundThreads;
  }();
  return threads;
}

}  // namespace

void runInBackground(std::function<void()> job) { backgroundThreads().run(std::move(job)); }

}  // namespace sparring
