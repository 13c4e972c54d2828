#include "store/workers.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace mayfly::store {
namespace {

class WorkerThreads final : public Workers {
 public:
  explicit WorkerThreads(unsigned threads) {
    MAYFLY_CHECK_OP(threads, >, 0u);
    for (unsigned at = 0; at < threads; ++at) threads_.emplace_back([this] { work_on(); });
  }
  ~WorkerThreads() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void run(io::Loop& loop, Work work, Work done) override { push({std::move(work), &loop, std::move(done)}); }
  void run_unwatched(Work work) override { push({std::move(work), nullptr, {}}); }

 private:
  struct Job {
    Work work;
    io::Loop* loop;
    Work done;
  };

  void push(Job job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
  }

  void work_on() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job.work();
      if (job.loop != nullptr) job.loop->post(std::move(job.done));
      job = {};
      lock.lock();
    }
  }

  std::mutex mutex_;  // guards jobs_ and stopping_
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

class InlineWorkers final : public Workers {
 public:
  void run(io::Loop& loop, Work work, Work done) override {
    loop.post([work = std::move(work), done = std::move(done)] mutable {
      work();
      done();
    });
  }
  void run_unwatched(Work work) override { work(); }
};

}  // namespace

std::unique_ptr<Workers> make_worker_threads(unsigned threads) { return std::make_unique<WorkerThreads>(threads); }
std::unique_ptr<Workers> make_inline_workers() { return std::make_unique<InlineWorkers>(); }

}  // namespace mayfly::store
