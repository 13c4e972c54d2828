#include "http/body_pipe.h"

namespace mayfly::http {

class BodyPipe::Reader final : public Body {
 public:
  explicit Reader(std::shared_ptr<BodyPipe> pipe) : pipe_(std::move(pipe)) {}
  ~Reader() override { pipe_->abandon(); }
  void abandon() override { pipe_->abandon(); }
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    auto& pipe = *pipe_;
    while (pipe.pieces_.empty() && !pipe.ended_ && !pipe.error_ && !pipe.abandoned_) {
      pipe.changed_.reset();
      co_await pipe.changed_.wait();
    }
    if (pipe.abandoned_) co_return std::unexpected(BodyError::disconnected);
    if (pipe.pieces_.empty()) {
      if (pipe.error_) co_return std::unexpected(*pipe.error_);
      co_return std::nullopt;
    }
    std::string piece = std::move(pipe.pieces_.front());
    pipe.pieces_.pop_front();
    pipe.bytes_ -= piece.size();
    if (pipe.bytes_ <= kPipeBytes) pipe.room_.set();
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return pipe_->declared_; }

 private:
  std::shared_ptr<BodyPipe> pipe_;  // shared with the writer
};

std::shared_ptr<BodyPipe> BodyPipe::make(io::Loop& loop, std::optional<uint64_t> declared) { return std::make_shared<BodyPipe>(loop, declared); }

std::unique_ptr<Body> BodyPipe::reader() { return std::make_unique<Reader>(shared_from_this()); }

void BodyPipe::abandon() {
  bool told = std::exchange(abandoned_, true) || ended_ || error_;
  pieces_.clear();
  room_.set();
  changed_.set();
  if (auto tell = std::exchange(told_, nullptr); tell && !told) tell();
}

bool BodyPipe::push(std::string piece) {
  if (abandoned_ || error_) return false;
  if (piece.empty()) return true;
  bytes_ += piece.size();
  pieces_.push_back(std::move(piece));
  if (bytes_ > kPipeBytes) room_.reset();
  changed_.set();
  return true;
}

io::Task<bool> BodyPipe::room() {
  if (bytes_ > kPipeBytes && !abandoned_ && !error_) co_await room_.wait();
  co_return !abandoned_ && !error_;
}

void BodyPipe::end() {
  ended_ = true;
  changed_.set();
}

void BodyPipe::fail(BodyError error) {
  if (ended_) return;
  error_ = error;
  changed_.set();
  room_.set();
}

}  // namespace mayfly::http
