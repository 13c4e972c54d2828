#include "runtime/outflow.h"

namespace mayfly::runtime {

class Outflow::Reader final : public http::Body {
 public:
  explicit Reader(std::shared_ptr<Outflow> outflow) : outflow_(std::move(outflow)), body_(outflow_->pipe_->reader()) {}
  ~Reader() override { outflow_->let_go(); }
  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    auto piece = co_await body_->next();
    if (piece && *piece) outflow_->take((*piece)->size());
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }
  void abandon() override {
    body_->abandon();
    outflow_->let_go();
  }

 private:
  std::shared_ptr<Outflow> outflow_;  // shared with the call
  std::unique_ptr<http::Body> body_;
};

std::unique_ptr<http::Body> Outflow::reader() { return std::make_unique<Reader>(shared_from_this()); }

void Outflow::push(std::string piece) {
  size_t size = piece.size();
  if (over_) return;
  if (untaken_bytes_ + size > kMostUntaken) return fail(http::BodyError::disconnected);
  if (pipe_->push(std::move(piece))) untaken_bytes_ += size;
}

void Outflow::take(size_t bytes) {
  bool was_behind = behind();
  untaken_bytes_ -= bytes;
  if (was_behind && !behind()) moved_->set();
}

void Outflow::fail(http::BodyError error) {
  pipe_->fail(error);
  let_go();
}

void Outflow::let_go() {
  over_ = true;
  moved_->set();
}

}  // namespace mayfly::runtime
