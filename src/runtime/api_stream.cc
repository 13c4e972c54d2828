#include "runtime/api_stream.h"

#include "base/encoding.h"
#include "runtime/api_codec.h"
#include "runtime/api_http.h"
#include "runtime/frame.h"

namespace mayfly::runtime {

StreamedReply::StreamedReply(io::Loop& loop, std::shared_ptr<Streams> streams, bool http, std::string content_type)
    : loop_(loop), streams_(std::move(streams)), http_call_(http), content_type_(std::move(content_type)) {}

StreamedReply::Added StreamedReply::take_head() {
  if (headed_) return Added::yes;
  if (http_call_ && equals_ignore_case(content_type_, kPreludeType)) {
    auto prelude = lambda_prelude(pending_);
    if (!prelude) return pending_.find(kPreludeEnd) == pending_.npos && pending_.size() <= kMaxPreludeBytes + kPreludeEnd.size() ? Added::yes : Added::malformed;
    http_ = std::move(prelude->http);
    pending_.erase(0, prelude->size);
  } else if (http_call_) {
    http_ = plain_http(content_type_);
  }
  headed_ = true;
  return Added::yes;
}

void StreamedReply::open() {
  if (pipe_ || !headed_ || !streams_ || !streams_->opened) return;
  pipe_ = http::BodyPipe::make(loop_);
  std::exchange(streams_->opened, nullptr)({.http = std::move(http_), .body = pipe_->reader(), .tunnel = nullptr});
}

io::Task<StreamedReply::Added> StreamedReply::add(std::string piece) {
  pending_ += piece;
  if (Added head = take_head(); head != Added::yes) co_return head;
  open();
  if (!pipe_) co_return pending_.size() <= kMaxPayloadBytes ? Added::yes : Added::too_large;
  // A caller that has gone does not disturb the program, which answers into the void.
  auto pipe = pipe_;
  if (!pending_.empty() && pipe->push(std::exchange(pending_, {}))) (void)co_await pipe->room();
  co_return Added::yes;
}

Reply StreamedReply::end(const http::Headers& trailers) {
  auto error = trailing_error(trailers);
  if (!error && (take_head() != Added::yes || !headed_)) error = reported_error(Contract::lambda, "the streamed reply ended before its prelude did", "Runtime.InvalidResponse");
  if (error) {
    fail(http::BodyError::disconnected);
    return {.kind = Reply::Kind::handled_error, .body = std::move(*error)};
  }
  open();  // an empty one has had no piece
  if (!pipe_) return {.body = std::move(pending_), .http = std::move(http_)};
  pipe_->end();
  return {};
}

void StreamedReply::fail(http::BodyError error) {
  if (pipe_) pipe_->fail(error);
}

}  // namespace mayfly::runtime
