#pragma once
// Bodies and streams that live on one loop and are used on another (io/hop.h): what a call brings along to a function whose home is another
// shard, and what comes back. Each piece costs two posts, so pieces are as large as they come. Dropping one destroys what is behind it on
// its own loop.

#include <memory>

#include "http/message.h"

namespace mayfly::http {

// `body` lives on `there`, the result on `here`. `body` may be null: then so is the result; and when both are the same loop it is `body`.
std::unique_ptr<Body> hop_body(io::Loop& here, io::Loop& there, std::unique_ptr<Body> body);
std::unique_ptr<io::Stream> hop_stream(io::Loop& here, io::Loop& there, std::unique_ptr<io::Stream> stream);

}  // namespace mayfly::http
