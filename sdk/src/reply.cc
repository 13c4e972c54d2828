#include "mayfly/reply.h"

namespace mayfly {

Reply Reply::bytes(std::string body, std::string type) {
  Reply reply;
  reply.body_ = std::move(body);
  reply.type_ = std::move(type);
  return reply;
}

Reply Reply::bytes(std::span<const std::byte> body, std::string type) {
  return bytes(std::string(reinterpret_cast<const char*>(body.data()), body.size()), std::move(type));
}

Reply Reply::stream(Stream body) {
  Reply reply;
  reply.stream_ = std::move(body);
  reply.type_ = kText;
  return reply;
}

}  // namespace mayfly
