#pragma once
// StreamedReply: a Lambda program's reply that arrives piece by piece ("Lambda-Runtime-Function-Response-Mode: streaming"). To a caller
// that can stream, each piece goes on as it comes, and a slow one holds up the program; for others it is collected. To HTTP callers the
// prelude in front of it is the head of the answer. Lives in the request that brings it and, while it may have to be broken off, in its call.

#include <memory>
#include <string>

#include "http/body_pipe.h"
#include "runtime/instance.h"

namespace mayfly::runtime {

class StreamedReply {
 public:
  // `http`: the call came over HTTP. `content_type`: of the program's request.
  StreamedReply(io::Loop& loop, std::shared_ptr<Streams> streams, bool http, std::string content_type);

  enum class Added { yes, too_large, malformed };  // malformed: no prelude where one was announced
  io::Task<Added> add(std::string piece);
  // The reply once all has come; it has failed when the trailers say so.
  Reply end(const http::Headers& trailers);
  void fail(http::BodyError error);

 private:
  Added take_head();
  void open();

  io::Loop& loop_;
  std::shared_ptr<Streams> streams_;  // the caller's
  bool http_call_;
  std::string content_type_;
  bool headed_ = false;
  std::string http_, pending_;
  std::shared_ptr<http::BodyPipe> pipe_;  // the reader's half went out with Streams::opened
};

}  // namespace mayfly::runtime
