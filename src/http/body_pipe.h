#pragma once
// BodyPipe: a body whose pieces come from elsewhere on the same loop: from the frames of a worker, from another thread. The writer pushes
// and, when more than kPipeBytes wait, waits for room; the reader is an http::Body. Either side may go first: a writer whose reader has
// gone learns it from push(), a reader whose writer has gone without end() sees BodyError::disconnected.
// Shared by its two ends, on one loop.

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "http/message.h"
#include "io/sync.h"

namespace mayfly::http {

constexpr size_t kPipeBytes = 256 << 10;  // a slow reader holds up its writer beyond this, instead of filling memory

class BodyPipe : public std::enable_shared_from_this<BodyPipe> {
 public:
  // `declared`: the size of the whole, if it is known.
  static std::shared_ptr<BodyPipe> make(io::Loop& loop, std::optional<uint64_t> declared = {});
  BodyPipe(io::Loop& loop, std::optional<uint64_t> declared) : changed_(loop), room_(loop), declared_(declared) {}

  std::unique_ptr<Body> reader();  // once

  bool push(std::string piece);  // false: nobody reads any more
  io::Task<bool> room();         // until there is room; false: nobody reads any more
  void end();                    // the body is whole
  void fail(BodyError error);    // it will never be
  // Called when the reader goes, or abandons it, before the end: for writers that wait for something else than room.
  void on_abandoned(std::function<void()> told) { told_ = std::move(told); }

 private:
  class Reader;

  void abandon();

  io::Signal changed_, room_;
  const std::optional<uint64_t> declared_;
  std::deque<std::string> pieces_;
  size_t bytes_ = 0;
  bool ended_ = false, abandoned_ = false;
  std::optional<BodyError> error_;
  std::function<void()> told_;
};

}  // namespace mayfly::http
