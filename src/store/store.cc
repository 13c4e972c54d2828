#include "store/store.h"

namespace mayfly::store {
namespace {

constexpr size_t kPage = 1000;  // entries per scan of scan_all: bounds how long others wait behind it

// Runs an engine call from the loop and resumes the caller there.
template <class T>
struct Inline {
  io::Loop& loop;
  std::move_only_function<T()> work;
  std::optional<T> result{};
  std::exception_ptr fault{};

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    loop.post([this, waiting] {
      try {
        result.emplace(work());
      } catch (...) {
        fault = std::current_exception();
      }
      waiting.resume();
    });
  }
  T await_resume() {
    if (fault) std::rethrow_exception(fault);
    return std::move(*result);
  }
};

class InlineStore final : public Store {
 public:
  explicit InlineStore(Engine& engine) : engine_(engine) {}

  io::Task<std::optional<std::string>> get(io::Loop& loop, std::string key) override {
    co_return co_await Inline<std::optional<std::string>>{loop, [this, &key] { return engine_.get(key); }};
  }
  io::Task<std::vector<Entry>> scan(io::Loop& loop, Range range) override {
    co_return co_await Inline<std::vector<Entry>>{loop, [this, &range] { return engine_.scan(range); }};
  }
  io::Task<Commit> commit(io::Loop& loop, Batch batch) override {
    co_return co_await Inline<Commit>{loop, [this, &batch] { return apply(batch); }};
  }
  uint64_t commits() const override { return commits_; }

 private:
  Commit apply(const Batch& batch) {
    bool applied = engine_.apply(std::span(&batch, 1)).at(0);
    commits_ += applied;
    return applied ? Commit::done : Commit::refused;
  }

  Engine& engine_;
  uint64_t commits_ = 0;
};

}  // namespace

io::Task<std::vector<Entry>> scan_all(Store& store, io::Loop& loop, std::string first, std::string last) {
  std::vector<Entry> all;
  while (true) {
    auto page = co_await store.scan(loop, {.first = first, .last = last, .limit = kPage});
    bool more = page.size() == kPage;
    if (more) first = page.back().key + '\0';
    all.insert(all.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
    if (!more) co_return all;
  }
}

std::unique_ptr<Store> make_inline_store(Engine& engine) { return std::make_unique<InlineStore>(engine); }

}  // namespace mayfly::store
