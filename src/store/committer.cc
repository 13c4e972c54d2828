// The committer: one thread that owns the engine (store.h). Callers push a request that lives in their own coroutine frame onto a
// lock-free stack; the thread takes the whole stack at once, which is one round. There is no timer: while the disk works on one
// round the next gathers by itself, so the group is as large as the load needs and a lone caller waits for nobody.
//
// A round: reads are answered, then the batches are applied in the order they were asked. Each loop is woken by one post for the
// reads and one for the commits of a round, however many callers it has, since waking another core costs 35-45 us.

#include <atomic>
#include <thread>

#include "store/store.h"

namespace mayfly::store {
namespace {

// Batches per durable unit: at about 14 us each a unit takes 15 ms of CPU, so nobody waits much longer than that behind a flood.
constexpr size_t kMaxBatchesPerApply = 1024;

// One call of a Store, in the caller's frame from await to resumption; only the committer touches it in between.
struct Request {
  enum class Kind { get, scan, commit, stop };

  Kind kind = Kind::get;
  io::Loop* loop = nullptr;
  std::string key{};
  Range range{};
  Batch batch{};

  std::optional<std::string> value{};
  std::vector<Entry> entries{};
  Commit outcome = Commit::refused;
  std::exception_ptr fault{};

  Request* next = nullptr;  // in the stack, then in the list of a wake
  std::coroutine_handle<> waiting{};
};

// Requests of one loop that are ready to be resumed, in order.
class Wakes {
 public:
  void add(Request& request) {
    request.next = nullptr;
    for (auto& list : lists_) {
      if (list.first->loop != request.loop) continue;
      list.last->next = &request;
      list.last = &request;
      return;
    }
    lists_.push_back({&request, &request});
  }
  void post() {
    for (auto& list : lists_) list.first->loop->post([first = list.first] { resume_all(first); });
    lists_.clear();
  }

 private:
  struct List {
    Request* first;
    Request* last;
  };

  static void resume_all(Request* request) {
    while (request != nullptr) {
      Request* next = request->next;  // the request dies with its frame
      request->waiting.resume();
      request = next;
    }
  }

  std::vector<List> lists_;  // few: one per shard
};

class Committer final : public Store {
 public:
  explicit Committer(std::unique_ptr<Engine> engine) : engine_(std::move(engine)), thread_([this] { run(); }) {}

  ~Committer() override {
    Request stop{.kind = Request::Kind::stop};
    push(stop);
    thread_.join();
  }

  io::Task<std::optional<std::string>> get(io::Loop& loop, std::string key) override {
    Request request{.kind = Request::Kind::get, .loop = &loop, .key = std::move(key)};
    co_await Asked{*this, request};
    co_return std::move(request.value);
  }

  io::Task<std::vector<Entry>> scan(io::Loop& loop, Range range) override {
    Request request{.kind = Request::Kind::scan, .loop = &loop, .range = std::move(range)};
    co_await Asked{*this, request};
    co_return std::move(request.entries);
  }

  io::Task<Commit> commit(io::Loop& loop, Batch batch) override {
    Request request{.kind = Request::Kind::commit, .loop = &loop, .batch = std::move(batch)};
    co_await Asked{*this, request};
    co_return request.outcome;
  }

  uint64_t commits() const override { return commits_.load(std::memory_order_relaxed); }

 private:
  struct Asked {
    Committer& committer;
    Request& request;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      request.waiting = waiting;
      committer.push(request);  // may be resumed on its loop before this returns
    }
    void await_resume() {
      if (request.fault) std::rethrow_exception(request.fault);
    }
  };

  void push(Request& request) {
    Request* top = asked_.load(std::memory_order_relaxed);
    do request.next = top;
    while (!asked_.compare_exchange_weak(top, &request, std::memory_order_release, std::memory_order_relaxed));
    if (top == nullptr) asked_.notify_one();
  }

  void run() {
    bool running = true;
    while (running) {
      asked_.wait(nullptr, std::memory_order_acquire);
      Request* stack = asked_.exchange(nullptr, std::memory_order_acquire);
      std::vector<Request*> reads, commits;
      Request* queue = nullptr;  // the stack reversed: the order they were asked
      while (stack != nullptr) queue = std::exchange(stack, std::exchange(stack->next, queue));
      for (; queue != nullptr; queue = queue->next) {
        if (queue->kind == Request::Kind::stop) running = false;
        else (queue->kind == Request::Kind::commit ? commits : reads).push_back(queue);
      }
      answer(reads);
      for (std::span<Request*> rest = commits; !rest.empty();) {
        size_t count = std::min(rest.size(), kMaxBatchesPerApply);
        apply(rest.first(count));
        rest = rest.subspan(count);
      }
    }
  }

  void answer(std::span<Request*> reads) {
    Wakes wakes;
    for (Request* read : reads) {
      try {
        if (read->kind == Request::Kind::get) read->value = engine_->get(read->key);
        else read->entries = engine_->scan(read->range);
      } catch (...) {
        read->fault = std::current_exception();
      }
      wakes.add(*read);
    }
    wakes.post();
  }

  void apply(std::span<Request*> commits) {
    std::vector<Batch> batches;
    batches.reserve(commits.size());
    for (Request* commit : commits) batches.push_back(std::move(commit->batch));
    std::vector<bool> applied = apply_or_die(batches);
    MAYFLY_CHECK_OP(applied.size(), ==, commits.size());
    Wakes wakes;
    uint64_t done = 0;
    for (size_t at = 0; at < commits.size(); ++at) {
      done += applied[at];
      commits[at]->outcome = applied[at] ? Commit::done : Commit::refused;
      wakes.add(*commits[at]);
    }
    commits_.fetch_add(done, std::memory_order_relaxed);
    wakes.post();
  }

  // After a failed sync the kernel has marked the lost pages clean, so nothing read from here on can be trusted; a restart recovers
  // from what the disk holds (reliability.md R3.3).
  std::vector<bool> apply_or_die(std::span<const Batch> batches) {
    try {
      return engine_->apply(batches);
    } catch (const std::exception& fault) {
      fmt::print(stderr, "mayfly: the store cannot commit, ending so that a restart recovers: {}\n", fault.what());
      std::abort();
    }
  }

  std::unique_ptr<Engine> engine_;
  std::atomic<Request*> asked_ = nullptr;
  std::atomic<uint64_t> commits_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Store> make_committer(std::unique_ptr<Engine> engine) { return std::make_unique<Committer>(std::move(engine)); }

}  // namespace mayfly::store
